"""The layers of a NeuralNetwork as products of matrices (PMML 4.4: NeuralNetwork)."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan, cos, exp, isnan, pi, sin, tanh
from operator import mul
from typing import TYPE_CHECKING, Any

import numpy as np

from model_serving.engines.pmml.evaluator.models.links import SIMPLEMAX, SOFTMAX, Link, each, logistic_of_one
from model_serving.engines.pmml.evaluator.reading import (
    Unsupported,
    children,
    choice,
    number,
    optional_number,
    required,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    import numpy.typing as npt

    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["ACTIVATIONS", "Layer", "read_layer"]

_FUNCTIONS: dict[str, Link] = {
    "logistic": each(lambda z: 1.0 / (1.0 + np.exp(-z)), logistic_of_one),
    "tanh": each(np.tanh, tanh),
    "identity": each(lambda z: z, lambda z: z),
    "exponential": each(np.exp, exp),
    "reciprocal": each(lambda z: 1.0 / z, lambda z: 1.0 / z),
    "square": each(lambda z: z * z, lambda z: z * z),
    "Gauss": each(lambda z: np.exp(-z * z), lambda z: exp(-z * z)),
    "sine": each(np.sin, sin),
    "cosine": each(np.cos, cos),
    "Elliott": each(lambda z: z / (1.0 + np.abs(z)), lambda z: z / (1.0 + abs(z))),
    "arctan": each(lambda z: 2.0 * np.arctan(z) / np.pi, lambda z: 2.0 * atan(z) / pi),
    "rectifier": each(lambda z: np.maximum(z, 0.0), lambda z: max(z, 0.0)),
}
ACTIVATIONS = ("threshold", "radialBasis", *_FUNCTIONS)
"""The values of ``activationFunction``."""

_NORMALIZATIONS = ("none", "simplemax", "softmax")
_FEW = 500
"""Up to this number of weights in a layer plain Python is faster than numpy."""

_MOST_WEIGHTS = 100_000_000


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer. Its neurons take the units ``first`` to ``last`` (inputs and neurons of earlier layers).

    Attributes:
        first: the first unit that a neuron is connected with.
        last: one more than the last of them.
        weights: shape (last - first, neurons); 0 without a connection.
        biases: shape (neurons,).
        activation: what makes a neuron's output of its weighted sum.
        normalized: what makes the layer's output of its neurons', shape (neurons, n); None for nothing.
        radial: takes the place of sum and activation in a layer with radial basis functions.
        columns: the weights of each neuron, for one record alone; None if they are many, or of 32 bits.
    """

    first: int
    last: int
    weights: Numbers
    biases: Numbers
    activation: Link
    normalized: Link | None
    radial: _Radial | None
    columns: list[list[float]] | None

    def output(self, given: Numbers) -> Numbers:
        """Returns the outputs of the neurons, shape (n, neurons), of units, shape (n, last - first)."""
        if self.radial is None:
            made: Any = self.activation.of_batch(given @ self.weights + self.biases)
        else:
            made = self.radial.output(given, self.weights)
        return np.asarray(made if self.normalized is None else self.normalized.of_batch(made.T).T)

    def output_of_one(self, given: list[float]) -> list[float]:
        """Returns the outputs of one record alone; the layer must have ``columns``.

        Raises what ``Expression.one`` may raise.
        """
        sums = [
            bias + sum(map(mul, given, column))
            for bias, column in zip(self.biases.tolist(), self.columns or (), strict=True)
        ]
        made = self.activation.of_one(sums)
        return made if self.normalized is None else self.normalized.of_one(made)


@dataclass(frozen=True, slots=True)
class _Radial:
    """exp(f log(altitude) - z), where f is the number of connections and z = sum (w - x)^2 / (2 width^2)."""

    connected: npt.NDArray[np.bool_]
    scales: Numbers
    shifts: Numbers

    def output(self, given: Numbers, weights: Numbers) -> Numbers:
        made = np.empty((len(given), weights.shape[1]), dtype=given.dtype)
        for neuron in range(weights.shape[1]):
            sources = self.connected[:, neuron]
            distance = ((given[:, sources] - weights[sources, neuron]) ** 2).sum(axis=1)
            made[:, neuron] = np.exp(self.shifts[neuron] - distance * self.scales[neuron])
        return made


@dataclass(frozen=True, slots=True)
class _Settings:
    """What a network, a layer or a neuron says; what it does not say comes from around it."""

    function: str
    normalization: str
    threshold: float
    width: float | None
    altitude: float


def read_layer(layer: Element, network: Element, units: dict[str, int], data_type: npt.DTypeLike) -> Layer:
    """Reads a layer, and adds its neurons to ``units``: the places of inputs and neurons by their ids.

    Raises:
        Unsupported: a part of it is not known.
    """
    attributes = {"numberOfNeurons", "activationFunction", "threshold", "width", "altitude"}
    neurons = children(layer, attributes | {"normalizationMethod"}, ("Neuron",))
    if not neurons:
        raise Unsupported("a NeuralLayer without a Neuron")
    settings = _settings(layer, network)
    connections = [_connections(neuron, units) for neuron in neurons]
    places = [place for found in connections for place in found]
    first, last = min(places, default=0), max(places, default=0) + 1
    if (last - first) * len(neurons) > _MOST_WEIGHTS:
        raise Unsupported(f"a NeuralLayer with more than {_MOST_WEIGHTS:,} weights")
    weights = np.zeros((last - first, len(neurons)), dtype=data_type)
    for column, found in enumerate(connections):
        weights[[place - first for place in found], column] = list(found.values())
    biases = np.array([number(neuron, "bias", 0.0) for neuron in neurons], dtype=data_type)
    radial = (
        _radial(neurons, connections, settings, first, last) if settings.function == "radialBasis" else None
    )
    for neuron in neurons:
        name = required(neuron, "id")
        if name in units:
            raise Unsupported(f"two inputs or neurons with the id '{name}'")
        units[name] = len(units)
    normalized = {"none": None, "softmax": SOFTMAX, "simplemax": SIMPLEMAX}[settings.normalization]
    is_plain = radial is None and data_type is np.float64 and weights.size <= _FEW
    columns = weights.T.tolist() if is_plain else None
    return Layer(first, last, weights, biases, _activation(settings), normalized, radial, columns)


def _connections(neuron: Element, units: dict[str, int]) -> dict[int, float]:
    """Returns the weights of a neuron by the places of the units that they belong to."""
    found: dict[int, float] = {}
    for part in children(neuron, {"id", "bias", "width", "altitude"}, ("Con",)):
        children(part, {"from", "weight"})
        source = required(part, "from")
        if source not in units:
            raise Unsupported(f"Con from '{source}', which is no input and no neuron of an earlier layer")
        found[units[source]] = found.get(units[source], 0.0) + number(part, "weight")
    return found


def _settings(layer: Element, network: Element) -> _Settings:
    width = optional_number(layer, "width")
    return _Settings(
        choice(layer, "activationFunction", ACTIVATIONS, network.get("activationFunction")),
        choice(layer, "normalizationMethod", _NORMALIZATIONS, network.get("normalizationMethod", "none")),
        number(layer, "threshold", number(network, "threshold", 0.0)),
        optional_number(network, "width") if width is None else width,
        number(layer, "altitude", number(network, "altitude", 1.0)),
    )


def _activation(settings: _Settings) -> Link:
    if settings.function != "threshold":
        return _FUNCTIONS.get(settings.function, _FUNCTIONS["identity"])
    limit = settings.threshold
    return each(lambda z: np.where(np.isnan(z), z, z > limit), lambda z: z if isnan(z) else float(z > limit))


def _radial(
    neurons: list[Element], connections: list[dict[int, float]], settings: _Settings, first: int, last: int
) -> _Radial:
    connected = np.zeros((last - first, len(neurons)), dtype=bool)
    for column, found in enumerate(connections):
        connected[[place - first for place in found], column] = True
    widths = []
    for neuron in neurons:
        width = number(neuron, "width", settings.width)
        if not width > 0.0:
            raise Unsupported("a Neuron with radialBasis and without a width above 0")
        widths.append(width)
    altitudes = np.array([number(neuron, "altitude", settings.altitude) for neuron in neurons])
    if not (altitudes > 0.0).all():
        raise Unsupported("a Neuron with radialBasis and an altitude that is not above 0")
    return _Radial(connected, 0.5 / np.array(widths) ** 2, connected.sum(axis=0) * np.log(altitudes))
