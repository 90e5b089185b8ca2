"""Derived fields that are sums of multiples are computed together, with the same values as one by one."""

from __future__ import annotations

from xml.etree.ElementTree import fromstring

import numpy as np
import pytest

from model_serving.engines.pmml.evaluator.batch import Batch
from model_serving.engines.pmml.evaluator.data_types import Kind
from model_serving.engines.pmml.evaluator.expressions.derived import declare_derived
from model_serving.engines.pmml.evaluator.models.affine import Category, Product, Reader
from model_serving.engines.pmml.evaluator.models.input_matrix import InputMatrix
from model_serving.engines.pmml.evaluator.scope import Field, Program, Scope
from model_serving.engines.pmml.evaluator.symbols import Texts

X = '<FieldRef field="x"/>'
Z = '<FieldRef field="z"/>'
K = '<FieldRef field="k"/>'


def number(value: float) -> str:
    return f'<Constant dataType="double">{value}</Constant>'


def apply(function: str, *arguments: str) -> str:
    return f'<Apply function="{function}">{"".join(arguments)}</Apply>'


SCALED = apply("/", apply("-", X, number(3)), number(4))
POINTS = '<LinearNorm orig="0" norm="1"/><LinearNorm orig="4" norm="3"/>'
LINE = f'<NormContinuous field="z">{POINTS}</NormContinuous>'
ONE = '<NormDiscrete field="c" value="b"/>'
FOLDED = {
    "scaled": SCALED,
    "line": LINE,
    "one": ONE,
    "combined": apply("+", apply("*", number(2), SCALED), apply("-", LINE, apply("*", X, number(5)))),
    "product": apply("*", apply("*", X, number(2)), Z),
    "square and more": apply("+", apply("*", X, X), apply("*", number(3), ONE)),
    "nothing left": apply("-", X, X),
    "mixed": apply("+", ONE, apply("*", K, number(0.5))),
}
LEFT = {
    "product of three": apply("*", apply("*", X, Z), K),
    "product of sums": apply("*", X, apply("+", Z, number(1))),
    "quotient": apply("/", number(1), X),
    "divided by zero": apply("/", X, number(0)),
    "whole quotient": apply("/", K, '<Constant dataType="integer">2</Constant>'),
    "sum that skips": apply("sum", X, Z),
    "replaced": '<NormDiscrete field="c" value="b" mapMissingTo="0"/>',
    "bounded": LINE.replace('field="z"', 'field="z" outliers="asExtremeValues"'),
    "bent": LINE.replace('<LinearNorm orig="4"', '<LinearNorm orig="1" norm="0"/><LinearNorm orig="4"'),
}


def fields(**expressions: str) -> tuple[Scope, Batch]:
    """Returns a scope with derived fields, and a batch for the fields that they are derived from."""
    program = Program()
    scope = Scope(program)
    kinds = {
        "x": Kind("double", "continuous"),
        "z": Kind("double", "continuous"),
        "k": Kind("integer", "continuous"),
        "c": Kind("string", "categorical"),
    }
    inputs = [scope.declare(program.field(name, kind)) for name, kind in kinds.items()]
    derived = "".join(
        f'<DerivedField name="{name}" optype="continuous" dataType="double">{one}</DerivedField>'
        for name, one in expressions.items()
    )
    declare_derived(fromstring(f"<LocalTransformations>{derived}</LocalTransformations>"), scope)
    for name in expressions:
        scope.field(name)
    texts = Texts(program.symbols)
    batch = Batch(4, texts)
    values = ([1.5, -2.0, 8.0, np.nan], [0.5, 7.0, -1.0, 2.0], [3.0, 4.0, -5.0, 1.0])
    for field, column in zip(inputs, values, strict=False):
        batch.put(field, np.array(column))
    batch.put(inputs[3], texts.codes(["a", "b", "other", "b"]))
    return scope, batch


@pytest.mark.parametrize("name", FOLDED)
def test_a_sum_of_multiples_needs_only_the_inputs(name: str) -> None:
    scope, _ = fields(made=FOLDED[name])
    for part in Reader().read(scope.field("made")).parts:
        if isinstance(part, Product):
            assert {part.left.name, part.right.name} <= {"x", "z"}
        else:
            assert (part.field if isinstance(part, Category) else part).name in {"x", "z", "k", "c"}


@pytest.mark.parametrize("name", LEFT)
def test_other_expressions_are_left_as_they_are(name: str) -> None:
    scope, _ = fields(made=LEFT[name])
    field = scope.field("made")
    assert Reader().read(field).parts == {field: 1.0}


@pytest.mark.parametrize(
    "names",
    [(name,) for name in FOLDED] + [("scaled", "line"), ("one", "scaled"), tuple(FOLDED), ("one", "one")],
)
def test_the_matrix_has_the_values_that_the_fields_have(names: tuple[str, ...]) -> None:
    scope, batch = fields(**{f"f{place}": FOLDED[name] for place, name in enumerate(names)})
    columns: list[Field | Category] = [scope.field(f"f{place}") for place in range(len(names))]
    one_by_one = np.array([batch.value(field) for field in columns if isinstance(field, Field)]).T
    together = InputMatrix(columns).matrix(batch)
    missing = np.isnan(one_by_one).any(axis=1)
    np.testing.assert_allclose(together[~missing], one_by_one[~missing], atol=1e-12)
    assert np.isnan(together[missing]).any(axis=1).all()


def test_fields_that_double_at_each_step_stay_small() -> None:
    steps = {"d0": X} | {
        f"d{step}": apply("+", *[f'<FieldRef field="d{step - 1}"/>'] * 2) for step in range(1, 50)
    }
    scope, batch = fields(**steps)
    found = InputMatrix([scope.field("d49")]).matrix(batch)
    np.testing.assert_allclose(found[:, 0], np.array([1.5, -2.0, 8.0, np.nan]) * 2.0**49)


def test_very_deep_expressions_are_left_as_they_are() -> None:
    deep = X
    for _ in range(100):
        deep = apply("+", deep, number(1))
    scope, batch = fields(deep=deep)
    field = scope.field("deep")
    assert Reader().read(field).parts == {field: 1.0}
    np.testing.assert_allclose(InputMatrix([field]).matrix(batch)[:3, 0], [101.5, 98, 108])
