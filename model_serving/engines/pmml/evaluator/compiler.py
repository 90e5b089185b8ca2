"""Reads a PMML document into nodes that predict: fields, targets, outputs, and the model of each element."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from model_serving.core.errors import ModelRejected
from model_serving.engines.pmml.evaluator.data_types import DOUBLE, STRING, Kind, constant
from model_serving.engines.pmml.evaluator.dependents import Dependents
from model_serving.engines.pmml.evaluator.expressions.constants import Constant
from model_serving.engines.pmml.evaluator.expressions.derived import declare_derived, declare_derived_field
from model_serving.engines.pmml.evaluator.inputs import Inputs
from model_serving.engines.pmml.evaluator.outputs import most_ranks, read_outputs
from model_serving.engines.pmml.evaluator.prediction import ModelContext, ModelNode
from model_serving.engines.pmml.evaluator.quick_inputs import Input
from model_serving.engines.pmml.evaluator.reading import (
    NOTHING,
    Incomplete,
    Unsupported,
    children,
    choice,
    only,
    required,
)
from model_serving.engines.pmml.evaluator.record import Failed
from model_serving.engines.pmml.evaluator.scope import Field, Program, Scope
from model_serving.engines.pmml.evaluator.targets import Target, read_targets
from model_serving.engines.pmml.evaluator.treatment import (
    DataField,
    Treatment,
    read_data_field,
    read_treatment,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["MODELS", "Compiled", "compile_document"]

_HERE = "model_serving.engines.pmml.evaluator.models"
MODELS: Mapping[str, str] = {
    "RegressionModel": "regression",
    "GeneralRegressionModel": "general_regression",
    "TreeModel": "trees",
    "MiningModel": "mining",
    "NeuralNetwork": "neural_network",
    "SupportVectorMachineModel": "support_vectors",
    "NaiveBayesModel": "naive_bayes",
    "ClusteringModel": "clustering",
    "NearestNeighborModel": "neighbors",
    "Scorecard": "scorecard",
    "RuleSetModel": "rule_set",
    "GaussianProcessModel": "gaussian_process",
    "BaselineModel": "baseline",
    "AnomalyDetectionModel": "anomaly_detection",
    "TimeSeriesModel": "time_series",
    "BayesianNetworkModel": "bayesian_network",
}
"""The elements that are models, and the modules that read them."""

_REFUSED: Mapping[str, str] = {
    "AssociationModel": "apply its rules where baskets are put together",
    "SequenceModel": "apply its rules where sequences of records are put together",
    "TextModel": "train a model of another kind on TextIndex fields",
}
"""What to do about models that predict no value of a record, or of which PMML does not say enough."""

_BESIDE_MODELS = frozenset(
    {"Header", "MiningBuildTask", "DataDictionary", "TransformationDictionary", "Extension"}
)
_TARGETS = ("target", "predicted")
_MOST_LEVELS = 50
_ASKING = ("active", "supplementary", "order")
"""The usages of fields with which records ask a TimeSeriesModel for a step."""

_USAGES = (
    "active",
    "supplementary",
    "group",
    "order",
    "frequencyWeight",
    "analysisWeight",
    *_TARGETS,
)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled document: what it takes, and the node of its model."""

    program: Program
    inputs: Inputs
    input_fields: tuple[DataField, ...]
    node: ModelNode


def compile_document(root: Element) -> Compiled:
    """Compiles the first model of a document that is meant to be scored, with a warning if there are others.

    Raises:
        Unsupported: a part of the document is not known, or is wrong; the text names it.
    """
    models = [child for child in root if child.tag not in _BESIDE_MODELS]
    if not models:
        raise ModelRejected("the PMML document has no model in it: export the model, not only its fields")
    model = next(filter(_is_scorable, models), models[0])
    _module_of(model)
    transformations = only(list(root), "TransformationDictionary")
    if transformations is not None and len(models) > 1:
        _check_for(transformations, model)
    functions = {} if transformations is None else _functions(transformations)
    program = Program(functions)
    if sum(map(_is_scorable, models)) > 1:
        name = f" '{model.get('modelName')}'" if model.get("modelName") else ""
        program.warn(
            f"the document has {len(models)} models: the {model.tag}{name} is served, as the first that may "
            "be scored"
        )
    dictionary = _dictionary(root, program)
    document = Scope(program)
    compiler = _Compiler(program, dictionary, transformations)
    inputs = compiler.declare_inputs(model, document)
    inner = document.inner()
    declare_derived(transformations, inner)
    node = compiler.node(model, inner, is_outer=True)
    return Compiled(program, Inputs(inputs, program), tuple(one.data for one in inputs), node)


def _module_of(model: Element) -> str:
    """Returns the name of the module that reads a model. Raises Unsupported if there is none."""
    if model.tag in MODELS:
        return MODELS[model.tag]
    advice = _REFUSED.get(model.tag, "export a model of a kind that docs/models.md names")
    raise Unsupported(f"the model {model.tag}", advice)


def _check_for(transformations: Element, model: Element) -> None:
    """Makes sure that transformations are those of a model. Nyoka may name one that they are for.

    Raises:
        Unsupported: they are for another model.
    """
    wanted = transformations.get("for", model.get("modelName", ""))
    if wanted != model.get("modelName", ""):
        raise Unsupported(
            f"a TransformationDictionary for the model '{wanted}', which is not the one that is served",
            "export each model into a document of its own",
        )


def _is_scorable(model: Element) -> bool:
    return model.get("isScorable", "true") in {"true", "1"}


def _functions(transformations: Element) -> dict[str, Element]:
    return {required(part, "name"): part for part in transformations if part.tag == "DefineFunction"}


def _dictionary(root: Element, program: Program) -> dict[str, DataField]:
    element = only(list(root), "DataDictionary")
    if element is None:
        raise ModelRejected("the PMML document has no DataDictionary in it: export the whole document")
    found: dict[str, DataField] = {}
    for part in children(element, {"numberOfFields"}, ("DataField", "Taxonomy")):
        if part.tag == "DataField":
            data = read_data_field(part, program.symbols)
            if data.name in found:
                raise Unsupported(f"two DataFields '{data.name}'")
            found[data.name] = data
    return found


class _Compiler:
    """Reads models. All of one document share the program and the DataDictionary."""

    def __init__(
        self, program: Program, dictionary: Mapping[str, DataField], transformations: Element | None
    ) -> None:
        self._program = program
        self._dictionary = dictionary
        self._dependents = Dependents(transformations)
        self._treated: dict[tuple[Scope, tuple[object, ...]], Scope] = {}
        self._depth = 0

    def declare_inputs(self, model: Element, scope: Scope) -> list[Input]:
        """Declares the fields of the outer MiningSchema, and returns those that records bring."""
        inputs: list[Input] = []
        is_series = model.tag == "TimeSeriesModel"
        for mining in _mining_fields(model):
            name = required(mining, "name")
            data = self._dictionary.get(name)
            usage = choice(mining, "usageType", _USAGES, "active")
            if data is None:
                continue
            kind = _kind_of(mining, data)
            is_input = usage == "active" or (is_series and usage in _ASKING and kind.is_number)
            column = len(inputs) if is_input else -1
            # No record brings the target: it is missing, unless the schema replaces it.
            replacement = None if is_input else mining.get("missingValueReplacement")
            instead = None if replacement is None else self._replacement(replacement, kind)
            field = self._program.field(name, kind, instead, data.valid, column)
            if scope.find(name) is not None:
                raise Unsupported(f"two MiningFields '{name}'")
            scope.declare(field)
            if is_input:
                inputs.append(Input(field, data, read_treatment(mining, kind, self._program.symbols)))
        if not inputs and not is_series:
            raise Incomplete("no active field in the model's MiningSchema, so it would score nothing")
        return inputs

    def _replacement(self, text: str, kind: Kind) -> Constant:
        return Constant(kind, constant(text, kind.data_type, self._program.symbols))

    def node(self, model: Element, scope: Scope, ranks: int = 0, *, is_outer: bool = False) -> ModelNode:
        """Reads a model in a scope, which gets its outputs too.

        ``ranks`` is how many of the best entities or reasons the outputs of models around it ask for.

        Raises:
            Unsupported: a part of it is not known.
        """
        module = _module_of(model)
        if not _is_scorable(model):
            raise Incomplete(f"a {model.tag} that is not meant to be scored (isScorable is 'false')")
        parts = list(model)
        inner = scope.inner()
        if not is_outer:
            self._declare_mining_fields(model, scope, inner)
        declare_derived(only(parts, "LocalTransformations"), inner)
        function = required(model, "functionName")
        target = self._target(model, function, only(parts, "Targets"))
        single = choice(model, "x-mathContext", ("double", "float"), "double") == "float"
        output = only(parts, "Output")
        ranks = max(ranks, most_ranks(output))
        nested = partial(self.node, ranks=ranks)
        context = ModelContext(inner, function, target, single, ranks, nested, self.scope_of)
        try:
            read: Any = import_module(f"{_HERE}.{module}")
        except ModuleNotFoundError:
            raise Unsupported(f"the model {model.tag}") from None
        self._depth += 1
        if self._depth > _MOST_LEVELS:
            raise Unsupported(f"more than {_MOST_LEVELS} models inside of each other")
        predictor = read.compile_model(model, context)
        self._depth -= 1
        node = ModelNode(self._program.model_index(), model, function, inner, predictor, target, [])
        segments = getattr(predictor, "segments", {})
        read_outputs(output, node, inner, segments)
        for made in node.outputs:
            scope.declare(made.field)
        return node

    def scope_of(self, model: Element, scope: Scope) -> Scope:
        """See ``ModelContext``.

        Raises:
            Unsupported: a part of the schema or of the transformations is not known.
        """
        said = tuple(tuple(sorted(mining.attrib.items())) for mining in _mining_fields(model))
        inner = self._treated.get((scope, said))
        if inner is None:
            inner = self._treated[scope, said] = scope.inner()
            self._declare_mining_fields(model, scope, inner)
        transformations = only(list(model), "LocalTransformations")
        if transformations is not None:
            inner = inner.inner()
            declare_derived(transformations, inner)
        return inner

    def _declare_mining_fields(self, model: Element, outer: Scope, inner: Scope) -> None:
        """Declares the fields that a nested model treats in its own way, and what is made of them."""
        names: set[str] = set()
        for mining in _mining_fields(model):
            name = required(mining, "name")
            if choice(mining, "usageType", _USAGES, "active") in _TARGETS:
                continue
            found = outer.find(name)
            if found is None:
                data = self._dictionary.get(name)
                if data is None:
                    raise Unsupported(f"MiningField '{name}', which is declared nowhere")
                # A field that the outer model does not take: it is always missing.
                found = outer.declare(self._program.field(name, data.kind, None, data.valid))
            treatment = read_treatment(mining, found.kind, self._program.symbols)
            if treatment.is_default or treatment.changes_nothing:
                continue
            treated = _Treated(found.kind, found, treatment, self._dictionary.get(name))
            inner.declare(self._program.field(name, found.kind, treated, found.values))
            names.add(name)
        for element in self._dependents.of(names):
            declare_derived_field(element, inner)

    def _target(self, model: Element, function: str, targets: Element | None) -> Target:
        minings = {
            required(mining, "name"): mining
            for mining in _mining_fields(model)
            if mining.get("usageType", "active") in _TARGETS
        }
        names = list(minings)
        if model.get("targetFieldName") in names:
            names.sort(key=lambda one: one != model.get("targetFieldName"))
        data = self._dictionary.get(names[0]) if names else None
        symbols = self._program.symbols
        name = names[0] if names else ""
        if data is None:
            kind = STRING if function in {"classification", "clustering"} else DOUBLE
            return read_targets(targets, Target(name, kind, symbols, further=tuple(names[1:])))
        target = Target(
            name,
            _kind_of(minings[name], data),
            symbols,
            data.valid,
            dict(data.labels),
            dict(data.displayed),
            further=tuple(names[1:]),
        )
        return read_targets(targets, target)


def _mining_fields(model: Element) -> list[Element]:
    schema = only(list(model), "MiningSchema")
    if schema is None:
        raise Unsupported(f"a {model.tag} without a MiningSchema")
    return children(schema, NOTHING, ("MiningField",))


def _kind_of(mining: Element, data: DataField) -> Kind:
    return data.kind._replace(optype=mining.get("optype", data.kind.optype))


@dataclass(frozen=True, slots=True)
class _Treated:
    """A field of a nested model, with the treatment of its own."""

    kind: Kind
    field: Field
    treatment: Treatment
    data: DataField | None

    def one(self, record: Record) -> float:
        value = self.field.one(record)
        treated = self.treatment.of_one(value, self.data)
        if treated is None:
            raise Failed
        return treated

    def evaluate(self, batch: Batch) -> Numbers:
        values, failed = self.treatment.applied(batch.value(self.field), self.data)
        if failed is not None:
            batch.fail(failed)
        return values
