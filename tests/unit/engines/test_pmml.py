from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from model_serving.core.engine import LoadedModel, RecordSchema
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelType, OutputRule

Load = Callable[..., LoadedModel]
NAN = math.nan

REGRESSION = """<PMML version="4.3"><Header/><DataDictionary>
<DataField name="First Number" optype="continuous" dataType="{number}"/>
<DataField name="colour" optype="categorical" dataType="string">
<Value value="red"/><Value value="white"/></DataField>
<DataField name="y" optype="continuous" dataType="double"/></DataDictionary>
<RegressionModel functionName="regression"><MiningSchema><MiningField name="colour"/>
<MiningField name="First Number"/><MiningField name="y" usageType="target"/></MiningSchema>
<RegressionTable intercept="1"><NumericPredictor name="First Number" coefficient="2"/>
<CategoricalPredictor name="colour" value="red" coefficient="10"/></RegressionTable>
</RegressionModel></PMML>"""

TREE = """<PMML version="4.3"><Header/><DataDictionary>
<DataField name="other" optype="continuous" dataType="double"/>
<DataField name="y" optype="categorical" dataType="{kind}">{values}</DataField></DataDictionary>
<TreeModel functionName="classification"><MiningSchema><MiningField name="other"/>
<MiningField name="y" usageType="target"/></MiningSchema><Output>{output}</Output>
<Node score="{low}"><True/>
<Node score="{low}"><SimplePredicate field="other" operator="lessThan" value="1"/>
<ScoreDistribution value="{low}" recordCount="3"/><ScoreDistribution value="{high}" recordCount="1"/></Node>
<Node score="{high}"><SimplePredicate field="other" operator="greaterOrEqual" value="1"/>
<ScoreDistribution value="{high}" recordCount="4"/></Node></Node></TreeModel></PMML>"""

OUTPUT = (
    '<OutputField name="p" feature="probability" value="7" optype="continuous" dataType="double"/>'
    '<OutputField name="node" feature="entityId" optype="categorical" dataType="string"/>'
)


def tree(
    low: str = "3", high: str = "7", kind: str = "string", output: str = "", listed: bool = True
) -> bytes:
    # The higher class comes first: the DataDictionary's order is not the labels' own.
    values = f'<Value value="{high}"/><Value value="{low}"/>' if listed else ""
    return TREE.format(kind=kind, values=values, low=low, high=high, output=output).encode()


def test_numbers_and_text_are_fed_by_name(load: Load) -> None:
    model = load(ModelType.PMML, REGRESSION.format(number="double").encode())
    assert model.fields == ("colour", "first_number")
    rows = [["red", 1.5], ["white", 1.5], ["", 1.5], ["blue", 1.5], ["red", NAN], ["red", math.inf]]
    scores = model.score(np.array(rows, dtype=object))
    np.testing.assert_array_equal(scores.result, [14.0, 4.0, 4.0, NAN, NAN, math.inf])
    assert (scores.labels, dict(scores.outputs)) == (None, {})


def test_given_inputs_are_taken_in_the_order_of_the_mining_schema(load: Load) -> None:
    content = REGRESSION.format(number="double").encode()
    assert load(ModelType.PMML, content, inputs=("Colour", "other")).fields == ("colour", "other")


@pytest.mark.parametrize("kind", ["string", "integer", "double"])
def test_a_class_is_the_number_that_its_label_spells(load: Load, kind: str) -> None:
    scores = load(ModelType.PMML, tree(kind=kind)).score(np.array([[0.5], [3.0], [NAN]]))
    np.testing.assert_array_equal(scores.result, [3.0, 7.0, NAN])
    assert scores.labels == ["3", "7", ""]
    assert {name: list(values[:2]) for name, values in scores.outputs.items()} == {
        "probability_3": [0.75, 0.0],
        "probability_7": [0.25, 1.0],
    }
    assert all(math.isnan(values[2]) for values in scores.outputs.values())


def test_a_classifier_with_outputs_of_its_own_predicts_too(load: Load) -> None:
    scores = load(ModelType.PMML, tree(output=OUTPUT)).score(np.array([[0.5], [3.0]]))
    np.testing.assert_array_equal(scores.result, [3.0, 7.0])
    assert scores.labels == ["3", "7"]
    assert list(scores.outputs["p"]) == [0.25, 1.0]
    assert "node" not in scores.outputs


def test_argmax_is_the_index_of_the_class_in_the_dictionary(load: Load) -> None:
    scores = load(ModelType.PMML, tree("bad", "good"), output=OutputRule.ARGMAX).score(
        np.array([[0.5], [3.0]])
    )
    np.testing.assert_array_equal(scores.result, [1.0, 0.0])
    assert scores.labels == ["bad", "good"]


def test_batches_of_every_size_give_the_same_results(load: Load) -> None:
    model = load(ModelType.PMML, tree(output=OUTPUT))
    columns = np.linspace(0.0, 2.0, 301).reshape(-1, 1)
    expected = np.where(columns[:, 0] < 1, 3.0, 7.0)
    np.testing.assert_array_equal(model.score(columns).result, expected)
    one_by_one = [model.score(columns[index : index + 1]).result[0] for index in range(0, 301, 50)]
    np.testing.assert_array_equal(one_by_one, expected[::50])


def test_several_threads_may_score(load: Load) -> None:
    model = load(ModelType.PMML, tree())
    columns = np.linspace(0.0, 2.0, 101).reshape(-1, 1)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: model.score(columns).result, range(20)))
    for result in results:
        np.testing.assert_array_equal(result, np.where(columns[:, 0] < 1, 3.0, 7.0))


def test_whole_numbers_and_booleans_are_fed_as_such(load: Load) -> None:
    whole = load(ModelType.PMML, REGRESSION.format(number="integer").encode())
    np.testing.assert_array_equal(whole.score(np.array([["red", 2.0]], dtype=object)).result, [15.0])
    np.testing.assert_array_equal(whole.score(np.array([["red", 2.5]], dtype=object)).result, [NAN])
    boolean = load(ModelType.PMML, REGRESSION.format(number="boolean").encode())
    assert boolean.fields == ("colour", "first_number")


@pytest.mark.parametrize("number", ["integer", "boolean"])
@pytest.mark.parametrize("is_derived", [False, True])
def test_a_missing_whole_number_or_boolean_is_missing(load: Load, number: str, is_derived: bool) -> None:
    content = REGRESSION.format(number=number)
    if is_derived:
        derived = (
            '<DerivedField name="d" optype="continuous" dataType="double"><FieldRef field="First Number"/>'
        )
        local = f"<LocalTransformations>{derived}</DerivedField></LocalTransformations>"
        content = content.replace("</MiningSchema>", f"</MiningSchema>{local}")
        content = content.replace('<NumericPredictor name="First Number"', '<NumericPredictor name="d"')
    model = load(ModelType.PMML, content.encode())
    scores = model.score(np.array([["red", 1.0], ["red", NAN], ["", 1.0], ["white", 0.0]], dtype=object))
    np.testing.assert_array_equal(scores.result, [13.0, NAN, 3.0, 1.0])


def test_classes_that_are_not_listed_are_those_that_the_model_names(load: Load) -> None:
    model = load(ModelType.PMML, tree("3", "good", listed=False))
    scores = model.score(np.array([[0.5], [3.0]]))
    # Not all of them spell numbers, so the result is the index of the label.
    assert (scores.result.tolist(), scores.labels) == ([0.0, 1.0], ["3", "good"])


def test_the_result_of_text_classes_is_the_index_of_the_label(load: Load) -> None:
    scores = load(ModelType.PMML, tree("bad", "good")).score(np.array([[0.5], [3.0]]))
    assert (scores.result.tolist(), scores.labels) == ([1.0, 0.0], ["bad", "good"])


@pytest.mark.parametrize(
    ("content", "inputs", "output", "text"),
    [
        (
            tree("bad", "good"),
            (),
            OutputRule.VALUE,
            (
                "output VALUE needs classes that spell numbers, not 'good': use AUTO or ARGMAX, the result "
                "is then the index of the class"
            ),
        ),
        (
            REGRESSION.format(number="double").encode(),
            (),
            OutputRule.ARGMAX,
            "output ARGMAX needs a classifier, but this model is for regression: use AUTO or VALUE",
        ),
        (
            tree(),
            ("other", "first_number"),
            OutputRule.AUTO,
            "the model takes 1 inputs (other), but the descriptor names 2: name 1, or none",
        ),
        (
            tree(),
            ("colour",),
            OutputRule.AUTO,
            (
                "the model takes 'other' as double, but 'colour' of Sample is text: "
                "change the model's dataType or its inputs"
            ),
        ),
        (
            tree().replace(b'"other"', b'"pressure"'),
            (),
            OutputRule.AUTO,
            (
                "the model needs the field 'pressure', which Sample does not have "
                "(it has first_number, other, colour): "
                "rename the model's input, or start the job with another --record-type"
            ),
        ),
        (
            tree().replace(b"TreeModel", b"AssociationModel"),
            (),
            OutputRule.AUTO,
            (
                "the PMML document has the model AssociationModel: "
                "apply its rules where baskets are put together"
            ),
        ),
    ],
    ids=["labels", "regression", "inputs", "text", "missing field", "unsupported"],
)
def test_models_that_do_not_fit_are_rejected(
    load: Load, content: bytes, inputs: tuple[str, ...], output: OutputRule, text: str
) -> None:
    with pytest.raises(ModelRejected) as caught:
        load(ModelType.PMML, content, inputs=inputs, output=output)
    assert str(caught.value) == text


def test_field_names_match_whatever_separates_their_words(load: Load) -> None:
    spelled = RecordSchema("Spelled", ("FIRST.number",), ("colour",))
    model = load(ModelType.PMML, REGRESSION.format(number="double").encode(), schema=spelled)
    assert model.fields == ("colour", "FIRST.number")


def test_a_deep_tree_scores(load: Load) -> None:
    step = '<Node score="3"><SimplePredicate field="other" operator="lessThan" value="1"/>'
    content = tree(listed=True).decode().split("<Node score", maxsplit=1)[0]
    content += '<Node score="7"><True/>' + step * 980 + "</Node>" * 981 + "</TreeModel></PMML>"
    scores = load(ModelType.PMML, content.encode()).score(np.array([[0.5], [3.0]]))
    assert scores.labels == ["3", ""]
