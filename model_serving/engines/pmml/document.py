"""Reads an untrusted PMML document, and repairs the parts of it that the evaluator gets wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from model_serving.core.errors import ModelRejected
from model_serving.engines.foreign_errors import first_line
from model_serving.engines.limits import Limits
from model_serving.engines.pmml.xml_tree import read_xml, written

__all__ = ["PmmlDocument", "PmmlInput", "read_pmml"]

_NO_MODELS = ("Header", "MiningBuildTask", "DataDictionary", "TransformationDictionary", "Extension")
_METHOD = "multipleModelMethod"
_TARGET_USAGES = ("target", "predicted")
_NUMERIC_TYPES = ("integer", "float", "double", "boolean")


@dataclass(frozen=True, slots=True)
class PmmlInput:
    """An active field of the model: its name and PMML ``dataType``."""

    name: str
    data_type: str

    @property
    def is_number(self) -> bool:
        """Whether the input takes a number of the record; all others (strings, dates) take text."""
        return self.data_type in _NUMERIC_TYPES


@dataclass(frozen=True, slots=True)
class PmmlDocument:
    """The parts of a PMML document that the engine needs.

    ``text`` is the repaired document, without a DOCTYPE, an XML declaration or a prefix before PMML's names.
    ``inputs`` are the active fields of the first model in MiningSchema order. ``function`` is its
    ``functionName``. ``classes`` are the target's values in DataDictionary order, empty if there are none.
    ``selects_first`` says whether a different segment of the model may answer each record. ``root`` is the
    repaired document as a tree, which is large.
    """

    text: str
    inputs: tuple[PmmlInput, ...]
    function: str
    classes: tuple[str, ...]
    selects_first: bool
    root: Element = field(repr=False, compare=False)


def read_pmml(content: bytes, most_bytes: int = Limits().pmml_bytes) -> PmmlDocument:
    """Reads, checks and repairs a PMML document, in any encoding that expat knows.

    ``most_bytes`` is how long the document may be.

    Raises:
        ModelRejected: the document is not well-formed XML, is not PMML, has a DOCTYPE, is too large or nested
            too deeply, has no inputs, or has a predicate that the evaluator gets wrong.
    """
    root = read_xml(content, most_bytes)
    if root.tag != "PMML":
        raise ModelRejected(f"not a PMML document: its root element is '{first_line(root.tag)}'")
    dictionary = {field.get("name", ""): field for field in root.iterfind("DataDictionary/DataField")}
    model = next((child for child in root if child.tag not in _NO_MODELS), None)
    if model is None:
        raise ModelRejected("the PMML document has no model in it")
    if any(part.get("booleanOperator") == "xor" for part in model.iter("CompoundPredicate")):
        # PMML4S 1.5.8 evaluates xor to false without an error; a test fails when a later version is right.
        raise ModelRejected(
            "the PMML model has the predicate xor, which the evaluator gets wrong: write it with and, or"
        )
    values = {name: _valid_values(field) for name, field in dictionary.items()}
    _complete_score_distributions(model, values)
    _drop_outputs_of_selected(model)
    inputs = tuple(
        PmmlInput(name, dictionary[name].get("dataType", "double"))
        for name in _fields_with_usage(model, ("active",))
        if name in dictionary
    )
    if not inputs:
        raise ModelRejected("the PMML model has no active field in its MiningSchema: it would score nothing")
    targets = _fields_with_usage(model, _TARGET_USAGES)
    return PmmlDocument(
        text=written(root),
        inputs=inputs,
        function=model.get("functionName", ""),
        classes=values.get(targets[0], ()) if targets else (),
        selects_first=any(part.get(_METHOD) == "selectFirst" for part in model.iter("Segmentation")),
        root=root,
    )


def _drop_outputs_of_selected(top: Element) -> None:
    """Removes the outputs of segments where only the first segment that fits answers (``selectFirst``).

    The evaluator (PMML4S 1.5.8) announces the outer model's outputs, but answers only with those of the
    selected segment. If the segment has none, it answers with the predicted value, as it does for an outer
    model without outputs. So the outer model's outputs are removed too, if they give nothing else.
    """
    pending = [(top, False)]
    while pending:
        model, is_selected = pending.pop()
        segmentation = model.find("Segmentation")
        method = "" if segmentation is None else segmentation.get(_METHOD, "")
        for output in model.findall("Output"):
            if is_selected or (method == "selectFirst" and model is top and _says_no_more(output)):
                model.remove(output)
        segments = [] if segmentation is None else segmentation.findall("Segment")
        if method == "selectFirst":
            pending += [(part, True) for segment in segments for part in segment]
        elif method == "modelChain":
            pending += [(part, False) for segment in segments[-1:] for part in segment]


def _says_no_more(output: Element) -> bool:
    return all(field.get("feature") in {"predictedValue", "probability"} for field in output)


def _fields_with_usage(model: Element, usages: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        field.get("name", "")
        for field in model.iterfind("MiningSchema/MiningField")
        if field.get("usageType", "active") in usages
    )


def _valid_values(field: Element) -> tuple[str, ...]:
    return tuple(
        value.get("value", "")
        for value in field.iterfind("Value")
        if value.get("property", "valid") == "valid"
    )


def _complete_score_distributions(model: Element, values: dict[str, tuple[str, ...]]) -> None:
    """Completes each node's ScoreDistributions: every class in DataDictionary order, absent ones as zero.

    The evaluator (PMML4S 1.5.8) averages the distributions of a forest's trees by position. When leaves lack
    classes or order them differently, as in the files of Spark's exporter, its answers are wrong, without an
    error. ``tests/unit/engines/test_pmml_forest.py`` fails when a later version is right; then remove this
    function.
    """
    pending: list[tuple[Element, tuple[str, ...]]] = [(model, ())]
    while pending:
        element, classes = pending.pop()
        if element.tag in {"MiningModel", "TreeModel"}:
            targets = _fields_with_usage(element, _TARGET_USAGES)
            classes = values.get(targets[0], ()) if targets else classes
        elif element.tag == "Node":
            _complete_node(element, classes)
        pending.extend((child, classes) for child in element)


def _complete_node(node: Element, classes: tuple[str, ...]) -> None:
    given = {part.get("value", ""): part for part in node if part.tag == "ScoreDistribution"}
    if not given or not given.keys() <= set(classes) or tuple(given) == classes:
        return
    zeros = {"recordCount": "0"} | {
        name: "0"
        for name in ("probability", "confidence")
        if any(name in part.attrib for part in given.values())
    }
    position = next(index for index, part in enumerate(node) if part.tag == "ScoreDistribution")
    for part in [part for part in node if part.tag == "ScoreDistribution"]:
        node.remove(part)
    for offset, label in enumerate(classes):
        missing = Element("ScoreDistribution", {"value": label, **zeros})
        node.insert(position + offset, given.get(label, missing))
