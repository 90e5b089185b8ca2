"""NeuralNetwork: activations, normalization, inputs, outputs (PMML 4.4, NeuralNetwork)."""

from __future__ import annotations

from math import atan, cos, exp, log, pi, sin, tanh

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected
from tests.pmml_documents import document, score

FIELDS = {"x": "double", "z": "double", "c": "string: a b", "h": "double"}
CLASSES = {"x": "double", "z": "double", "y": "string: n p"}
ACTIVATIONS = {
    "logistic": lambda s: 1 / (1 + exp(-s)),
    "tanh": tanh,
    "identity": lambda s: s,
    "exponential": exp,
    "reciprocal": lambda s: 1 / s,
    "square": lambda s: s * s,
    "Gauss": lambda s: exp(-s * s),
    "sine": sin,
    "cosine": cos,
    "Elliott": lambda s: s / (1 + abs(s)),
    "arctan": lambda s: 2 * atan(s) / pi,
    "rectifier": lambda s: max(s, 0),
    "threshold": lambda s: float(s > 0.25),
}


def field(name: str, expression: str = "") -> str:
    inner = expression or f'<FieldRef field="{name}"/>'
    return f'<DerivedField dataType="double" optype="continuous">{inner}</DerivedField>'


INPUTS = (
    f'<NeuralInputs><NeuralInput id="i">{field("x")}</NeuralInput>'
    f'<NeuralInput id="j">{field("z")}</NeuralInput></NeuralInputs>'
)


def neuron(name: str, bias: float, **weights: float) -> str:
    connected = "".join(f'<Con from="{source}" weight="{weight}"/>' for source, weight in weights.items())
    return f'<Neuron id="{name}" bias="{bias}">{connected}</Neuron>'


def outputs(**neurons: str) -> str:
    """Says which expression the output of each neuron is."""
    found = "".join(
        f'<NeuralOutput outputNeuron="{name}">{field("", one)}</NeuralOutput>'
        for name, one in neurons.items()
    )
    return f"<NeuralOutputs>{found}</NeuralOutputs>"


def network(
    layers: str,
    result: str,
    fields: dict[str, str] = FIELDS,
    *,
    inputs: str = INPUTS,
    before: str = "",
    **said: str,
) -> str:
    target = "h" if "h" in fields else "y"
    function = "regression" if target == "h" else "classification"
    attributes = "".join(
        f' {name}="{value}"' for name, value in {"activationFunction": "identity", **said}.items()
    )
    return document(
        f'<NeuralNetwork functionName="{function}"{attributes}>{{schema}}{before}{inputs}{layers}{result}'
        "</NeuralNetwork>",
        fields,
        target,
    )


def one(name: str, **weights: float) -> str:
    return f"<NeuralLayer>{neuron(name, 0, **weights)}</NeuralLayer>"


NUMBER = outputs(o='<FieldRef field="h"/>')


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_each_activation_function(name: str) -> None:
    layer = f"<NeuralLayer>{neuron('o', 0.5, i=2, j=-1)}</NeuralLayer>"
    text = network(layer, NUMBER, activationFunction=name, threshold="0.25")
    found = score(text, [{"x": 1, "z": 0.25}, {"x": -1, "z": 0.25}, {"x": None, "z": 1}])
    right = [ACTIVATIONS[name](2.25), ACTIVATIONS[name](-1.75), np.nan]
    np.testing.assert_allclose(found.result, right)


def test_a_radial_basis_neuron_measures_a_distance() -> None:
    layer = (
        '<NeuralLayer activationFunction="radialBasis" width="2" altitude="1.5">'
        f"{neuron('o', 0, i=1, j=-1)}</NeuralLayer>"
    )
    found = score(network(layer, NUMBER), [{"x": 2, "z": 1}, {"x": 2, "z": None}])
    np.testing.assert_allclose(found.result, [exp(2 * log(1.5) - (1 + 4) / (2 * 4)), np.nan])


def test_neurons_may_skip_layers() -> None:
    layers = (
        f"<NeuralLayer activationFunction='square'>{neuron('a', 1, i=1)}{neuron('b', 0, j=3)}</NeuralLayer>"
        f"<NeuralLayer>{neuron('o', 0, a=1, b=10, i=100)}</NeuralLayer>"
    )
    assert score(network(layers, NUMBER), [{"x": 2, "z": 1}]).result[0] == 9 + 90 + 200


def test_inputs_are_scaled_numbers_and_categories_in_any_order() -> None:
    points = '<LinearNorm orig="10" norm="-1"/><LinearNorm orig="20" norm="1"/>'
    norm = field("", f'<NormContinuous field="x">{points}</NormContinuous>')
    chosen = field("", '<NormDiscrete field="c" value="b"/>')
    inputs = (
        f'<NeuralInputs><NeuralInput id="c">{chosen}</NeuralInput><NeuralInput id="i">{norm}</NeuralInput>'
        f'<NeuralInput id="j">{field("z")}</NeuralInput></NeuralInputs>'
    )
    text = network(f"<NeuralLayer>{neuron('o', 0, i=1, j=10, c=100)}</NeuralLayer>", NUMBER, inputs=inputs)
    rows: list[dict[str, float | str | None]] = [
        {"x": 10, "z": 2, "c": "a"},
        {"x": 30, "z": 0, "c": "b"},
        {"x": 10, "z": 0, "c": None},
    ]
    np.testing.assert_allclose(score(text, rows).result, [19, 103, np.nan])


def test_the_output_is_turned_back_along_its_normalization() -> None:
    points = ((0, 0), (10, 1), (30, 2))
    norm = "".join(f'<LinearNorm orig="{orig}" norm="{norm}"/>' for orig, norm in points)
    result = outputs(o=f'<NormContinuous field="h">{norm}</NormContinuous>')
    text = network(f"<NeuralLayer>{neuron('o', 0, i=1)}</NeuralLayer>", result)
    rows = [{"x": x, "z": 0} for x in (0.5, 1.5, -1, 3)]
    np.testing.assert_allclose(score(text, rows).result, [5, 20, -10, 50])


TWO_LAYER = f"{neuron('a', 0, i=1)}{neuron('b', 0, j=1)}"
TWO = outputs(a='<NormDiscrete field="y" value="p"/>', b='<NormDiscrete field="y" value="n"/>')
ENTITY = '<Output><OutputField name="id" dataType="double" optype="continuous" feature="entityId"/></Output>'


def test_the_class_of_the_greatest_output_wins() -> None:
    text = network(f"<NeuralLayer>{TWO_LAYER}</NeuralLayer>", TWO, CLASSES)
    found = score(text, [{"x": -1, "z": -2}, {"x": 0, "z": 3}, {"x": None, "z": 3}])
    assert found.labels == ["p", "n", ""]
    np.testing.assert_allclose(found.outputs["probability_p"][:2], [-1, 0])


def test_the_winning_neuron_is_the_entity() -> None:
    layer = f"<NeuralLayer>{neuron('11', 0, i=1)}{neuron('12', 0, j=1)}</NeuralLayer>"
    result = TWO.replace('"a"', '"11"').replace('"b"', '"12"')
    found = score(network(layer, result, CLASSES, before=ENTITY), [{"x": 1, "z": 0}, {"x": 0, "z": 1}])
    assert found.outputs["id"].tolist() == [11, 12]


@pytest.mark.parametrize(
    ("where", "method"),
    [("layer", "softmax"), ("network", "softmax"), ("layer", "simplemax"), ("network", "simplemax")],
)
def test_a_layer_is_normalized(where: str, method: str) -> None:
    said = f' normalizationMethod="{method}"' if where == "layer" else ""
    more = {"normalizationMethod": method} if where == "network" else {}
    text = network(f"<NeuralLayer{said}>{TWO_LAYER}</NeuralLayer>", TWO, CLASSES, **more)
    found = score(text, [{"x": 1, "z": 3}])
    right = exp(1) / (exp(1) + exp(3)) if method == "softmax" else 0.25
    assert found.outputs["probability_p"][0] == pytest.approx(right)


def test_one_output_neuron_leaves_the_rest_to_the_other_class() -> None:
    result = outputs(a='<NormDiscrete field="y" value="p"/>')
    found = score(
        network(f"<NeuralLayer>{TWO_LAYER}</NeuralLayer>", result, CLASSES),
        [{"x": 0.7, "z": 0}, {"x": 0.2, "z": 0}],
    )
    assert found.labels == ["p", "n"]
    np.testing.assert_allclose(found.outputs["probability_n"], [0.3, 0.8])


def test_further_targets_are_outputs_by_their_name() -> None:
    before = (
        '<Output><OutputField name="first" dataType="double" optype="continuous"/>'
        '<OutputField name="second" dataType="double" optype="continuous" targetField="g"/></Output>'
    )
    result = outputs(a='<FieldRef field="h"/>', b='<FieldRef field="g"/>')
    found = score(
        network(f"<NeuralLayer>{TWO_LAYER}</NeuralLayer>", result, before=before), [{"x": 5, "z": 6}]
    )
    assert found.result[0] == 5
    assert {name: values[0] for name, values in found.outputs.items()} == {"first": 5, "second": 6}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (network("<NeuralLayer/>", NUMBER), "without a Neuron"),
        (network(one("o", q=1), NUMBER), "'q'"),
        (network(one("o", o=1), NUMBER), "'o'"),
        (network(one("i", i=1), NUMBER), "'i'"),
        (network(one("q", i=1), NUMBER), "outputNeuron 'o'"),
        (network(one("o", i=1), NUMBER, activationFunction="swish"), "swish"),
        (network(one("o", i=1), NUMBER, activationFunction="radialBasis"), "width"),
        (network(f"<NeuralLayer>{TWO_LAYER}</NeuralLayer>", TWO, {**CLASSES, "h": "double"}), "regression"),
    ],
)
def test_what_is_wrong_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(ModelRejected, match=named):
        score(text, [{"x": 1, "z": 1}])
