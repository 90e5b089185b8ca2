"""NeuralNetwork: layers of neurons for regression and classification, of one target or several (PMML 4.4)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isnan, nan
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import constant
from model_serving.engines.pmml.evaluator.models.neural_inputs import read_inputs
from model_serving.engines.pmml.evaluator.models.neurons import read_layer
from model_serving.engines.pmml.evaluator.prediction import ModelContext, Prediction, Single
from model_serving.engines.pmml.evaluator.reading import (
    MODEL_ATTRIBUTES,
    MODEL_PARTS,
    NOTHING,
    Unsupported,
    children,
    choice,
    named,
    number,
    only,
    required,
)
from model_serving.engines.pmml.evaluator.record import Record, Undecided

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    import numpy.typing as npt

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.data_types import Kind
    from model_serving.engines.pmml.evaluator.models.input_matrix import InputMatrix
    from model_serving.engines.pmml.evaluator.models.neurons import Layer
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["NeuralNetwork", "compile_model"]

_ATTRIBUTES = MODEL_ATTRIBUTES | {
    "activationFunction",
    "normalizationMethod",
    "threshold",
    "width",
    "altitude",
    "numberOfLayers",
}
_PARTS = {*MODEL_PARTS, "NeuralInputs", "NeuralLayer", "NeuralOutputs"}


def compile_model(element: Element, context: ModelContext) -> NeuralNetwork:
    """Reads a NeuralNetwork.

    Raises:
        Unsupported: a part of it is not known.
    """
    context.needs("regression", "classification")
    parts = children(element, _ATTRIBUTES, _PARTS)
    inputs, outputs = only(parts, "NeuralInputs"), only(parts, "NeuralOutputs")
    if inputs is None or outputs is None:
        raise Unsupported("a NeuralNetwork without NeuralInputs or without NeuralOutputs")
    matrix, units = read_inputs(inputs, context.scope)
    count = len(units)
    data_type = np.float32 if context.single else np.float64
    layers = tuple(read_layer(part, element, units, data_type) for part in named(parts, "NeuralLayer"))
    read = [
        _read_output(part, units, context)
        for part in children(outputs, {"numberOfOutputs"}, ("NeuralOutput",))
    ]
    is_chain = _is_chain(layers, count, read)
    found: dict[str, list[_Output]] = {}
    hidden = len(units) - len(layers[-1].biases) if is_chain else 0
    for output in (replace(one, unit=one.unit - hidden) for one in read):
        found.setdefault(output.field, []).append(output)
    if not found:
        raise Unsupported("NeuralOutputs without a NeuralOutput")
    main = context.target.name if context.target.name in found else next(iter(found))
    heads = {name: _head(name, some, context) for name, some in found.items()}
    first = heads.pop(main)
    kind = context.target.kind if isinstance(first, _Classes) else context.number_kind
    return NeuralNetwork(kind, matrix, count, len(units), layers, data_type, first, heads, is_chain)


def _is_chain(layers: tuple[Layer, ...], inputs: int, outputs: list[_Output]) -> bool:
    start, end = 0, inputs
    for layer in layers:
        if (layer.first, layer.last) != (start, end):
            return False
        start, end = end, end + len(layer.biases)
    return bool(layers) and all(output.unit >= start for output in outputs)


@dataclass(frozen=True, slots=True)
class NeuralNetwork:
    """Implements ``Predictor``. Units: the inputs, then the neurons; in a chain the last layer's."""

    kind: Kind
    inputs: InputMatrix
    input_count: int
    units: int
    layers: tuple[Layer, ...]
    data_type: npt.DTypeLike
    head: _Number | _Classes
    others: Mapping[str, _Number | _Classes]
    is_chain: bool
    """Whether each layer takes the one before it only, and the outputs take the last one."""

    @property
    def classes(self) -> tuple[float, ...]:
        """The classes of the output neurons; none for regression."""
        return self.head.classes

    @property
    def entities(self) -> tuple[str, ...]:
        """The ids of the output neurons of a classifier."""
        return self.head.neurons

    def predict(self, batch: Batch) -> Prediction:
        """See ``Predictor.predict``."""
        units = self.inputs.matrix(batch)
        if self.data_type is not np.float64:
            units = units.astype(self.data_type)
        if self.is_chain:
            for layer in self.layers:
                units = layer.output(units)
        else:
            units = self._all_units(units)
        prediction = self.head.prediction(units)
        if self.others:
            prediction.more = {name: head.prediction(units).value for name, head in self.others.items()}
        return prediction

    def predict_one(self, record: Record) -> Single:
        """See ``Predictor.predict_one``."""
        if not self.is_chain or self.others or any(layer.columns is None for layer in self.layers):
            return Single.of(record.of_batch(self.predict))
        units = given = self.inputs.row(record)
        for layer in self.layers:
            units = layer.output_of_one(units)
        found = self.head.prediction_of_one(units)
        if found.value != found.value and not any(map(isnan, given)):
            raise Undecided  # of huge numbers, other ways to add them up may have an answer
        return found

    def _all_units(self, inputs: Numbers) -> Numbers:
        """Returns the inputs and the outputs of all neurons, shape (n, units)."""
        units = np.empty((len(inputs), self.units), dtype=inputs.dtype)
        units[:, : self.input_count] = inputs
        start = self.input_count
        for layer in self.layers:
            end = start + len(layer.biases)
            units[:, start:end] = layer.output(units[:, layer.first : layer.last])
            start = end
        return units


@dataclass(frozen=True, slots=True)
class _Output:
    """A NeuralOutput: the target field, the unit, and a class or the points of an inverted NormContinuous."""

    field: str
    neuron: str
    unit: int
    text: str | None
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class _Number:
    """A number: a unit's value, mapped back through points (norm, orig) where the document has some."""

    unit: int
    norms: Numbers
    origs: Numbers
    classes: tuple[float, ...] = ()
    neurons: tuple[str, ...] = ()

    def prediction(self, units: Numbers) -> Prediction:
        values = units[:, self.unit].astype(np.float64)
        if not len(self.norms):
            return Prediction(values)
        left = np.clip(np.searchsorted(self.norms, values, side="right") - 1, 0, len(self.norms) - 2)
        low, high = self.norms[left], self.norms[left + 1]
        share = (values - low) / (high - low)
        return Prediction(self.origs[left] + share * (self.origs[left + 1] - self.origs[left]))

    def prediction_of_one(self, units: list[float]) -> Single:
        if len(self.norms):
            return Single.of(self.prediction(np.array([units])))
        return Single(units[self.unit])


@dataclass(frozen=True, slots=True)
class _Classes:
    """A class: the one whose neuron has the greatest output. ``codes`` are those of the neurons' ids.

    A model with one output neuron for one of two classes leaves the rest of 1 to the other class.
    """

    units: npt.NDArray[np.intp]
    classes: tuple[float, ...]
    neurons: tuple[str, ...]
    values: Numbers
    codes: Numbers

    def prediction(self, units: Numbers) -> Prediction:
        shares = units.take(self.units, axis=1).T.astype(np.float64, copy=False)
        if len(shares) < len(self.classes):
            shares = np.concatenate([shares, 1.0 - shares])
        best = shares.argmax(axis=0)
        value = self.values.take(best)
        entities = self.codes.take(best)
        total = np.add.reduce(shares, axis=None)
        if total != total:
            unknown = np.isnan(shares).any(axis=0)
            value[unknown] = entities[unknown] = np.nan
        return Prediction(value, shares, entities=entities[None, :])

    def prediction_of_one(self, units: list[float]) -> Single:
        shares = [units[unit] for unit in self.units.tolist()]
        if len(shares) < len(self.classes):
            shares.append(1.0 - shares[0])
        if isnan(sum(shares)):
            return Single(nan, shares, entities=[nan])
        best = shares.index(max(shares))
        return Single(self.classes[best], shares, entities=[self.codes.item(best)])


def _read_output(element: Element, units: dict[str, int], context: ModelContext) -> _Output:
    derived = only(children(element, {"outputNeuron"}, ("DerivedField",)), "DerivedField")
    if derived is None:
        raise Unsupported("NeuralOutput without a DerivedField")
    neuron = required(element, "outputNeuron")
    if neuron not in units:
        raise Unsupported(f"outputNeuron '{neuron}', which is no neuron")
    attributes = {"name", "displayName", "optype", "dataType"}
    expressions = children(derived, attributes, ("FieldRef", "NormContinuous", "NormDiscrete"))
    if len(expressions) != 1:
        raise Unsupported(
            "DerivedField of a NeuralOutput without one FieldRef, NormContinuous or NormDiscrete"
        )
    expression = expressions[0]
    field = required(expression, "field")
    if expression.tag == "NormDiscrete":
        children(expression, {"field", "value", "method", "mapMissingTo"})
        choice(expression, "method", ("indicator",), "indicator")
        return _Output(field, neuron, units[neuron], required(expression, "value"), ())
    if expression.tag == "FieldRef":
        children(expression, {"field", "mapMissingTo"})
        return _Output(field, neuron, units[neuron], None, ())
    points = []
    for part in children(expression, {"field", "outliers", "mapMissingTo"}, ("LinearNorm",)):
        children(part, {"orig", "norm"}, NOTHING)
        points.append((number(part, "norm"), number(part, "orig")))
    if len({norm for norm, _ in points}) < max(len(points), 2):
        raise Unsupported("NormContinuous of a NeuralOutput that cannot be turned round")
    return _Output(field, neuron, units[neuron], None, tuple(sorted(points)))


def _head(name: str, outputs: list[_Output], context: ModelContext) -> _Number | _Classes:
    """Returns what reads the prediction for one target field from its output neurons."""
    texts = [output.text for output in outputs if output.text is not None]
    if not texts:
        if len(outputs) != 1 or context.classifies:
            raise Unsupported(f"NeuralOutputs without NormDiscrete for the target '{name}'")
        points = outputs[0].points
        return _Number(outputs[0].unit, np.array([p[0] for p in points]), np.array([p[1] for p in points]))
    if len(texts) < len(outputs) or not context.classifies:
        raise Unsupported(f"NormDiscrete and other NeuralOutputs, or a regression, for the target '{name}'")
    target, symbols = context.target, context.program.symbols
    if name == target.name or not target.name:
        classes = [target.class_value(text) for text in texts]
        rest = [value for value in target.values if value not in classes]
    else:
        data_type = context.scope.field(name).kind.data_type
        classes, rest = [constant(text, data_type, symbols) for text in texts], []
    if len(set(classes)) < len(classes):
        raise Unsupported(f"two NeuralOutputs for one class of '{name}'")
    neurons = [output.neuron for output in outputs]
    codes = [symbols.code(neuron) for neuron in neurons]
    if len(classes) == 1 and len(rest) == 1:
        classes, codes = classes + rest, codes * 2
    return _Classes(
        np.array([output.unit for output in outputs], dtype=np.intp),
        tuple(classes),
        tuple(neurons),
        np.array(classes),
        np.array(codes),
    )
