"""Labels, results and named outputs of ONNX classifiers, as the exporters write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import pytest
from onnx import helper

from model_serving.core.engine import LoadedModel, Scores, description_of
from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.core.messages import ModelType, OutputRule
from tests.unit.engines.onnx_builders import (
    FLOAT,
    ROWS,
    TEXT,
    TRUTH,
    WHOLE,
    classifier,
    model_of,
    value,
    zipped,
)

Load = Callable[..., LoadedModel]
POSITIVE = np.array([[1.0, 2.0], [-3.0, 1.0]])
"""Records whose sum is 3 and -2."""

SUM = helper.make_node("ReduceSum", ["x", "axis"], ["score"])
AXIS = helper.make_tensor("axis", WHOLE, [1], [1])
ZERO = helper.make_tensor("zero", FLOAT, [1], [0.0])
FLAT = helper.make_tensor("flat", WHOLE, [1], [-1])
IS_POSITIVE = (
    SUM,
    helper.make_node("Greater", ["score", "zero"], ["positive"]),
    helper.make_node("Cast", ["positive"], ["index2"], to=WHOLE),
    helper.make_node("Reshape", ["index2", "flat"], ["index"]),
)


def ml(kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> Any:
    return helper.make_node(kind, inputs, outputs, domain="ai.onnx.ml", **attributes)


def by_sign(nodes: Sequence[Any], *outputs: Any, constants: Sequence[Any] = ()) -> bytes:
    """A model that knows the sum of a record (score) and whether it is positive (index 0 or 1)."""
    return model_of([*IS_POSITIVE, *nodes], [value("x", None, 2)], outputs, AXIS, ZERO, FLAT, *constants)


def words(*labels: str) -> Any:
    return ml("LabelEncoder", ["index"], ["label"], keys_int64s=[0, 1], values_strings=labels)


LABEL = value("label", None, kind=TEXT)
SCORE = value("score", None, 1)


def told(scores: Scores) -> tuple[list[float], list[str], dict[str, list[float]]]:
    named = {name: values.tolist() for name, values in scores.outputs.items()}
    return scores.result.tolist(), list(scores.labels or ()), named


def test_the_result_is_the_labels_index_and_not_that_of_the_greatest_score(load: Load) -> None:
    """SVC with text labels: the columns are decision values, in which the greatest may be another's."""
    content = by_sign(
        [
            words("no", "yes"),
            helper.make_node("Neg", ["score"], ["minus"]),
            helper.make_node("Concat", ["score", "minus"], ["scores"], axis=1),
        ],
        LABEL,
        value("scores", None, 2),
    )
    assert told(load(ModelType.ONNX, content).score(POSITIVE)) == (
        [1.0, 0.0],
        ["yes", "no"],
        {"probability_no": [3.0, -2.0], "probability_yes": [-3.0, 2.0]},
    )


def test_one_score_beside_a_label_is_an_output(load: Load) -> None:
    """LinearSVC, RidgeClassifier, IsolationForest, OneClassSVM."""
    content = by_sign([words("no", "yes")], LABEL, SCORE)
    assert told(load(ModelType.ONNX, content).score(POSITIVE)) == (
        [1.0, 0.0],
        ["yes", "no"],
        {"score": [3.0, -2.0]},
    )
    numbers = by_sign(
        [helper.make_node("Identity", ["index"], ["label"])], value("label", None, kind=WHOLE), SCORE
    )
    assert told(load(ModelType.ONNX, numbers).score(POSITIVE)) == (
        [1.0, 0.0],
        ["1", "0"],
        {"score": [3.0, -2.0]},
    )


def test_a_label_alone_is_served(load: Load) -> None:
    content = by_sign([words("no", "yes")], LABEL)
    assert told(load(ModelType.ONNX, content).score(POSITIVE)) == ([1.0, 0.0], ["yes", "no"], {})


@pytest.mark.parametrize(
    ("labels", "results"),
    [(("1", "2+"), [1.0, 0.0]), (("2+", "1"), [1.0, 0.0]), (("7", "2"), [2.0, 7.0])],
    ids=["zeros give a number", "zeros give a text", "all are numbers"],
)
def test_all_classes_decide_whether_labels_are_numbers(
    load: Load, labels: tuple[str, str], results: list[float]
) -> None:
    scores = load(ModelType.ONNX, by_sign([words(*labels)], LABEL, SCORE)).score(POSITIVE)
    assert (scores.result.tolist(), scores.labels) == (results, [labels[1], labels[0]])


def test_classes_are_found_in_the_table_that_labels_are_taken_from(load: Load) -> None:
    table = helper.make_tensor("classes", TEXT, [2], cast("Any", [b"no", b"yes"]))
    pick = ml("ArrayFeatureExtractor", ["classes", "index"], ["row"])
    shape = helper.make_node("Reshape", ["row", "flat"], ["label"])
    model = load(ModelType.ONNX, by_sign([pick, shape], LABEL, SCORE, constants=[table]))
    assert told(model.score(POSITIVE))[:2] == ([1.0, 0.0], ["yes", "no"])
    assert description_of(model).classes == ("no", "yes")


def test_a_second_column_of_whole_numbers_does_not_hide_the_label(load: Load) -> None:
    content = by_sign(
        [helper.make_node("Identity", ["index"], ["class"]), helper.make_node("Neg", ["index"], ["cluster"])],
        value("cluster", None, kind=WHOLE),
        value("class", None, kind=WHOLE),
        SCORE,
    )
    scores = load(ModelType.ONNX, content).score(POSITIVE)
    assert (scores.result.tolist(), scores.labels) == ([1.0, 0.0], ["1", "0"])
    assert set(scores.outputs) == {"cluster", "score"}


def test_true_and_false_are_classes(load: Load) -> None:
    content = by_sign([], value("positive", None, 1, kind=TRUTH), SCORE)
    assert told(load(ModelType.ONNX, content).score(POSITIVE))[:2] == ([1.0, 0.0], ["True", "False"])


def test_a_column_for_each_class_is_named_by_its_class(load: Load) -> None:
    """skl2onnx with zipmap="columns"."""
    content = by_sign(
        [
            words("no", "yes"),
            helper.make_node("Sigmoid", ["score"], ["syes"]),
            helper.make_node("Neg", ["score"], ["minus"]),
            helper.make_node("Sigmoid", ["minus"], ["sno"]),
        ],
        LABEL,
        value("sno", None, 1),
        value("syes", None, 1),
    )
    scores = load(ModelType.ONNX, content).score(POSITIVE)
    assert set(scores.outputs) == {"probability_no", "probability_yes"}
    np.testing.assert_allclose(scores.outputs["probability_yes"], 1 / (1 + np.exp([-3.0, 2.0])), rtol=1e-6)


@pytest.mark.parametrize("text", [True, False], ids=["text", "numbers"])
def test_a_text_field_and_zip_map_are_served(load: Load, text: bool) -> None:
    """A pipeline with a text column, as skl2onnx exports it: nothing states the shape of the maps."""
    known = ml(
        "LabelEncoder", ["colour"], ["p"], keys_strings=["red"], values_floats=[0.75], default_float=0.25
    )
    one = helper.make_tensor("one", FLOAT, [1], [1.0])
    nodes = [
        known,
        helper.make_node("Sub", ["one", "p"], ["q"]),
        helper.make_node("Concat", ["q", "p"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["index"], axis=1, keepdims=0),
    ]
    if text:
        nodes.append(words("no", "yes"))
        keys: dict[str, Any] = {"classlabels_strings": ["no", "yes"]}
    else:
        nodes.append(helper.make_node("Identity", ["index"], ["label"]))
        keys = {"classlabels_int64s": [0, 1]}
    nodes.append(ml("ZipMap", ["probabilities"], ["maps"], **keys))
    kind = TEXT if text else WHOLE
    content = model_of(
        nodes,
        [value("colour", None, 1, kind=TEXT)],
        [value("label", None, kind=kind), zipped("maps", kind)],
        one,
    )
    model = load(ModelType.ONNX, content)
    names = ["probability_no", "probability_yes"] if text else ["probability_0", "probability_1"]
    for records in ([["red"], ["blue"]], [["red"]]):
        scores = model.score(np.array(records, dtype=object))
        assert scores.result.tolist() == [1.0, 0.0][: len(records)]
        assert list(scores.outputs) == names
    assert description_of(model).outputs == tuple(names)


def test_an_output_can_be_chosen(load: Load) -> None:
    content = classifier(["bad", "fair", "good"], zip_map=True)
    for wanted, results in (
        ("label", [1.0, 0.0]),
        ("maps", [1.0, 0.0]),
        ("probability_good", [1.5, 2.0]),
    ):
        scores = load(ModelType.ONNX, content, result_output=wanted).score(ROWS)
        assert (scores.result.tolist(), scores.labels) == (results, ["fair", "bad"]), wanted
    with pytest.raises(
        ModelRejected, match=r"which is not an output of the model: choose one of label, maps$"
    ):
        load(ModelType.ONNX, content, result_output="scores")


def test_of_several_outputs_one_must_be_chosen(load: Load) -> None:
    content = by_sign([helper.make_node("Neg", ["score"], ["risk"])], value("risk", None, 1), SCORE)
    with pytest.raises(ModelRejected) as caught:
        load(ModelType.ONNX, content)
    assert str(caught.value) == (
        "the model has the outputs risk, score: say in result_output which one gives the result"
    )
    scores = load(ModelType.ONNX, content, result_output="risk").score(POSITIVE)
    assert told(scores) == ([-3.0, 2.0], [], {"risk": [-3.0, 2.0], "score": [3.0, -2.0]})


def test_a_label_without_known_classes_needs_a_number(load: Load) -> None:
    as_text = helper.make_node("Cast", ["score"], ["label"], to=TEXT)
    with pytest.raises(ModelRejected, match="does not state its classes, so there is no number for it"):
        load(ModelType.ONNX, by_sign([as_text], value("label", None, 1, kind=TEXT)))
    model = load(ModelType.ONNX, by_sign([as_text], value("label", None, 1, kind=TEXT), SCORE))
    assert model.score(POSITIVE).result.tolist() == [3.0, -2.0]
    assert "does not state the classes" in description_of(model).notes[0]


def test_a_label_that_is_not_a_class_costs_its_record(load: Load) -> None:
    unknown = ml(
        "LabelEncoder", ["index"], ["label"], keys_int64s=[0], values_strings=["no"], default_string="?"
    )
    model = load(ModelType.ONNX, by_sign([unknown], LABEL))
    with pytest.raises(ScoringFailed, match=r"^the model predicts '\?', which is not among its classes$"):
        model.score(POSITIVE)


@pytest.mark.parametrize("rule", [OutputRule.AUTO, OutputRule.ARGMAX, OutputRule.VALUE])
def test_a_model_says_what_it_is(load: Load, rule: OutputRule) -> None:
    described = description_of(load(ModelType.ONNX, classifier([3, 5, 8], zip_map=True), output=rule))
    assert (described.kind, described.evaluator.startswith("ONNX Runtime 1.")) == ("ONNX", True)
    assert [(each.name, each.type, each.field) for each in described.inputs] == [
        ("x", "float32 [n, 2]", "first_number"),
        ("x", "float32 [n, 2]", "other"),
    ]
    assert described.classes == ("3", "5", "8")
    assert described.outputs == ("probability_3", "probability_5", "probability_8")
    is_index = rule is OutputRule.ARGMAX
    assert described.result == (
        "the index of the label (label) among the classes"
        if is_index
        else "the number that the label (label) spells"
    )
