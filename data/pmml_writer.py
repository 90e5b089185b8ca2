"""Writes trained scikit-learn models as PMML 4.4, with the same bytes each time: no timestamp, exact numbers.

This module exists because today's sklearn2pmml cannot be installed together with Flink (it needs a newer
``dill``), and because these five kinds are small. The structure follows PMML 4.4 (Data Mining Group):
TreeModel, MiningModel, RegressionModel, GeneralRegressionModel, NeuralNetwork. Leaves count every class,
zeros included, in the order of the data dictionary, because some evaluators average a forest's distributions
by position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Schema", "write_forest", "write_gamma_glm", "write_linear", "write_perceptron", "write_tree"]


class Schema:
    """The fields of a model: ``features`` in order, the target, its ``classes`` (empty for a regression)."""

    __slots__ = ("classes", "features", "target")

    def __init__(self, features: Sequence[str], target: str, classes: Sequence[int] = ()) -> None:
        self.features = tuple(features)
        self.target = target
        self.classes = tuple(str(label) for label in classes)


def write_tree(tree: Any, schema: Schema, description: str) -> bytes:
    """Writes a fitted ``sklearn.tree.DecisionTreeClassifier``."""
    document = _document(schema, description)
    document.append(_tree_model(tree.tree_, schema, output=True))
    return _to_bytes(document)


def write_forest(forest: Any, schema: Schema, description: str) -> bytes:
    """Writes a fitted ``sklearn.ensemble.RandomForestClassifier``: the mean of its trees' probabilities."""
    document = _document(schema, description)
    model = SubElement(document, "MiningModel", functionName="classification")
    _describe_fields(model, schema, output=True)
    segmentation = SubElement(model, "Segmentation", multipleModelMethod="average")
    for number, estimator in enumerate(forest.estimators_, start=1):
        segment = SubElement(segmentation, "Segment", id=str(number))
        SubElement(segment, "True")
        segment.append(_tree_model(estimator.tree_, schema, output=False))
    return _to_bytes(document)


def write_linear(coefficients: Any, intercept: float, schema: Schema, description: str) -> bytes:
    """Writes target = intercept + coefficients · features."""
    document = _document(schema, description)
    model = SubElement(
        document, "RegressionModel", functionName="regression", algorithmName="ordinary least squares"
    )
    _describe_fields(model, schema, output=False)
    table = SubElement(model, "RegressionTable", intercept=_number(intercept))
    for name, coefficient in zip(schema.features, coefficients, strict=True):
        SubElement(table, "NumericPredictor", name=name, coefficient=_number(coefficient))
    return _to_bytes(document)


def write_gamma_glm(coefficients: Any, intercept: float, schema: Schema, description: str) -> bytes:
    """Writes a gamma distribution, log link: target = exp(intercept + coefficients · features)."""
    document = _document(schema, description)
    model = SubElement(
        document,
        "GeneralRegressionModel",
        functionName="regression",
        modelType="generalizedLinear",
        distribution="gamma",
        linkFunction="log",
    )
    _describe_fields(model, schema, output=False)
    parameters = SubElement(model, "ParameterList")
    SubElement(parameters, "Parameter", name="p0", label="(intercept)")
    covariates = SubElement(model, "CovariateList")
    cells = SubElement(model, "PPMatrix")
    betas = SubElement(model, "ParamMatrix")
    SubElement(betas, "PCell", parameterName="p0", beta=_number(intercept))
    for number, (name, coefficient) in enumerate(zip(schema.features, coefficients, strict=True), start=1):
        SubElement(parameters, "Parameter", name=f"p{number}", label=name)
        SubElement(covariates, "Predictor", name=name)
        SubElement(cells, "PPCell", value="1", predictorName=name, parameterName=f"p{number}")
        SubElement(betas, "PCell", parameterName=f"p{number}", beta=_number(coefficient))
    return _to_bytes(document)


def write_perceptron(network: Any, scaler: Any, schema: Schema, description: str) -> bytes:
    """Writes a fitted ``MLPClassifier`` (tanh, then softmax) after a fitted ``StandardScaler``."""
    document = _document(schema, description)
    model = SubElement(document, "NeuralNetwork", functionName="classification", activationFunction="tanh")
    _describe_fields(model, schema, output=True)
    inputs = SubElement(model, "NeuralInputs", numberOfInputs=str(len(schema.features)))
    before = [f"0,{i}" for i in range(len(schema.features))]
    for node, name, mean, scale in zip(before, schema.features, scaler.mean_, scaler.scale_, strict=True):
        derived = SubElement(
            SubElement(inputs, "NeuralInput", id=node), "DerivedField", optype="continuous", dataType="double"
        )
        line = SubElement(derived, "NormContinuous", field=name)
        SubElement(line, "LinearNorm", orig=_number(mean), norm="0")
        SubElement(line, "LinearNorm", orig=_number(mean + scale), norm="1")
    last = len(network.coefs_)
    for depth, (weights, biases) in enumerate(zip(network.coefs_, network.intercepts_, strict=True), start=1):
        layer = SubElement(model, "NeuralLayer")
        if depth == last:
            layer.attrib |= {"activationFunction": "identity", "normalizationMethod": "softmax"}
        nodes = [f"{depth},{i}" for i in range(len(biases))]
        for i, node in enumerate(nodes):
            neuron = SubElement(layer, "Neuron", id=node, bias=_number(biases[i]))
            for source, weight in zip(before, weights[:, i], strict=True):
                SubElement(neuron, "Con", attrib={"from": source, "weight": _number(weight)})
        before = nodes
    outputs = SubElement(model, "NeuralOutputs", numberOfOutputs=str(len(schema.classes)))
    for node, label in zip(before, schema.classes, strict=True):
        derived = SubElement(
            SubElement(outputs, "NeuralOutput", outputNeuron=node),
            "DerivedField",
            optype="categorical",
            dataType="string",
        )
        SubElement(derived, "NormDiscrete", field=schema.target, value=label)
    return _to_bytes(document)


def _document(schema: Schema, description: str) -> Element:
    root = Element("PMML", xmlns="http://www.dmg.org/PMML-4_4", version="4.4")
    header = SubElement(root, "Header", description=description)
    SubElement(header, "Application", name="flink-model-serving sample data")
    dictionary = SubElement(root, "DataDictionary", numberOfFields=str(len(schema.features) + 1))
    for name in schema.features:
        SubElement(dictionary, "DataField", name=name, optype="continuous", dataType="double")
    if schema.classes:
        target = SubElement(
            dictionary, "DataField", name=schema.target, optype="categorical", dataType="string"
        )
        for label in schema.classes:
            SubElement(target, "Value", value=label)
    else:
        SubElement(dictionary, "DataField", name=schema.target, optype="continuous", dataType="double")
    return root


def _describe_fields(model: Element, schema: Schema, *, output: bool) -> None:
    mining = SubElement(model, "MiningSchema")
    for name in schema.features:
        SubElement(mining, "MiningField", name=name)
    SubElement(mining, "MiningField", name=schema.target, usageType="target")
    if not output:
        return
    fields = SubElement(model, "Output")
    SubElement(
        fields,
        "OutputField",
        name=f"predicted_{schema.target}",
        optype="categorical",
        dataType="string",
        feature="predictedValue",
    )
    for label in schema.classes:
        SubElement(
            fields,
            "OutputField",
            name=f"probability({label})",
            optype="continuous",
            dataType="double",
            feature="probability",
            value=label,
        )


def _tree_model(tree: Any, schema: Schema, *, output: bool) -> Element:
    model = Element("TreeModel", functionName="classification", splitCharacteristic="binarySplit")
    _describe_fields(model, schema, output=output)
    root = SubElement(model, "Node")
    SubElement(root, "True")
    _grow(root, tree, 0, schema)
    return model


def _grow(element: Element, tree: Any, node: int, schema: Schema) -> None:
    shares: NDArray[np.float64] = tree.value[node][0]
    counts = np.rint(shares * tree.weighted_n_node_samples[node]).astype(int)
    if tree.children_left[node] < 0:
        element.set("score", schema.classes[int(np.argmax(counts))])
        element.set("recordCount", str(counts.sum()))
        for label, count in zip(schema.classes, counts, strict=True):
            SubElement(element, "ScoreDistribution", value=label, recordCount=str(count))
        return
    branches = ((tree.children_left[node], "lessOrEqual"), (tree.children_right[node], "greaterThan"))
    for child, operator in branches:
        branch = SubElement(element, "Node")
        SubElement(
            branch,
            "SimplePredicate",
            field=schema.features[tree.feature[node]],
            operator=operator,
            value=_number(tree.threshold[node]),
        )
        _grow(branch, tree, int(child), schema)


def _number(value: float) -> str:
    return repr(float(value))


def _to_bytes(document: Element) -> bytes:
    indent(document, space=" ")
    text: bytes = tostring(document, encoding="UTF-8", xml_declaration=True)
    return text + b"\n"
