"""NeuralNetwork: inputs that are normalized fields, layers in their order, outputs that are denormalized.

The rules are PMML4S's (``NeuralNetwork.predict``, ``NormContinuous.scala``). PMML4S does not protect softmax
from overflow, so this module does not either. Sines are not compiled, because the sine of a large sum depends
on how the sum was rounded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.compiled.evaluation import Evaluation, Evaluator, MostProbable
from model_serving.engines.pmml.compiled.normalization import Line, read_input, read_line
from model_serving.engines.pmml.compiled.reading import (
    MODEL_ATTRIBUTES,
    MODEL_PARTS,
    NotCompiled,
    check,
    number,
    only,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.compiled.fields import Fields, Numbers
    from model_serving.engines.pmml.compiled.normalization import Inputs
    from model_serving.engines.pmml.compiled.targets import Target

__all__ = ["compile_network"]

_OF_LAYERS = frozenset({"activationFunction", "normalizationMethod", "threshold"})
_ATTRIBUTES = MODEL_ATTRIBUTES | _OF_LAYERS | {"numberOfLayers", "altitude", "width"}
_NORMALIZATIONS = frozenset({"none", "simplemax", "softmax"})
_ACTIVATIONS: dict[str, Callable[[Numbers], Numbers]] = {
    "logistic": lambda values: 1.0 / (1.0 + np.exp(-values)),
    "tanh": np.tanh,
    "identity": lambda values: values,
    "exponential": np.exp,
    "reciprocal": lambda values: 1.0 / values,
    "square": np.square,
    "Gauss": lambda values: np.exp(-np.square(values)),
    "Elliott": lambda values: values / (1.0 + np.abs(values)),
    "arctan": lambda values: 2.0 * np.arctan(values) / math.pi,
    "rectifier": lambda values: np.maximum(0.0, values),
}


@dataclass(frozen=True, slots=True)
class _Layer:
    weights: Numbers
    biases: Numbers
    activation: Callable[[Numbers], Numbers]
    normalization: str

    def __call__(self, values: Numbers) -> Numbers:
        made = values @ self.weights
        made += self.biases
        made = self.activation(made)
        if self.normalization == "softmax":
            made = np.exp(made)
        if self.normalization != "none":
            made = made / made.sum(axis=1, keepdims=True)
        return made


def compile_network(
    element: Element, dictionary: Mapping[str, Element], fields: Fields, target: Target
) -> Evaluator:
    """Compiles a NeuralNetwork whose neurons are connected only with the layer before theirs.

    Raises:
        NotCompiled: a part of the network is not known exactly.
    """
    parts = check(element, _ATTRIBUTES, {*MODEL_PARTS, "NeuralInputs", "NeuralLayer", "NeuralOutputs"})
    inputs, outputs = only(parts, "NeuralInputs"), only(parts, "NeuralOutputs")
    if inputs is None or outputs is None:
        raise NotCompiled("a network without inputs or outputs")
    normalized, ids = read_input(inputs, dictionary, fields)
    layers, seen = [], set(ids)
    for part in parts:
        if part.tag == "NeuralLayer":
            layer, ids = _read_layer(part, element, ids)
            if len(ids) < len(set(ids)) or not seen.isdisjoint(ids):
                raise NotCompiled("a neuron's id twice")
            seen |= set(ids)
            layers.append(layer)
    if not layers:
        raise NotCompiled("a network without layers")
    if target.classes is None:
        neuron, line = _read_number(outputs, ids, target)
        return _Regression(normalized, layers, neuron, line)
    neurons, classes = _read_classes(outputs, ids, target)
    return _Classification(normalized, layers, neurons, classes, target)


def _read_layer(element: Element, network: Element, before: Sequence[str]) -> tuple[_Layer, list[str]]:
    neurons = check(element, _OF_LAYERS | {"numberOfNeurons"}, ("Neuron",))
    function, normalization = (
        element.get(name, network.get(name, default))
        for name, default in (("activationFunction", ""), ("normalizationMethod", "none"))
    )
    if function == "threshold":
        limit = number(element.get("threshold", network.get("threshold", "0")))
        activation: Callable[[Numbers], Numbers] = lambda values: (values > limit).astype(np.float64)  # noqa: E731
    elif function in _ACTIVATIONS:
        activation = _ACTIVATIONS[function]
    else:
        raise NotCompiled(f"the activation function {function}")
    if normalization not in _NORMALIZATIONS or not neurons:
        raise NotCompiled(f"a layer of {len(neurons)} neurons with the normalization {normalization}")
    places = {name: index for index, name in enumerate(before)}
    weights, biases = np.zeros((len(before), len(neurons))), np.zeros(len(neurons))
    for index, neuron in enumerate(neurons):
        biases[index] = number(neuron.get("bias", "0"))
        connections = check(neuron, {"id", "bias"}, ("Con",))
        if {connection.get("from", "") for connection in connections} != places.keys():
            # A weight of 0 could stand for a missing connection, except for infinite numbers.
            raise NotCompiled("a neuron whose connections are not exactly the neurons of the layer before")
        for connection in connections:
            check(connection, {"from", "weight"})
            weights[places[connection.get("from", "")], index] += number(connection.get("weight"))
    layer = _Layer(weights, biases, activation, normalization)
    return layer, [neuron.get("id", "") for neuron in neurons]


def _read_outputs(element: Element, ids: Sequence[str]) -> list[tuple[int, Element]]:
    """Returns for each output its index among the neurons of the last layer, and its expression."""
    read = []
    for output in check(element, {"numberOfOutputs"}, ("NeuralOutput",)):
        derived = only(check(output, {"outputNeuron"}, ("DerivedField",)), "DerivedField")
        neuron = output.get("outputNeuron", "")
        if derived is None or neuron not in ids:
            raise NotCompiled("an output of a neuron that is not in the last layer")
        known = {"name", "displayName", "optype", "dataType"}
        expressions = check(derived, known, ("FieldRef", "NormContinuous", "NormDiscrete"))
        if len(expressions) != 1:
            raise NotCompiled("an output without its expression")
        read.append((ids.index(neuron), expressions[0]))
    return read


def _read_number(element: Element, ids: Sequence[str], target: Target) -> tuple[int, Line | None]:
    outputs = _read_outputs(element, ids)
    if len(outputs) != 1 or outputs[0][1].get("field") != target.name:
        raise NotCompiled(f"a regression with {len(outputs)} outputs")
    neuron, expression = outputs[0]
    if expression.tag == "FieldRef":
        check(expression, {"field"})
        return neuron, None
    return neuron, read_line(expression).turned_round()


def _read_classes(element: Element, ids: Sequence[str], target: Target) -> tuple[list[int], list[int]]:
    neurons, classes = [], []
    for neuron, expression in _read_outputs(element, ids):
        check(expression, {"field", "value"})
        if expression.tag != "NormDiscrete" or expression.get("field") != target.name:
            raise NotCompiled("an output of a classifier that is not a class")
        neurons.append(neuron)
        classes.append(target.index(expression.get("value", "")))
    if len(set(classes)) < len(classes) or len(classes) < len(target.classes or ()) - 1:
        raise NotCompiled(f"{len(classes)} outputs for {len(target.classes or ())} classes")
    return neurons, classes


class _Regression:
    def __init__(self, inputs: Inputs, layers: Sequence[_Layer], neuron: int, line: Line | None) -> None:
        self._inputs = inputs
        self._layers = layers
        self._neuron = neuron
        self._line = line

    def evaluate(self, values: Numbers) -> Evaluation:
        """See ``Evaluator.evaluate``."""
        made = self._inputs.normalized(values)
        missing = np.isnan(made).any(axis=1)
        for layer in self._layers:
            made = layer(made)
        predicted = made[:, self._neuron]
        predicted = predicted.copy() if self._line is None else self._line.apply(predicted)
        predicted[missing] = np.nan
        return Evaluation(predicted)


class _Classification:
    def __init__(
        self,
        inputs: Inputs,
        layers: Sequence[_Layer],
        neurons: Sequence[int],
        classes: list[int],
        target: Target,
    ) -> None:
        self._inputs = inputs
        self._layers = layers
        self._neurons = list(neurons)
        self._classes = classes
        # One class may have no output: its probability is 1 minus the sum of the others.
        rest = [index for index in range(len(target.classes or ())) if index not in classes]
        self._rest = rest[0] if rest else None
        self._most_probable = MostProbable(target, classes + rest)

    def evaluate(self, values: Numbers) -> Evaluation:
        """See ``Evaluator.evaluate``."""
        made = self._inputs.normalized(values)
        missing = np.isnan(made).any(axis=1)
        for layer in self._layers:
            made = layer(made)
        shares = np.empty((len(self._classes) + (self._rest is not None), len(values)))
        shares[self._classes] = made.T[self._neurons]
        if self._rest is not None:
            shares[self._rest] = 1.0 - shares[self._classes].sum(axis=0)
        evaluation = self._most_probable.evaluation(shares)
        if evaluation.rows is not None and missing.any():
            evaluation.rows[:, missing] = np.nan
            evaluation.predicted[missing] = -1
        return evaluation
