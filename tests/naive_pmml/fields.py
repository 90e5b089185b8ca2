"""Fields: what the DataDictionary and a MiningSchema make of a record's values (PMML 4.4, MiningSchema)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tests.naive_pmml.expressions import evaluate
from tests.naive_pmml.values import NoAnswer, Value, as_type, equals, read

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["Dictionary", "Record"]


class Dictionary:
    """The DataDictionary of a document."""

    def __init__(self, element: Element) -> None:
        self.fields = {str(field.get("name")): field for field in element.iterfind("DataField")}

    def type_of(self, name: str) -> str:
        """Returns the data type of a field."""
        return str(self.fields[name].get("dataType"))

    def classes(self, name: str) -> list[Value]:
        """Returns the valid values of a field in their order."""
        return [read(text, self.type_of(name)) for text in self._texts(name, "valid")]

    def treated(self, mining: Element, given: Value) -> Value:
        """Returns a record's value of a field after the treatment by the MiningField.

        Raises:
            NoAnswer: the value is invalid or missing, and the MiningField says returnInvalid.
        """
        name = str(mining.get("name"))
        data_type = self.type_of(name)
        value = None if given is None else as_type(given, data_type)
        if value is not None and any(
            equals(value, read(text, data_type)) for text in self._texts(name, "missing")
        ):
            value = None
        if value is not None and not self._is_valid(name, value):
            treatment = mining.get("invalidValueTreatment", "returnInvalid")
            if treatment == "returnInvalid":
                raise NoAnswer(f"{name} is {value!r}")
            if treatment == "asIs":
                return value
            if treatment == "asValue":
                return read(mining.attrib["invalidValueReplacement"], data_type)
            value = {"asMissing": None}[treatment]
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            value = _without_outliers(mining, value)
        if value is None:
            return _replaced(mining, data_type)
        return value

    def _texts(self, name: str, kind: str) -> list[str]:
        return [
            str(value.get("value"))
            for value in self.fields[name].iterfind("Value")
            if value.get("property", "valid") == kind
        ]

    def _is_valid(self, name: str, value: Value) -> bool:
        data_type = self.type_of(name)
        if any(equals(value, read(text, data_type)) for text in self._texts(name, "invalid")):
            return False
        listed = self._texts(name, "valid")
        intervals = self.fields[name].findall("Interval")
        if not listed and not intervals:
            return True
        return any(equals(value, read(text, data_type)) for text in listed) or any(
            _holds(interval, value) for interval in intervals
        )


def _without_outliers(mining: Element, value: float) -> float | None:
    treatment = mining.get("outliers", "asIs")
    if treatment == "asIs":
        return value
    low, high = float(mining.attrib["lowValue"]), float(mining.attrib["highValue"])
    if low <= value <= high:
        return value
    if treatment == "asMissingValues":
        return None
    return {"asExtremeValues": low if value < low else high}[treatment]


def _replaced(mining: Element, data_type: str) -> Value:
    if mining.get("missingValueTreatment") == "returnInvalid":
        raise NoAnswer(f"{mining.get('name')} is missing")
    text = mining.get("missingValueReplacement")
    return None if text is None else read(text, data_type)


def _holds(interval: Element, value: Value) -> bool:
    if not isinstance(value, (int, float)):
        return False
    closure = interval.attrib["closure"]
    low, high = interval.get("leftMargin"), interval.get("rightMargin")
    above = low is None or value > float(low) or (value == float(low) and closure.startswith("closed"))
    below = high is None or value < float(high) or (value == float(high) and closure.endswith("Closed"))
    return above and below


class Record:
    """One record as a model sees it: treated inputs, derived fields, outputs of the segments before."""

    def __init__(
        self, values: Mapping[str, Value], types: Mapping[str, str], derived: Mapping[str, Element]
    ) -> None:
        self.values = dict(values)
        self.types = dict(types)
        self._derived = dict(derived)

    def value(self, name: str) -> Value:
        """Returns the value of a field."""
        if name not in self.values:
            field = self._derived[name]
            self.values[name] = as_type(evaluate(next(iter(field)), self), str(field.get("dataType")))
        return self.values[name]

    def type_of(self, name: str) -> str:
        """Returns the data type of a field."""
        return str(self._derived[name].get("dataType")) if name in self._derived else self.types[name]

    def inner(self, derived: Mapping[str, Element]) -> Record:
        """Returns the record for a model inside, which has derived fields of its own too."""
        return Record(self.values, self.types, {**self._derived, **derived})
