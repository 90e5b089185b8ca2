"""Compiles a PMML document, if every element and attribute in it is known exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_serving.engines.pmml.compiled.fields import Fields
from model_serving.engines.pmml.compiled.general_regression import compile_general_regression
from model_serving.engines.pmml.compiled.inputs import Inputs
from model_serving.engines.pmml.compiled.model import CompiledModel
from model_serving.engines.pmml.compiled.network import compile_network
from model_serving.engines.pmml.compiled.outputs import rows_of_columns
from model_serving.engines.pmml.compiled.reading import MODEL_PARTS, NotCompiled, check, only
from model_serving.engines.pmml.compiled.regression import compile_regression
from model_serving.engines.pmml.compiled.targets import read_target
from model_serving.engines.pmml.compiled.tree_models import compile_ensemble, compile_tree

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.compiled.evaluation import Evaluator
    from model_serving.engines.pmml.compiled.targets import Target
    from model_serving.engines.pmml.gateway import OutputColumn
    from model_serving.engines.pmml.rows import Classes

__all__ = ["compile_pmml"]

_MODELS = frozenset(
    {"TreeModel", "MiningModel", "RegressionModel", "GeneralRegressionModel", "NeuralNetwork"}
)
_REALS = frozenset({"real", "double", "float"})
_BESIDE_MODELS = frozenset({"Header", "MiningBuildTask", "DataDictionary", "TransformationDictionary"})


def compile_pmml(
    root: Element,
    names: tuple[str, ...],
    columns: Sequence[OutputColumn],
    predicted: int,
    numbers: Collection[int],
    classes: Classes | None,
) -> CompiledModel:
    """Compiles the first model of a document that PMML4S has loaded without an error.

    Args:
        root: the document.
        names: the record fields that the model takes.
        columns: the columns of PMML4S's answers.
        predicted: the index of the predicted value among the columns.
        numbers: the indices of the other columns that are used.
        classes: reads predicted classes; None for a model that predicts numbers.

    Raises:
        NotCompiled: a part of the document is not known exactly.
    """
    model = next((child for child in root if child.tag not in _BESIDE_MODELS | {"Extension"}), None)
    if model is None or model.tag not in _MODELS:
        raise NotCompiled("no model" if model is None else f"a {model.tag}")
    dictionary = _dictionary(root)
    parts = [part for part in model if part.tag in MODEL_PARTS]
    schema = only(parts, "MiningSchema")
    if schema is None or any(len(part) for part in parts if part.tag == "LocalTransformations"):
        raise NotCompiled("a model without a MiningSchema, or with transformations")
    fields = Fields(dictionary, schema)
    targets = [field.get("name", "") for field in schema if field.get("usageType") in {"target", "predicted"}]
    target = read_target(model, parts, dictionary, targets)
    if len(fields.all) != len(names):
        raise NotCompiled("fields that differ from the evaluator's")
    by_label = columns[predicted].data_type not in _REALS
    if (classes is None) is not (target.classes is None) or (by_label and target.data_type == "double"):
        raise NotCompiled("a predicted value of another kind than the target")
    if target.data_type == "string" and columns[predicted].data_type != "string":
        raise NotCompiled("a class that is predicted as something else")
    if (
        target.data_type == "integer"
        and target.classes
        and columns[predicted].data_type not in {*_REALS, "integer"}
    ):
        raise NotCompiled("a class that is predicted as something else")
    if classes is None and by_label:
        raise NotCompiled(f"a number that is predicted as {columns[predicted].data_type}")
    rows = rows_of_columns(parts, columns, numbers, target, is_tree=model.tag == "TreeModel")
    evaluator = _evaluator(model, dictionary, fields, target)
    return CompiledModel(names, fields, Inputs(fields), evaluator, target, rows, classes)


def _dictionary(root: Element) -> dict[str, Element]:
    dictionary = only(list(root), "DataDictionary")
    transformations = only(list(root), "TransformationDictionary")
    if dictionary is None or (transformations is not None and len(transformations)):
        raise NotCompiled("no data dictionary, or a transformation dictionary")
    fields = check(dictionary, {"numberOfFields"}, ("DataField",))
    named = {field.get("name", ""): field for field in fields}
    if len(named) < len(fields):
        raise NotCompiled("a field that is in the data dictionary twice")
    return named


def _evaluator(model: Element, dictionary: dict[str, Element], fields: Fields, target: Target) -> Evaluator:
    if model.tag == "NeuralNetwork":
        return compile_network(model, dictionary, fields, target)
    return {
        "TreeModel": compile_tree,
        "MiningModel": compile_ensemble,
        "RegressionModel": compile_regression,
        "GeneralRegressionModel": compile_general_regression,
    }[model.tag](model, fields, target)
