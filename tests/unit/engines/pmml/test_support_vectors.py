"""SupportVectorMachineModel: kernels, machines and classes (PMML 4.4, Support Vector Machine)."""

from __future__ import annotations

from math import exp, tanh

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected
from tests.pmml_documents import document, score

FIELDS = {"x": "double", "z": "double", "c": "string: a b", "h": "double"}
CLASSES = {"x": "double", "y": "string: n p q"}
LINEAR = "<LinearKernelType/>"
KERNELS = {
    LINEAR: lambda x, z: 2 * x - z,
    '<PolynomialKernelType gamma="0.5" coef0="3" degree="2"/>': lambda x, z: (0.5 * (2 * x - z) + 3) ** 2,
    '<RadialBasisKernelType gamma="0.5"/>': lambda x, z: exp(-0.5 * ((x - 2) ** 2 + (z + 1) ** 2)),
    '<SigmoidKernelType gamma="0.5" coef0="-1"/>': lambda x, z: tanh(0.5 * (2 * x - z) - 1),
    "<PolynomialKernelType/>": lambda x, z: 2 * x - z + 1,
}


def dictionary(*vectors: str, fields: tuple[str, ...] = ("x", "z")) -> str:
    named = "".join(f'<FieldRef field="{name}"/>' for name in fields)
    listed = "".join(
        f'<VectorInstance id="v{place}">{one}</VectorInstance>' for place, one in enumerate(vectors)
    )
    return f"<VectorDictionary><VectorFields>{named}</VectorFields>{listed}</VectorDictionary>"


def machine(bias: float, said: str = "", **coefficients: float) -> str:
    supports = "".join(f'<SupportVector vectorId="{name}"/>' for name in coefficients)
    values = "".join(f'<Coefficient value="{value}"/>' for value in coefficients.values())
    return (
        f"<SupportVectorMachine {said}><SupportVectors>{supports}</SupportVectors>"
        f'<Coefficients absoluteValue="{bias}">{values}</Coefficients></SupportVectorMachine>'
    )


def machines(inner: str, fields: dict[str, str], said: str = "") -> str:
    target = "h" if "h" in fields else "y"
    function = "regression" if target == "h" else "classification"
    start = f'<SupportVectorMachineModel functionName="{function}" {said}>{{schema}}'
    return document(f"{start}{inner}</SupportVectorMachineModel>", fields, target)


DENSE = '<Array type="real" n="2">2 -1</Array>'
SPARSE = '<REAL-SparseArray n="2"><Indices>1 2</Indices><REAL-Entries>2 -1</REAL-Entries></REAL-SparseArray>'


@pytest.mark.parametrize("vector", [DENSE, SPARSE])
@pytest.mark.parametrize("kernel", KERNELS)
def test_each_kernel(kernel: str, vector: str) -> None:
    text = machines(kernel + dictionary(vector, DENSE) + machine(0.25, v0=3, v1=-1), FIELDS)
    found = score(text, [{"x": 1, "z": 0.5}, {"x": -2, "z": 3}, {"x": None, "z": 1}])
    right = [0.25 + 2 * KERNELS[kernel](x, z) for x, z in ((1, 0.5), (-2, 3))]
    np.testing.assert_allclose(found.result, [*right, np.nan], rtol=1e-9)


def test_a_sparse_array_without_entries_is_all_zeros() -> None:
    kernel = '<RadialBasisKernelType gamma="1"/>'
    text = machines(kernel + dictionary('<REAL-SparseArray n="2"/>') + machine(0, v0=1), FIELDS)
    assert score(text, [{"x": 1, "z": 1}]).result[0] == pytest.approx(exp(-2))


def test_categories_are_ones_and_zeros() -> None:
    category = '<CategoricalPredictor name="c" value="b" coefficient="1"/>'
    text = dictionary(DENSE, fields=("c", "x")).replace('<FieldRef field="c"/>', category)
    found = score(
        machines(LINEAR + text + machine(1, v0=1), FIELDS), [{"x": 5, "c": c} for c in ("a", "b", None)]
    )
    np.testing.assert_allclose(found.result, [1 - 5, 1 + 2 - 5, np.nan])


def test_coefficients_may_stand_for_the_fields() -> None:
    inner = (
        LINEAR
        + dictionary()
        + "<SupportVectorMachine><Coefficients absoluteValue='1'><Coefficient value='2'/>"
        "<Coefficient value='10'/></Coefficients></SupportVectorMachine>"
    )
    found = score(machines(inner, FIELDS, 'svmRepresentation="Coefficients"'), [{"x": 3, "z": 4}])
    assert found.result[0] == 1 + 6 + 40


ONE = dictionary('<Array type="real">1</Array>', fields=("x",))


@pytest.mark.parametrize(("said", "right"), [("", ["p", "n", ""]), ('maxWins="true"', ["n", "p", ""])])
def test_one_against_all_takes_the_least_value_or_the_greatest(said: str, right: list[str]) -> None:
    inner = LINEAR + ONE + machine(0, 'targetCategory="n"', v0=1) + machine(0, 'targetCategory="p"', v0=-1)
    text = machines(inner, CLASSES, said + ' classificationMethod="OneAgainstAll"')
    assert score(text, [{"x": 2}, {"x": -2}, {"x": None}]).labels == right
    assert score(machines(inner, CLASSES, said), [{"x": 2}, {"x": -2}, {"x": None}]).labels == right


def pair(first: str, second: str, bias: float = 0, more: str = "") -> str:
    return machine(bias, f'targetCategory="{first}" alternateTargetCategory="{second}" {more}', v0=1)


@pytest.mark.parametrize("method", ["", ' classificationMethod="OneAgainstOne"'])
@pytest.mark.parametrize(
    ("said", "right"), [("", ["n", "p", "p", ""]), ('maxWins="true"', ["p", "n", "p", ""])]
)
def test_one_machine_for_two_classes_compares_with_the_threshold(
    method: str, said: str, right: list[str]
) -> None:
    text = machines(LINEAR + ONE + pair("n", "p"), CLASSES, f'threshold="1" {said}{method}')
    assert score(text, [{"x": 0.5}, {"x": 1.5}, {"x": 1}, {"x": None}]).labels == right


def test_a_machine_may_have_a_threshold_of_its_own() -> None:
    text = machines(LINEAR + ONE + pair("n", "p", more='threshold="-3"'), CLASSES, 'threshold="1"')
    assert score(text, [{"x": -4}, {"x": -2}]).labels == ["n", "p"]


def test_the_class_with_most_votes_wins_and_the_first_on_ties() -> None:
    inner = LINEAR + ONE + pair("n", "p", -1) + pair("n", "q", -2) + pair("p", "q", 0)
    found = score(machines(inner, CLASSES), [{"x": -5}, {"x": 5}, {"x": 1.5}])
    # 1.5: p against n, n against q, q against p: one vote for each.
    assert found.labels == ["n", "q", "n"]
    np.testing.assert_allclose(found.outputs["probability_n"], [2 / 3, 0, 1 / 3])


def test_old_documents_round_to_one_or_zero() -> None:
    text = machines(
        LINEAR + ONE + machine(0, 'targetCategory="p"', v0=1), CLASSES, 'alternateBinaryTargetCategory="n"'
    )
    assert score(text, [{"x": 0.6}, {"x": 0.4}, {"x": 0.5}, {"x": 7}]).labels == ["p", "n", "p", ""]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (machines(dictionary(DENSE) + machine(0, v0=1), FIELDS), "kernel"),
        (machines(LINEAR + dictionary(DENSE) + machine(0, v9=1), FIELDS), "v9"),
        (machines(LINEAR + machine(0, v0=1), FIELDS), "VectorDictionary"),
        (
            machines(LINEAR + dictionary('<Array type="real">1</Array>') + machine(0, v0=1), FIELDS),
            "1 numbers",
        ),
        (machines(LINEAR + dictionary(DENSE) + machine(0, v0=1) * 2, FIELDS), "one SupportVectorMachine"),
        (machines(LINEAR + ONE + machine(0, v0=1), CLASSES), "targetCategory"),
        (
            machines(LINEAR + ONE + pair("n", "p") * 2, CLASSES, 'classificationMethod="OneAgainstAll"'),
            "OneAgainstAll",
        ),
    ],
)
def test_what_is_wrong_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(ModelRejected, match=named):
        score(text, [{"x": 1}])
