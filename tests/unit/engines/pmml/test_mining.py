"""MiningModel: segments, how their predictions are combined, and chains (PMML 4.4, Multiple Models)."""

from __future__ import annotations

from collections.abc import Callable
from math import exp

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected
from model_serving.engines.pmml.evaluator.models.forest import Forest
from tests.pmml_cases import load_document
from tests.pmml_documents import document, score

NUMBERS = {"x": "double", "z": "double", "y": "double"}
CLASSES = {"x": "double", "z": "double", "y": "string: a b c"}
REGRESSION, CLASSIFICATION = "regression", "classification"


def mining(
    segments: str, fields: dict[str, str], function: str, method: str, rest: str = "", **said: str
) -> str:
    attributes = "".join(f' {name}="{value}"' for name, value in said.items())
    return document(
        f'<MiningModel functionName="{function}">{{schema}}{rest}'
        f'<Segmentation multipleModelMethod="{method}"{attributes}>{segments}</Segmentation></MiningModel>',
        fields,
    )


def segment(model: str, predicate: str = "<True/>", **said: str) -> str:
    attributes = "".join(f' {name}="{value}"' for name, value in said.items())
    return f"<Segment{attributes}>{predicate}{model}</Segment>"


def above(value: float, field: str = "x") -> str:
    return f'<SimplePredicate field="{field}" operator="greaterThan" value="{value}"/>'


SCHEMA = '<MiningSchema><MiningField name="x"/><MiningField name="z"/></MiningSchema>'


def constant_tree(score: object, shares: str = "", function: str = REGRESSION) -> str:
    """A tree with one score where x is present, and none where it is missing."""
    return (
        f'<TreeModel functionName="{function}" missingValueStrategy="nullPrediction">{SCHEMA}<Node><True/>'
        f'<Node score="{score}">{above(-1e9)}{shares}</Node></Node></TreeModel>'
    )


def line(slope: float, rest: str = "", intercept: float = 0.0) -> str:
    return (
        f'<RegressionModel functionName="regression">{SCHEMA}{rest}<RegressionTable intercept="{intercept}">'
        f'<NumericPredictor name="x" coefficient="{slope}"/></RegressionTable></RegressionModel>'
    )


def distribution(**counts: float) -> str:
    return "".join(f'<ScoreDistribution value="{one}" recordCount="{n}"/>' for one, n in counts.items())


@pytest.mark.parametrize("model", [constant_tree, lambda value: line(0.0, "", value)], ids=["trees", "lines"])
@pytest.mark.parametrize(
    ("method", "right"),
    [
        ("sum", 1 + 10 + 4 + 2),
        ("average", 17 / 4),
        ("median", 3.0),
        ("max", 10.0),
        ("weightedSum", 1 * 1 + 10 * 2 + 4 * 3 + 2 * 4),
        ("weightedAverage", 41 / 10),
        ("weightedMedian", 2.0),
        ("x-weightedSum", 41.0),
    ],
)
def test_numbers_are_combined(method: str, right: float, model: Callable[[float], str]) -> None:
    segments = "".join(
        segment(model(value), weight=str(place)) for place, value in enumerate((1, 10, 4, 2), 1)
    )
    found = score(mining(segments, NUMBERS, REGRESSION, method), [{"x": 1}, {"x": 2}])
    np.testing.assert_allclose(found.result, [right, right], rtol=1e-15)


@pytest.mark.parametrize(
    ("treatment", "threshold", "right"),
    [
        ("continue", "1", np.nan),
        ("returnMissing", "1", np.nan),
        ("skipSegment", "1", 5.0),
        ("skipSegment", "0.4", np.nan),
    ],
)
def test_a_missing_prediction_is_treated_as_the_segmentation_says(
    treatment: str, threshold: str, right: float
) -> None:
    other = constant_tree(5).replace('field="x"', 'field="z"')
    segments = segment(constant_tree(3)) + segment(other)
    content = mining(
        segments,
        NUMBERS,
        REGRESSION,
        "average",
        missingPredictionTreatment=treatment,
        missingThreshold=threshold,
    )
    rows: list[dict[str, float | None]] = [{"x": 1, "z": 1}, {"x": None, "z": 1}, {"x": None, "z": None}]
    np.testing.assert_array_equal(score(content, rows).result, [4.0, right, np.nan])


@pytest.mark.parametrize(("method", "right"), [("average", 5.0), ("weightedAverage", np.nan)])
def test_the_missing_share_is_one_of_weights_only_where_the_method_has_weights(
    method: str, right: float
) -> None:
    """PMML 4.4, Multiple Models, skipSegment: the fraction is weighted if the combination method is."""
    other = constant_tree(5).replace('field="x"', 'field="z"')
    segments = segment(constant_tree(3), weight="3") + segment(other)
    content = mining(
        segments,
        NUMBERS,
        REGRESSION,
        method,
        missingPredictionTreatment="skipSegment",
        missingThreshold="0.6",
    )
    np.testing.assert_array_equal(score(content, [{"x": None, "z": 1}]).result, [right])


def test_a_segment_that_a_record_does_not_belong_to_counts_nowhere_and_cannot_make_it_fail() -> None:
    derived = (
        '<LocalTransformations><DerivedField name="d" dataType="double" optype="continuous">'
        '<FieldRef field="t"/></DerivedField></LocalTransformations>'
    )
    reading = line(1.0, derived).replace('name="x" coeff', 'name="d" coeff')
    segments = segment(reading, above(0)) + segment(line(2.0))
    fields = {**NUMBERS, "t": "string"}
    content = mining(segments, fields, REGRESSION, "sum")
    rows = [{"x": 1, "t": "10"}, {"x": -1, "t": "no number"}, {"x": 1, "t": "no number"}]
    np.testing.assert_array_equal(score(content, rows).result, [12.0, -2.0, np.nan])


def test_no_segment_means_no_result() -> None:
    for method in ("sum", "selectFirst", "modelChain", "median"):
        content = mining(segment(line(1.0), above(0)), NUMBERS, REGRESSION, method)
        np.testing.assert_array_equal(score(content, [{"x": -1}, {"x": 2}]).result, [np.nan, 2.0])


def test_32_bit_sums_are_made_in_the_order_of_the_trees() -> None:
    values = [16777216.0, 1.0, 1.0, 0.1]
    segments = "".join(
        segment(constant_tree(value).replace("<TreeModel", '<TreeModel x-mathContext="float"'))
        for value in values
    )
    content = mining(segments, NUMBERS, REGRESSION, "sum").replace(
        "<MiningModel", '<MiningModel x-mathContext="float"'
    )
    total = np.float32(0.0)
    for value in values:
        total = np.float32(total + np.float32(value))
    assert total != np.float32(sum(values))
    assert score(content, [{"x": 1}, {"x": 1}]).result.tolist() == [float(total)] * 2


VOTES = [("a", 1.0), ("b", 1.5), ("a", 1.0), ("c", 2.5)]


@pytest.mark.parametrize(
    ("method", "label", "shares"),
    [("majorityVote", "a", [0.5, 0.25, 0.25]), ("weightedMajorityVote", "c", [2 / 6, 1.5 / 6, 2.5 / 6])],
)
def test_votes_are_counted(method: str, label: str, shares: list[float]) -> None:
    segments = "".join(
        segment(constant_tree(one, function=CLASSIFICATION), weight=str(weight)) for one, weight in VOTES
    )
    found = score(mining(segments, CLASSES, CLASSIFICATION, method), [{"x": 1}])
    assert found.labels == [label]
    np.testing.assert_allclose([found.outputs[f"probability_{one}"][0] for one in "abc"], shares)


@pytest.mark.parametrize("predicate", ["<True/>", above(-9)], ids=["forest", "with conditions"])
def test_on_ties_the_class_wins_that_the_first_model_votes_for(predicate: str) -> None:
    segments = "".join(
        segment(constant_tree(one, function=CLASSIFICATION), predicate) for one in ("c", "a", "a", "c")
    )
    assert score(mining(segments, CLASSES, CLASSIFICATION, "majorityVote"), [{"x": 1}, {"x": 2}]).labels == [
        "c",
        "c",
    ]


def test_a_missing_prediction_is_a_vote_for_no_result() -> None:
    without = constant_tree("a", function=CLASSIFICATION).replace('field="x"', 'field="z"')
    segments = segment(constant_tree("b", function=CLASSIFICATION)) + segment(without) * 2
    content = mining(segments, CLASSES, CLASSIFICATION, "majorityVote")
    rows: list[dict[str, float | None]] = [{"x": 1, "z": None}, {"x": 1, "z": 1}]
    assert score(content, rows).labels == ["", "a"]
    skipping = content.replace("majorityVote", 'majorityVote" missingPredictionTreatment="skipSegment')
    assert score(skipping, rows).labels == ["b", "a"]


THREE = [
    constant_tree("a", distribution(a=6, b=2, c=2), CLASSIFICATION),
    constant_tree("b", distribution(b=7, a=3), CLASSIFICATION),
    constant_tree("c", distribution(c=8, b=2), CLASSIFICATION),
]


@pytest.mark.parametrize(
    ("method", "right"),
    [
        ("average", [0.3, 11 / 30, 1 / 3]),
        ("weightedAverage", [(0.6 + 0.6) / 6, (0.2 + 1.4 + 0.6) / 6, (0.2 + 2.4) / 6]),
        # The winner's greatest probability is that of c in the third model; the medians are 0.3, 0.2 and 0.2.
        ("max", [0.0, 0.2, 0.8]),
        ("median", [0.3, 0.7, 0.0]),
    ],
)
def test_probabilities_are_combined_by_class_not_by_position(method: str, right: list[float]) -> None:
    segments = "".join(segment(one, weight=str(place)) for place, one in enumerate(THREE, 1))
    found = score(mining(segments, CLASSES, CLASSIFICATION, method), [{"x": 1}])
    np.testing.assert_allclose([found.outputs[f"probability_{one}"][0] for one in "abc"], right)
    assert found.labels == ["abc"[int(np.argmax(right))]]


def test_a_forest_is_one_walk_and_gives_the_same_as_its_trees_one_by_one() -> None:
    rng = np.random.default_rng(3)

    def grown(depth: int) -> str:
        if not depth:
            return distribution(**{one: int(rng.integers(1, 9)) for one in "abc"})
        name, value = ("x", "z")[rng.integers(2)], round(float(rng.normal()), 2)
        low = f'<SimplePredicate field="{name}" operator="lessOrEqual" value="{value}"/>'
        high = low.replace("lessOrEqual", "greaterThan")
        return "".join(f'<Node score="a">{one}{grown(depth - 1)}</Node>' for one in (low, high))

    trees = [
        f'<TreeModel functionName="classification" missingValueStrategy="lastPrediction">{SCHEMA}'
        f'<Node score="b"><True/>{distribution(a=1, b=1, c=2)}{grown(int(rng.integers(1, 6)))}</Node>'
        "</TreeModel>"
        for _ in range(12)
    ]
    together = mining("".join(map(segment, trees)), CLASSES, CLASSIFICATION, "average")
    output = '<Output><OutputField name="n" feature="entityId" segmentId="3" dataType="string"/></Output>'
    apart = mining("".join(map(segment, trees)), CLASSES, CLASSIFICATION, "average", output)
    model = load_document(together.encode())
    assert isinstance(model._compiled.node.predictor, Forest)  # type: ignore[attr-defined]
    rows: list[dict[str, float | None]] = [
        {"x": None if rng.random() < 0.1 else float(rng.normal()), "z": float(rng.normal())}
        for _ in range(40)
    ]
    one, other = score(together, rows), score(apart, rows)
    assert one.labels == other.labels
    for label in "abc":
        np.testing.assert_allclose(
            one.outputs[f"probability_{label}"], other.outputs[f"probability_{label}"], rtol=1e-14
        )


def test_the_first_segment_of_a_record_is_selected_with_its_outputs() -> None:
    segments = segment(THREE[0], above(5)) + segment(THREE[1], above(2)) + segment(THREE[2])
    output = (
        '<Output><OutputField name="pb" feature="probability" value="b" dataType="double"/>'
        '<OutputField name="label" feature="predictedValue" dataType="string" optype="categorical"/></Output>'
    )
    found = score(
        mining(segments, CLASSES, CLASSIFICATION, "selectFirst", output), [{"x": 9}, {"x": 3}, {"x": 0}]
    )
    assert found.labels == ["a", "b", "c"]
    np.testing.assert_allclose(found.outputs["pb"], [0.2, 0.7, 0.2])
    np.testing.assert_allclose(found.outputs["probability_c"], [0.2, 0.0, 0.8])


def test_an_output_may_ask_a_segment_which_says_nothing_of_other_records() -> None:
    output = (
        '<Output><OutputField name="one" segmentId="s" feature="predictedValue" dataType="double" '
        'optype="continuous"/></Output>'
    )
    segments = segment(line(2.0), above(0), id="s") + segment(line(3.0), id="t")
    found = score(mining(segments, NUMBERS, REGRESSION, "sum", output), [{"x": 1}, {"x": -1}])
    assert found.result.tolist() == [5.0, -3.0]
    np.testing.assert_array_equal(found.outputs["one"], [2.0, np.nan])


def named_output(name: str) -> str:
    return (
        f'<Output><OutputField name="{name}" feature="predictedValue" dataType="double" optype="continuous" '
        'isFinalResult="false"/></Output>'
    )


LOGISTIC = (
    '<RegressionModel functionName="classification" normalizationMethod="logit"><MiningSchema>'
    '<MiningField name="q"/><MiningField name="y" usageType="target"/></MiningSchema>'
    '<RegressionTable intercept="0" targetCategory="b"><NumericPredictor name="q" coefficient="1"/>'
    '</RegressionTable><RegressionTable intercept="0" targetCategory="a"/></RegressionModel>'
)


def test_a_model_of_a_chain_sees_what_those_before_it_say() -> None:
    boosted = (
        f'<MiningModel functionName="regression">{SCHEMA}{named_output("q")}'
        '<Segmentation multipleModelMethod="sum">'
        f"{segment(constant_tree(0.5))}{segment(constant_tree(0.75))}</Segmentation></MiningModel>"
    )
    content = mining(segment(boosted) + segment(LOGISTIC), CLASSES, CLASSIFICATION, "modelChain")
    found = score(content, [{"x": 1}, {"x": None}])
    assert found.labels == ["b", ""]
    np.testing.assert_allclose(found.outputs["probability_b"], [1 / (1 + exp(-1.25)), np.nan])


def test_an_output_of_a_segment_is_missing_for_records_of_others_and_the_last_one_counts() -> None:
    segments = (
        segment(line(1.0, named_output("q")), above(0))
        + segment(line(100.0, named_output("q")), above(10))
        + segment(
            '<TreeModel functionName="regression"><MiningSchema><MiningField name="q"/></MiningSchema>'
            '<Node score="0"><True/><Node score="-1"><SimplePredicate field="q" operator="isMissing"/></Node>'
            '<Node score="1"><SimplePredicate field="q" operator="lessThan" value="100"/></Node>'
            '<Node score="2"><True/></Node></Node></TreeModel>'
        )
    )
    content = mining(segments, NUMBERS, REGRESSION, "modelChain")
    assert score(content, [{"x": -1}, {"x": 5}, {"x": 50}]).result.tolist() == [-1.0, 1.0, 2.0]


def test_a_chain_ends_with_the_last_segment_that_a_record_belongs_to() -> None:
    segments = segment(line(1.0)) + segment(line(2.0), above(0)) + segment(line(3.0), above(10))
    found = score(mining(segments, NUMBERS, REGRESSION, "modelChain"), [{"x": -1}, {"x": 5}, {"x": 20}])
    assert found.result.tolist() == [-1.0, 10.0, 60.0]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (mining(segment(line(1)) * 2, NUMBERS, REGRESSION, "selectAll"), "selectAll"),
        (mining(segment(line(1)), NUMBERS, REGRESSION, "guess"), "multipleModelMethod 'guess'"),
        (
            mining(segment(line(1)), NUMBERS, REGRESSION, "majorityVote"),
            "'majorityVote' of a MiningModel for regression",
        ),
        (
            mining(segment(THREE[0]), CLASSES, CLASSIFICATION, "sum"),
            "'sum' of a MiningModel for classification",
        ),
        (mining("", NUMBERS, REGRESSION, "sum"), "Segmentation without a Segment"),
        (mining(segment(line(1) * 2), NUMBERS, REGRESSION, "sum"), "2 models where one belongs"),
        (mining(segment(line(1), ""), NUMBERS, REGRESSION, "sum"), "0 predicates where one belongs"),
        (mining(segment(line(1), weight="-1"), NUMBERS, REGRESSION, "sum"), "weight '-1'"),
        (
            mining(segment(line(1), id="s") * 2, NUMBERS, REGRESSION, "sum"),
            "two Segments with the id 's'",
        ),
        (
            mining(segment(THREE[0]), NUMBERS, REGRESSION, "average"),
            "a model for classification in a MiningModel",
        ),
        (
            mining(segment(THREE[0]), NUMBERS, REGRESSION, "modelChain"),
            "ends with a model for classification",
        ),
        (
            document('<MiningModel functionName="regression">{schema}</MiningModel>', NUMBERS),
            "without a Segmentation",
        ),
    ],
)
def test_what_is_wrong_or_means_something_else_is_refused(content: str, says: str) -> None:
    with pytest.raises(ModelRejected, match=says):
        score(content, [{"x": 1}])
