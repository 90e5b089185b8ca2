"""TreeModel: strategies for missing values and for no true child, scores and distributions (PMML 4.4)."""

from __future__ import annotations

import numpy as np
import pytest

from model_serving.core.engine import description_of
from model_serving.core.errors import ModelRejected
from model_serving.engines.pmml.evaluator.models.tree_nodes import NO_DEFAULT
from tests.pmml_cases import load_document
from tests.pmml_documents import document, score

FIELDS = {"x": "double", "c": "string", "y": "string: a b"}
NUMBERS = {"x": "double", "c": "string", "y": "double"}


def tree(nodes: str, fields: dict[str, str], function: str = "classification", **attributes: str) -> str:
    said = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return document(f'<TreeModel functionName="{function}"{said}>{{schema}}{nodes}</TreeModel>', fields)


def node(score: str | None, predicate: str, *parts: str, **attributes: str) -> str:
    said = "".join(f' {name}="{value}"' for name, value in attributes.items())
    given = "" if score is None else f' score="{score}"'
    return f"<Node{given}{said}>{predicate}{''.join(parts)}</Node>"


def less(value: float, field: str = "x") -> str:
    return f'<SimplePredicate field="{field}" operator="lessThan" value="{value}"/>'


def more(value: float, field: str = "x") -> str:
    return f'<SimplePredicate field="{field}" operator="greaterOrEqual" value="{value}"/>'


def shares(*counts: tuple[str, float], **more_said: str) -> str:
    said = "".join(f' {name}="{value}"' for name, value in more_said.items())
    return "".join(
        f'<ScoreDistribution value="{label}" recordCount="{count}"{said}/>' for label, count in counts
    )


SPLIT = node("1", "<True/>", node("2", less(5), id="low"), node("3", more(5), id="high"), defaultChild="high")


@pytest.mark.parametrize(
    ("strategy", "for_missing"),
    [
        ("none", np.nan),
        ("lastPrediction", 1.0),
        ("nullPrediction", np.nan),
        ("defaultChild", 3.0),
    ],
)
def test_a_strategy_decides_where_a_predicate_is_unknown(strategy: str, for_missing: float) -> None:
    content = tree(SPLIT, NUMBERS, "regression", missingValueStrategy=strategy)
    found = score(content, [{"x": 4.9}, {"x": 5}, {"x": None}])
    np.testing.assert_array_equal(found.result, [2.0, 3.0, for_missing])


@pytest.mark.parametrize("named", ["", "other"])
@pytest.mark.parametrize("penalty", ["1", "0.5"])
def test_a_record_fails_where_a_default_child_is_asked_for_and_none_is_named(
    named: str, penalty: str
) -> None:
    asked = {"missingValueStrategy": "defaultChild", "missingValuePenalty": penalty}
    content = tree(
        SPLIT.replace('defaultChild="high"', f'defaultChild="{named}"'), NUMBERS, "regression", **asked
    )
    found = score(content, [{"x": 4.9, "c": "u"}, {"x": 5, "c": "u"}, {"x": None, "c": "u"}])
    np.testing.assert_array_equal(found.result, [2.0, 3.0, np.nan])
    assert found.why is not None
    assert found.why(2) == "it has no value of 'x'"
    assert description_of(load_document(content.encode())).notes == (NO_DEFAULT,)
    assert description_of(load_document(tree(SPLIT, NUMBERS, "regression", **asked).encode())).notes == ()


def test_a_model_behind_a_tree_without_a_default_child_predicts_nothing() -> None:
    # So do the documents of CatBoost: a second model of the chain tells the class by the sum of the trees.
    nodes = node("-1", "<True/>", node("1", less(5)), node("2", "<True/>", id="other"))
    inner = '<MiningSchema><MiningField name="x"/></MiningSchema>'
    sums = (
        f'<TreeModel functionName="regression" missingValueStrategy="defaultChild">{inner}<Output>'
        f'<OutputField name="sum" optype="continuous" dataType="double"/></Output>{nodes}</TreeModel>'
    )
    last = (
        '<TreeModel functionName="classification"><MiningSchema><MiningField name="sum"/></MiningSchema>'
        f"{node(None, '<True/>', node('a', more(1.5, 'sum')), node('b', '<True/>'))}</TreeModel>"
    )
    segments = "".join(f"<Segment><True/>{one}</Segment>" for one in (sums, last))
    content = document(
        '<MiningModel functionName="classification">{schema}'
        f'<Segmentation multipleModelMethod="modelChain">{segments}</Segmentation></MiningModel>',
        FIELDS,
    )
    found = score(content, [{"x": 9}, {"x": 1}, {"x": None}])
    assert found.labels == ["a", "b", ""]


def test_the_strategy_none_goes_on_to_the_next_child() -> None:
    nodes = node("1", "<True/>", node("2", less(5)), node("3", "<True/>"))
    assert score(tree(nodes, NUMBERS, "regression"), [{"x": None}, {"x": 9}]).result.tolist() == [3.0, 3.0]


def test_an_unknown_predicate_decides_before_a_true_one_after_it() -> None:
    nodes = node("1", "<True/>", node("2", less(5)), node("3", "<True/>"))
    content = tree(nodes, NUMBERS, "regression", missingValueStrategy="lastPrediction")
    assert score(content, [{"x": None}, {"x": 9}]).result.tolist() == [1.0, 3.0]


@pytest.mark.parametrize(
    ("strategy", "result"), [("returnNullPrediction", np.nan), ("returnLastPrediction", 1.0)]
)
def test_no_true_child_gives_nothing_or_the_node_itself(strategy: str, result: float) -> None:
    nodes = node("1", "<True/>", node("2", less(5)), node("3", less(7)))
    content = tree(nodes, NUMBERS, "regression", noTrueChildStrategy=strategy)
    np.testing.assert_array_equal(score(content, [{"x": 6}, {"x": 8}]).result, [3.0, result])


def test_a_root_that_is_not_true_gives_nothing() -> None:
    found = score(tree(node("1", less(5)), NUMBERS, "regression"), [{"x": 4}, {"x": 6}, {"x": None}])
    np.testing.assert_array_equal(found.result, [1.0, np.nan, np.nan])


def test_many_categories_are_told_apart_and_unknown_ones_are_in_no_set() -> None:
    names = [f"n{number}" for number in range(300)]

    def of(some: list[str], operator: str = "isIn") -> str:
        array = f'<Array n="{len(some)}" type="string">{" ".join(some)}</Array>'
        return f'<SimpleSetPredicate field="c" booleanOperator="{operator}">{array}</SimpleSetPredicate>'

    nodes = node(
        "0",
        "<True/>",
        node("1", of(names[:100])),
        node("2", of(names[50:200])),
        node("3", '<SimplePredicate field="c" operator="equal" value="n250"/>'),
        node("4", of(names[:299], "isNotIn")),
    )
    content = tree(nodes, NUMBERS, "regression")
    texts = ["n0", "n75", "n150", "n250", "n299", "new", "n260", None]
    right = [1.0, 1.0, 2.0, 3.0, 4.0, 4.0, np.nan, np.nan]
    np.testing.assert_array_equal(score(content, [{"c": text} for text in texts]).result, right)


@pytest.mark.parametrize(
    ("operator", "right"),
    [
        ("and", [1, 2, 2, 3, 2]),
        ("or", [1, 1, 2, 1, 3]),
        ("xor", [2, 1, 2, 3, 3]),
        ("surrogate", [1, 1, 2, 1, 2]),
    ],
)
def test_compound_predicates_lead_on_as_they_are_evaluated(operator: str, right: list[float]) -> None:
    fields = {"x": "double", "z": "double", "y": "double"}
    predicate = f'<CompoundPredicate booleanOperator="{operator}">{less(5)}{less(5, "z")}</CompoundPredicate>'
    nodes = node("0", "<True/>", node("1", predicate), node("2", "<True/>"), node("3", "<True/>", id="m"))
    content = tree(
        nodes.replace("<Node", '<Node defaultChild="m"', 1),
        fields,
        "regression",
        missingValueStrategy="defaultChild",
    )
    rows: list[dict[str, float | None]] = [
        {"x": 1, "z": 1},
        {"x": 1, "z": 9},
        {"x": 9, "z": 9},
        {"x": None, "z": 1},
        {"x": None, "z": 9},
    ]
    assert score(content, rows).result.tolist() == right


def test_probabilities_are_the_shares_of_the_counts_and_follow_the_target() -> None:
    nodes = node("b", "<True/>", shares(("b", 3), ("a", 1)))
    found = score(tree(nodes, FIELDS), [{"x": 1}])
    assert found.labels == ["b"]
    assert [found.outputs["probability_a"][0], found.outputs["probability_b"][0]] == [0.25, 0.75]


def test_given_probabilities_count_and_counts_do_not() -> None:
    distribution = (
        '<ScoreDistribution value="a" recordCount="1" probability="0.4"/>'
        '<ScoreDistribution value="b" recordCount="1" probability="0.6"/>'
    )
    found = score(tree(node("a", "<True/>", distribution), FIELDS), [{"x": 1}])
    assert found.labels == ["a"]
    np.testing.assert_allclose(found.outputs["probability_b"], [0.6])


def test_a_node_without_a_score_has_the_class_with_the_greatest_count_the_first_on_ties() -> None:
    nodes = node(
        None,
        "<True/>",
        node(None, less(5), shares(("a", 1), ("b", 2))),
        node(None, more(5), shares(("b", 2), ("a", 2))),
    )
    assert score(tree(nodes, FIELDS), [{"x": 1}, {"x": 9}]).labels == ["b", "b"]


def test_scores_of_32_bits_are_rounded_to_them() -> None:
    nodes = node("0.1", "<True/>")
    plain, single = (tree(nodes, NUMBERS, "regression", **said) for said in ({}, {"x-mathContext": "float"}))
    assert score(plain, [{"x": 1}]).result[0] == 0.1
    assert score(single, [{"x": 1}]).result[0] == float(np.float32(0.1))


def test_the_id_of_the_node_is_an_entity_and_is_counted_where_it_is_not_given() -> None:
    output = (
        '<Output><OutputField name="n" dataType="integer" optype="categorical" feature="entityId"/></Output>'
    )
    nodes = node("1", "<True/>", node("2", less(5), id="77"), node("3", more(5)))
    content = tree(output + nodes, NUMBERS, "regression")
    assert score(content, [{"x": 1}, {"x": 9}]).outputs["n"].tolist() == [77.0, 3.0]


CONFIDENT = node(
    "a",
    "<True/>",
    shares(("a", 6), ("b", 4)),
    node("a", less(5), shares(("a", 5), ("b", 1), confidence="0.8"), id="low", recordCount="6"),
    node("b", more(5), shares(("a", 1), ("b", 3), confidence="0.6"), id="high", recordCount="4"),
    defaultChild="high",
    recordCount="10",
)
CONFIDENCE = (
    '<Output><OutputField name="sure" dataType="double" optype="continuous" feature="confidence"/></Output>'
)


def test_a_default_child_is_less_sure_by_the_penalty() -> None:
    content = tree(
        CONFIDENCE + CONFIDENT, FIELDS, missingValueStrategy="defaultChild", missingValuePenalty="0.5"
    )
    found = score(content, [{"x": 1}, {"x": 9}, {"x": None}])
    assert found.labels == ["a", "b", "b"]
    np.testing.assert_allclose(found.outputs["sure"], [0.8, 0.6, 0.3])


def test_weighted_confidences_are_those_of_the_children_by_their_counts() -> None:
    # 0.6 of the records have a with 0.8 and b with 0.8 (both are said), 0.4 have 0.6 for each.
    nodes = CONFIDENT.replace(
        'value="b" recordCount="1" confidence="0.8"', 'value="b" recordCount="1" confidence="0.1"'
    )
    nodes = nodes.replace(
        'value="a" recordCount="1" confidence="0.6"', 'value="a" recordCount="1" confidence="0.2"'
    )
    found = score(
        tree(CONFIDENCE + nodes, FIELDS, missingValueStrategy="weightedConfidence"), [{"x": None}, {"x": 9}]
    )
    assert found.labels == ["a", "b"]
    np.testing.assert_allclose(found.outputs["sure"], [0.6 * 0.8 + 0.4 * 0.2, 0.6])


def test_aggregated_nodes_add_their_counts() -> None:
    found = score(tree(CONFIDENT, FIELDS, missingValueStrategy="aggregateNodes"), [{"x": None}, {"x": 1}])
    assert found.labels == ["a", "a"]
    np.testing.assert_allclose(found.outputs["probability_a"], [6 / 10, 5 / 6])


def test_aggregated_nodes_add_the_counts_of_their_distributions_whatever_their_probabilities() -> None:
    """PMML 4.4, TreeModel, aggregateNodes: the recordCounts of each value in all leaves in reach."""
    smoothed = '<ScoreDistribution value="a" recordCount="{}" probability="{}"/>'.format
    other = '<ScoreDistribution value="b" recordCount="{}" probability="{}"/>'.format
    leaves = node("a", less(5), smoothed(4, 0.99), other(3, 0.01)) + node(
        "b", more(5), smoothed(1, 0.9), other(3, 0.1)
    )
    content = tree(node("a", "<True/>", leaves), FIELDS, missingValueStrategy="aggregateNodes")
    found = score(content, [{"x": None}, {"x": 1}])
    assert found.labels == ["b", "a"]
    np.testing.assert_allclose(found.outputs["probability_b"], [6 / 11, 0.01])


def test_a_value_that_cannot_be_computed_fails_only_records_on_whose_way_it_is() -> None:
    derived = (
        '<LocalTransformations><DerivedField name="d" dataType="double" optype="continuous">'
        '<FieldRef field="c"/></DerivedField></LocalTransformations>'
    )
    nodes = node("0", "<True/>", node("1", less(5)), node("2", less(5, "d")), node("3", "<True/>"))
    content = tree(derived + nodes, NUMBERS, "regression")
    rows = [{"x": 1, "c": "4"}, {"x": 1, "c": "no number"}, {"x": 9, "c": "4"}, {"x": 9, "c": "no number"}]
    np.testing.assert_array_equal(score(content, rows).result, [1.0, 1.0, 2.0, np.nan])


def test_a_tree_as_deep_as_a_document_may_be_is_walked_to_its_end() -> None:
    nodes = node("990", "<True/>")
    for depth in range(989, -1, -1):
        nodes = node(str(depth), more(depth), nodes)
    content = tree(nodes, NUMBERS, "regression", noTrueChildStrategy="returnLastPrediction")
    assert score(content, [{"x": 500.5}, {"x": 2000}]).result.tolist() == [500.0, 990.0]


@pytest.mark.parametrize(
    ("nodes", "attributes", "says"),
    [
        (node("1", "<True/>", '<Regression functionName="regression"/>'), {}, "element Regression in Node"),
        (node("1", "<True/><True/>"), {}, "several predicates"),
        (node("1", ""), {}, "Node without a predicate"),
        (node("much", "<True/>"), {}, "score 'much'"),
        (node("1", "<True/>"), {"missingValueStrategy": "guess"}, "missingValueStrategy 'guess'"),
        (node("1", "<True/>"), {"missingValueStrategy": "aggregateNodes"}, "without recordCount"),
        (node("1", "<True/>"), {"missingValuePenalty": "2"}, "missingValuePenalty"),
        ("", {}, "TreeModel without a Node"),
    ],
)
def test_what_is_wrong_or_not_known_is_refused_by_name(
    nodes: str, attributes: dict[str, str], says: str
) -> None:
    with pytest.raises(ModelRejected, match=says):
        score(tree(nodes, NUMBERS, "regression", **attributes), [{"x": 1}])
