"""The input fields of a model: they prepare a record's values for the model as PMML4S does.

Numbers stay numbers. A categorical value becomes a code: its index among the values that the model knows, or
``_OTHER`` for another valid value. A missing value becomes NaN.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from model_serving.engines.pmml.compiled.reading import NOTHING, NotCompiled, check, number, whole_number
from model_serving.engines.pmml.compiled.treatment import Treatment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

__all__ = ["Field", "Fields", "Numbers", "same_treatment"]

Numbers = npt.NDArray[np.float64]

_INVALID = -1.0
_OTHER = -2.0
_MINING_ATTRIBUTES = frozenset(
    {
        "name",
        "usageType",
        "optype",
        "importance",
        "outliers",
        "lowValue",
        "highValue",
        "missingValueReplacement",
        "missingValueTreatment",
        "invalidValueTreatment",
        "invalidValueReplacement",
    }
)
_DATA_ATTRIBUTES = frozenset({"name", "displayName", "optype", "dataType", "isCyclic"})
_WITHOUT_TREATMENT = frozenset({"name", "usageType", "optype", "importance", "missingValueTreatment"})
_USAGES_WITHOUT_EFFECT = frozenset({"supplementary", "target", "predicted"})
_REALS = frozenset({"double", "float"})


@dataclass(slots=True)
class Field:
    """An input field. ``codes`` is None for a continuous one."""

    name: str
    column: int
    data_type: str
    treatment: Treatment
    codes: dict[str | float, float] | None = None
    listed: bool = False
    numbers: list[float] = field(default_factory=list)
    """The numbers that the model compares the field with; the comparison with the evaluator tests them."""

    def code(self, text: str) -> float:
        """Returns the code of a category that the model names.

        If the data dictionary lists categories but not this one, the code is one that matches no record.
        """
        if self.codes is None:
            return number(text)
        key = text if self.data_type == "string" else whole_number(text)
        if key not in self.codes:
            if self.listed:
                return _INVALID
            self.codes[key] = float(len(self.codes))
        return self.codes[key]

    def encode(self, values: npt.NDArray[np.generic]) -> Numbers:
        """Returns a column of the records, shape (n,), as numbers or codes."""
        if self.codes is None:
            return values.astype(np.float64)
        missing = "" if self.data_type == "string" else None
        codes, unknown = self.codes, _INVALID if self.listed else _OTHER
        return np.array(
            [
                np.nan if value == missing or value != value else codes.get(value, unknown)
                for value in values.tolist()
            ],
            dtype=np.float64,
        )


class Fields:
    """The active fields of the first model, in MiningSchema order: the columns of a batch."""

    def __init__(self, dictionary: Mapping[str, Element], schema: Element) -> None:
        """Reads the fields.

        Raises:
            NotCompiled: a type, an attribute or a treatment is not known exactly.
        """
        self._by_name: dict[str, Field] = {}
        for mining in check(schema, NOTHING, ("MiningField",)):
            check(mining, _MINING_ATTRIBUTES)
            name = mining.get("name", "")
            usage = mining.get("usageType", "active")
            if usage in _USAGES_WITHOUT_EFFECT:
                continue
            if usage != "active" or name in self._by_name or name not in dictionary:
                raise NotCompiled(f"the field {name}, used as {usage}")
            self._by_name[name] = _read_field(dictionary[name], mining, len(self._by_name))
        self.all: Sequence[Field] = tuple(self._by_name.values())

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def named(self, name: str | None) -> Field:
        """Returns the input field with this name.

        Raises:
            NotCompiled: there is no such input field.
        """
        found = self._by_name.get(name or "")
        if found is None:
            raise NotCompiled(f"'{name}', which is not an input field")
        return found

    def continuous(self, name: str | None) -> Field:
        """Returns the numeric input field with this name.

        Raises:
            NotCompiled: there is no such input field, or it is categorical.
        """
        found = self.named(name)
        if found.codes is not None:
            raise NotCompiled(f"the categorical field {name} as a number")
        return found


def same_treatment(schema: Element, fields: Fields) -> None:
    """Checks that the MiningSchema of a part of the model does not change the values again.

    Raises:
        NotCompiled: it may change values, or it has other fields than the whole model.
    """
    for mining in check(schema, NOTHING, ("MiningField",)):
        check(mining, _WITHOUT_TREATMENT)
        if mining.get("missingValueTreatment") == "returnInvalid":
            raise NotCompiled("a part with a missing value treatment of its own")
        if mining.get("usageType", "active") not in _USAGES_WITHOUT_EFFECT:
            fields.named(mining.get("name"))


def _read_field(data: Element, mining: Element, column: int) -> Field:
    parts = check(data, _DATA_ATTRIBUTES, ("Value", "Interval"))
    name, optype, data_type = (data.get(key, "") for key in ("name", "optype", "dataType"))
    if mining.get("optype", optype) != optype:
        raise NotCompiled(f"the field {name} with two optypes")
    values: dict[str, list[str]] = {"valid": [], "invalid": [], "missing": []}
    for part in parts:
        if part.tag == "Value":
            check(part, {"value", "displayValue", "property"})
            values.setdefault(part.get("property", "valid"), []).append(part.get("value", ""))
    if values.keys() != {"valid", "invalid", "missing"}:
        raise NotCompiled(f"the properties of the values of {name}")
    intervals = [part for part in parts if part.tag == "Interval"]
    if optype == "continuous" and data_type in {*_REALS, "integer"}:
        treatment = Treatment.of_numbers(
            mining, intervals, values, number if data_type in _REALS else whole_number
        )
        return Field(name, column, data_type, treatment)
    if optype not in {"categorical", "ordinal"} or data_type not in {"string", "integer"} or intervals:
        raise NotCompiled(f"the field {name} of optype {optype} and dataType {data_type}")
    return _categorical(name, column, data_type, values, mining)


def _categorical(
    name: str, column: int, data_type: str, values: dict[str, list[str]], mining: Element
) -> Field:
    codes: dict[str | float, float] = {}
    keys = {
        key: [text if data_type == "string" else whole_number(text) for text in texts]
        for key, texts in values.items()
    }
    named = [key for texts in keys.values() for key in texts]
    if len(set(named)) < len(named) or "" in named:
        raise NotCompiled(f"values of {name} that are listed twice")
    codes.update((key, float(index)) for index, key in enumerate(keys["valid"]))
    codes.update((key, _INVALID) for key in keys["invalid"])
    codes.update((key, np.nan) for key in keys["missing"])
    if not keys["valid"] and codes:
        raise NotCompiled(f"the field {name} with no valid value")
    made = Field(name, column, data_type, Treatment.as_it_is(), codes, listed=bool(keys["valid"]))
    made.treatment = Treatment.of_codes(mining, made.code, _INVALID if made.listed else None)
    return made
