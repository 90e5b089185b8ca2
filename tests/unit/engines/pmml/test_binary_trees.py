"""Trees that are read in columns: the same answers as node by node, and everything else left to that way."""

from __future__ import annotations

from itertools import product
from xml.etree.ElementTree import fromstring

import numpy as np
import pytest

from model_serving.core.engine import LoadedModel
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.engines.limits import Limits
from model_serving.engines.pmml.engine import PmmlEngine
from model_serving.engines.pmml.evaluator.data_types import Kind
from model_serving.engines.pmml.evaluator.models import trees
from model_serving.engines.pmml.evaluator.models.binary_trees import read_binary_tree
from model_serving.engines.pmml.evaluator.models.bounds import Bounds
from model_serving.engines.pmml.evaluator.scope import Program, Scope
from tests.unit.engines.pmml_builders import SCHEMA, class_target, document, ensemble, numeric_target, tree

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


def node_by_node(content: bytes, monkeypatch: pytest.MonkeyPatch) -> LoadedModel:
    with monkeypatch.context() as patch:
        patch.setattr(trees, "read_binary_tree", lambda *_: None)
        return load(content)


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
    found, expected = load(content).score(given), node_by_node(content, monkeypatch).score(given)
    np.testing.assert_array_equal(found.result, expected.result)
    assert found.labels == expected.labels
    assert list(found.outputs) == list(expected.outputs)
    for name, values in expected.outputs.items():
        np.testing.assert_array_equal(found.outputs[name], values)


@pytest.mark.parametrize("strategies", STRATEGIES)
def test_a_forest_of_numbers_answers_the_same_as_node_by_node(
    strategies: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Splits(7, ("0.25", "1e3", "-2"), ids=True)
    parts = [tree(made.node(5), function="regression", attributes=strategies) for _ in range(5)]
    content = document(ensemble("average", parts, function="regression"), numeric_target())
    given = rows(200)
    found, expected = load(content).score(given), node_by_node(content, monkeypatch).score(given)
    np.testing.assert_array_equal(found.result, expected.result)


def scope() -> Scope:
    program = Program()
    inner = Scope(program)
    inner.declare(program.field("x", Kind("double", "continuous"), None, (), 0))
    inner.declare(program.field("c", Kind("string", "categorical"), None, (), 1))
    return inner


def split(first: str, second: str, more: str = "", attributes: str = "") -> str:
    return f"<Node {attributes}><True/><Node>{first}</Node><Node>{second}</Node>{more}</Node>"


def less(value: str = "1", field: str = "x") -> str:
    return f'<SimplePredicate field="{field}" operator="lessThan" value="{value}"/>'


def rest(value: str = "1", field: str = "x", operator: str = "greaterOrEqual") -> str:
    return f'<SimplePredicate field="{field}" operator="{operator}" value="{value}"/>'


def test_the_value_of_a_bound_goes_to_the_side_that_the_operators_say() -> None:
    found = read_binary_tree(fromstring(split(rest("1.0"), less("1"))), Bounds(scope()))
    assert found is not None
    assert found.thresholds.tolist() == [np.nextafter(1.0, 0.0)]
    assert (found.below.tolist(), found.is_low_first.tolist()) == ([[1, 2]], [False])
    assert [field.name for field in found.fields] == ["x"]


@pytest.mark.parametrize(
    "root",
    [
        "<Node><True/></Node>",
        split(less(), rest("2")),
        split(less(), rest(operator="greaterThan")),
        split(less(), "<True/>"),
        split(less("1", "c"), rest("1", "c")),
        split(less("INF"), rest("INF")),
        split(less(), rest(), '<ScoreDistribution value="a" recordCount="1"/>'),
        split(less(), rest(), "<Node><True/></Node>"),
        split(less(), rest(), attributes='odd="1"'),
        split(less(), rest().replace("/>", "><Extension/></SimplePredicate>")),
        split(less(), rest().replace("/>", ' odd="1"/>')),
        split(less(), '<SimplePredicate field="x" operator="isMissing"/>'),
        f"<Node><Node>{less()}</Node><True/><Node>{rest()}</Node></Node>",
        f"<Node><True/><Node>{less()}</Node></Node>",
        f"<Node><Extension/><Node>{less()}</Node><Node>{rest()}</Node></Node>",
    ],
)
def test_a_tree_of_any_other_form_is_left_to_be_read_node_by_node(root: str) -> None:
    assert read_binary_tree(fromstring(root), Bounds(scope())) is None
