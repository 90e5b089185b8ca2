"""A document, and the answer that it has for a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from tests.naive_pmml.fields import Dictionary, Record
from tests.naive_pmml.models import MODELS, predicted
from tests.naive_pmml.values import NoAnswer, Value

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["Answer", "Document"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a document says about a record: the target, probabilities by class, outputs by name."""

    value: Value = None
    probabilities: Mapping[Value, float] = field(default_factory=dict)
    outputs: Mapping[str, Value] = field(default_factory=dict)


class Document:
    """A document without namespaces."""

    def __init__(self, content: bytes) -> None:
        root = ET.fromstring(content)
        self._dictionary = Dictionary(next(root.iterfind("DataDictionary")))
        self._model: Element = next(part for part in root if part.tag in MODELS)
        self._derived = {
            str(one.get("name")): one for one in root.iterfind("TransformationDictionary/DerivedField")
        }

    def answer(self, given: Mapping[str, Value]) -> Answer:
        """Returns the answer for a record; an empty one when it has none."""
        try:
            values = {
                str(mining.get("name")): self._dictionary.treated(mining, given.get(str(mining.get("name"))))
                for mining in self._model.iterfind("MiningSchema/MiningField")
                if mining.get("usageType", "active") == "active"
            }
            types = {name: self._dictionary.type_of(name) for name in self._dictionary.fields}
            made = predicted(self._model, Record(values, types, self._derived), self._dictionary)
        except NoAnswer:
            return Answer()
        return Answer(made.value, made.probabilities, made.outputs)
