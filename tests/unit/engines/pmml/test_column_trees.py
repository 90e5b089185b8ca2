"""Trees that are read in columns: the same answers, and the same refusals, as node by node."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from model_serving.core.engine import LoadedModel, Scores
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.engines.limits import Limits
from model_serving.engines.pmml import plain_trees
from model_serving.engines.pmml.engine import PmmlEngine
from model_serving.engines.pmml.evaluator.models import trees
from model_serving.engines.pmml.evaluator.models.column_trees import ColumnTree, read_column_tree
from model_serving.engines.pmml.plain_trees import PlainTrees
from tests.unit.engines.pmml_builders import (
    CLASSES,
    SCHEMA,
    RandomTrees,
    class_target,
    document,
    ensemble,
    numeric_target,
    simple,
    tree,
)

PAIRS = (
    ("lessOrEqual", "greaterThan"),
    ("greaterThan", "lessOrEqual"),
    ("lessThan", "greaterOrEqual"),
    ("greaterOrEqual", "lessThan"),
)
OUTPUT = (
    '<Output><OutputField name="node" feature="entityId" optype="categorical" dataType="string"/></Output>'
)


class Splits:
    """Random trees of splits; ``scores`` are those of the nodes."""

    def __init__(self, seed: int, scores: tuple[str, ...], *, ids: bool) -> None:
        self._rng = np.random.default_rng(seed)
        self._scores, self._ids, self._count = scores, ids, 0

    def node(self, depth: int, predicate: str = "<True/>") -> str:
        rng = self._rng
        self._count += 1
        name = f"n{self._count}"
        said = f' score="{rng.choice(self._scores)}"' if rng.random() < 0.9 else ""
        said += f' id="{name}"' if self._ids else ""
        said += f' recordCount="{rng.integers(1, 9)}"' if rng.random() < 0.5 else ""
        if not depth or rng.random() < 0.1:
            return f"<Node{said}>{predicate}</Node>"
        field, value = rng.choice(("a", "b", "n")), round(float(rng.uniform(-2, 2)), 1)
        tests = [
            f'<SimplePredicate field="{field}" operator="{operator}" value="{value}"/>'
            for operator in PAIRS[rng.integers(len(PAIRS))]
        ]
        first = self.node(depth - 1, tests[0])
        default = rng.choice((f"n{self._count + 1}", "n0"))
        second = self.node(depth - 1, tests[1])
        return f'<Node{said} defaultChild="{default}">{predicate}{first}{second}</Node>'


def load(content: bytes) -> LoadedModel:
    return PmmlEngine(Limits()).load(ModelToServe("d", "m", ModelType.PMML, "1", "", content), SCHEMA)


def in_columns(content: bytes, monkeypatch: pytest.MonkeyPatch, trees_in_it: int = 1) -> LoadedModel:
    """Loads a document of which all trees are read in columns."""
    read: list[ColumnTree | None] = []

    def noted(*given: Any) -> ColumnTree | None:
        read.append(read_column_tree(*given))
        return read[-1]

    with monkeypatch.context() as patch:
        patch.setattr(plain_trees, "SMALLEST", 0)
        patch.setattr(trees, "read_column_tree", noted)
        model = load(content)
    assert len(read) == trees_in_it
    assert None not in read
    return model


def node_by_node(content: bytes, monkeypatch: pytest.MonkeyPatch) -> LoadedModel:
    with monkeypatch.context() as patch:
        patch.setattr(PlainTrees, "__iter__", lambda _: iter(()))
        return load(content)


def assert_same(found: Scores, expected: Scores) -> None:
    np.testing.assert_array_equal(found.result, expected.result)
    assert found.labels == expected.labels
    assert list(found.outputs) == list(expected.outputs)
    for name, values in expected.outputs.items():
        np.testing.assert_array_equal(found.outputs[name], values)


def rows(n: int) -> np.ndarray[tuple[int, int], np.dtype[np.object_]]:
    rng = np.random.default_rng(n)
    made = np.empty((n, 5), dtype=object)
    made[:] = ""
    made[:, :2] = rng.uniform(-2.5, 2.5, (n, 2)).round(1)
    made[:, 2] = rng.integers(-3, 4, n)
    made[:, :3][rng.random((n, 3)) < 0.2] = np.nan
    return made


STRATEGIES = tuple(
    f'missingValueStrategy="{missing}" noTrueChildStrategy="{no_true}"'
    for missing, no_true in product(
        ("none", "lastPrediction", "nullPrediction", "defaultChild"),
        ("returnNullPrediction", "returnLastPrediction"),
    )
)


@pytest.mark.parametrize("ids", [True, False])
@pytest.mark.parametrize("strategies", STRATEGIES)
def test_a_tree_answers_the_same_as_node_by_node(
    strategies: str, ids: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Splits(len(strategies), ("3", "5", "new", "4"), ids=ids)
    content = document(tree(made.node(6), attributes=strategies, output=OUTPUT), class_target())
    given = rows(200)
    assert_same(
        in_columns(content, monkeypatch).score(given), node_by_node(content, monkeypatch).score(given)
    )


@pytest.mark.parametrize("strategies", STRATEGIES)
def test_a_forest_of_numbers_answers_the_same_as_node_by_node(
    strategies: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Splits(7, ("0.25", "1e3", "-2"), ids=True)
    parts = [tree(made.node(5), function="regression", attributes=strategies) for _ in range(5)]
    content = document(ensemble("average", parts, function="regression"), numeric_target())
    given = rows(200)
    found = in_columns(content, monkeypatch, 5).score(given)
    assert_same(found, node_by_node(content, monkeypatch).score(given))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("strategies", STRATEGIES)
def test_trees_with_any_predicates_and_distributions_answer_the_same(
    strategies: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = RandomTrees(np.random.default_rng(seed), CLASSES, ids=True)
    parts = [tree(made.node(4), attributes=strategies) for _ in range(4)]
    content = document(ensemble("average", parts), class_target())
    given = rows(300)
    found = in_columns(content, monkeypatch, 4).score(given)
    assert_same(found, node_by_node(content, monkeypatch).score(given))


@pytest.mark.parametrize("declared", [(), ("d", "b"), ("a", "b", "c", "d")])
@pytest.mark.parametrize("seed", range(6))
def test_classes_that_are_not_declared_have_the_same_order(
    declared: tuple[str, ...], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = RandomTrees(np.random.default_rng(seed), ("d", "a", "c", "b"), ids=bool(seed % 2))
    parts = [tree(made.node(3)) for _ in range(2)]
    content = document(ensemble("average", parts), class_target(declared))
    given = rows(100)
    found = in_columns(content, monkeypatch, 2).score(given)  # the results are places in this order
    assert_same(found, node_by_node(content, monkeypatch).score(given))


def shared(*shares: str, score: str = "", more: str = "") -> str:
    """Returns a tree of three leaves, of which the first and the last one have distributions."""
    said = "".join(f"<ScoreDistribution {share}/>" for share in shares)
    return (
        f'<Node id="r"><True/><Node id="s" {score}>{simple("a", "lessThan", 0)}{said}</Node>'
        f'<Node score="4">{simple("a", "lessOrEqual", 1)}</Node><Node {more}><True/>{said}</Node>'
        f'<Node score="5">{simple("a", "lessOrEqual", 2)}</Node></Node>'
    )


SHARES = (
    ('value="3" recordCount="1"', 'value="4" recordCount="2"'),
    ('value="3" recordCount="2"', 'value="4" recordCount="2"'),
    ('value="3" recordCount="0"', 'value="4" recordCount="0"'),
    ('value="3" recordCount="9" probability="0.1"', 'value="new" recordCount="1" probability="0.9"'),
    ('value="3" recordCount="1" confidence="0.7"', 'value="4" recordCount="3"'),
    ('value="3" probability="0.5" confidence="0.1"', 'value="4" probability="0.5" confidence="0.2"'),
)


@pytest.mark.parametrize("score", ["", 'score="6"'])
@pytest.mark.parametrize("shares", SHARES)
def test_distributions_are_read_the_same(
    shares: tuple[str, ...], score: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = document(tree(shared(*shares, score=score), output=OUTPUT), class_target())
    given = rows(100)
    assert_same(
        in_columns(content, monkeypatch).score(given), node_by_node(content, monkeypatch).score(given)
    )


@pytest.mark.parametrize(
    "node",
    [
        shared('value="3"'),
        shared('value="3" recordCount="x"'),
        shared('value="3" recordCount="-1"'),
        shared('value="3" recordCount="INF"'),
        shared('recordCount="1"'),
        shared('value="3" recordCount="1" odd="2"'),
        shared('value="3" recordCount="1" confidence="x"'),
        shared('value="3" recordCount="1"', 'value="3" probability="1"'),
        shared(more='odd="1"'),
        shared(more='recordCount="many"'),
        shared().replace('operator="lessThan"', 'operator="below"'),
        shared().replace('field="a"', 'field="z"'),
        shared().replace('value="0"', 'value="zero"'),
        shared().replace("<True/></Node>", "</Node>"),
        shared().replace("<True/></Node>", "<True/><False/></Node>"),
        shared().replace("<True/></Node>", "<True/><Regression/></Node>"),
        shared().replace("<True/>", '<True odd="1"/>'),
    ],
)
def test_what_is_wrong_with_a_tree_is_said_the_same(node: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = document(tree(node), class_target())
    with pytest.raises(ModelRejected) as expected:
        node_by_node(content, monkeypatch)
    monkeypatch.setattr(plain_trees, "SMALLEST", 0)
    with pytest.raises(ModelRejected) as found:
        load(content)
    assert str(found.value) == str(expected.value)


@pytest.mark.parametrize("strategy", ["weightedConfidence", "aggregateNodes"])
def test_trees_with_several_ends_are_read_from_columns_too(
    strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = shared('value="3" recordCount="1"', 'value="4" recordCount="2"').replace(
        "<Node", '<Node recordCount="3"'
    )
    content = document(tree(node, attributes=f'missingValueStrategy="{strategy}"'), class_target())
    expected = node_by_node(content, monkeypatch).score(rows(100))
    monkeypatch.setattr(plain_trees, "SMALLEST", 0)
    assert_same(load(content).score(rows(100)), expected)


def test_numbers_are_compared_in_the_type_of_their_field(monkeypatch: pytest.MonkeyPatch) -> None:
    # 0.1 in 32 bits is more than in 64; both fields have it.
    node = (
        f'<Node score="1"><True/><Node score="2">{simple("b", "lessOrEqual", "0.1")}</Node>'
        f'<Node score="3">{simple("a", "greaterOrEqual", " 0.1 ")}</Node></Node>'
    )
    content = document(tree(node, function="regression"), numeric_target())
    given = rows(1)
    given[0] = [0.1, 0.1, 1, "", ""]
    assert in_columns(content, monkeypatch).score(given).result.tolist() == [2.0]
    given[0] = [0.1, 0.2, 1, "", ""]
    assert in_columns(content, monkeypatch).score(given).result.tolist() == [3.0]
