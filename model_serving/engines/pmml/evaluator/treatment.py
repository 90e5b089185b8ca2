"""What happens to missing, invalid and outlying values of a field (PMML 4.4: MiningSchema)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import Kind, constant, numeric_reader, read_kind
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

    from model_serving.engines.pmml.evaluator.batch import Mask
    from model_serving.engines.pmml.evaluator.symbols import Numbers, Symbols

__all__ = ["DataField", "Interval", "Treatment", "read_data_field", "read_interval", "read_treatment"]

_CLOSURES = ("openOpen", "openClosed", "closedOpen", "closedClosed")
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
_SHORT = 32
_MOST_SHOWN = 60
"""How many characters of a text value a message shows."""
_MISSING = (
    "asIs",
    "asMean",
    "asMode",
    "asMedian",
    "asValue",
    "returnInvalid",
)


@dataclass(frozen=True, slots=True)
class Interval:
    """A range of numbers. An infinite end means no limit."""

    low: float
    high: float
    closed_low: bool
    closed_high: bool

    def holds(self, values: Numbers) -> Mask:
        """Returns a mask of the values that are inside."""
        above = values >= self.low if self.closed_low else values > self.low
        below = values <= self.high if self.closed_high else values < self.high
        inside: Mask = above & below
        return inside

    def accepts(self, value: float) -> bool:
        """Returns whether one value is inside."""
        above = value >= self.low if self.closed_low else value > self.low
        return above and (value <= self.high if self.closed_high else value < self.high)

    def rounded(self) -> Interval:
        """Returns the range with its ends rounded to 32 bits."""
        return replace(self, low=float(np.float32(self.low)), high=float(np.float32(self.high)))


def read_interval(element: Element) -> Interval:
    """Reads an ``Interval`` element.

    Raises:
        Unsupported: the standard does not have this closure, or a margin is not a number.
    """
    children(element, {"closure", "leftMargin", "rightMargin"})
    closure = choice(element, "closure", _CLOSURES, None)
    low, high = optional_number(element, "leftMargin"), optional_number(element, "rightMargin")
    return Interval(
        -np.inf if low is None else low,
        np.inf if high is None else high,
        low is None or closure.startswith("closed"),
        high is None or closure.endswith("Closed"),
    )


@dataclass(frozen=True, slots=True)
class DataField:
    """A field of the DataDictionary. ``labels`` spell its valid values, ``displayed`` are for display."""

    name: str
    kind: Kind
    valid: tuple[float, ...] = ()
    invalid: tuple[float, ...] = ()
    missing: tuple[float, ...] = ()
    intervals: tuple[Interval, ...] = ()
    labels: dict[float, str] = field(default_factory=dict)
    displayed: dict[float, str] = field(default_factory=dict)
    has_empty_text: bool = False

    def is_valid(self, values: Numbers) -> Mask:
        """Returns a mask of the values that are declared, for values that are not missing."""
        good: Mask | None = _among(values, self.valid) if self.valid else None
        for interval in self.intervals:
            held = interval.holds(values)
            good = held if good is None else good | held
        if good is None:
            good = np.ones(len(values), dtype=bool)
        return good & ~_among(values, self.invalid) if self.invalid else good

    def accepts(self, value: float) -> bool:
        """Returns whether one value that is not missing is declared."""
        if value in self.invalid:
            return False
        if not self.valid and not self.intervals:
            return True
        return value in self.valid or any(one.accepts(value) for one in self.intervals)


def _among(values: Numbers, listed: tuple[float, ...]) -> Mask:
    """Returns a mask of the values that are listed. It is faster than ``isin`` for the usual short lists."""
    if len(listed) > _SHORT:
        return np.isin(values, listed)
    found: Mask = (values[:, None] == np.array(listed)).any(axis=1)
    return found


def read_data_field(element: Element, symbols: Symbols) -> DataField:
    """Reads a DataField.

    Raises:
        Unsupported: a part of it is not known.
    """
    parts = children(
        element,
        {"name", "displayName", "optype", "dataType", "isCyclic", "taxonomy", "x-mathContext"},
        ("Value", "Interval"),
    )
    kind = read_kind(element)
    intervals = tuple(read_interval(part) for part in parts if part.tag == "Interval")
    if kind.data_type == "float":
        # Values of the field are rounded to 32 bits, so margins that spell values of the field are as well.
        intervals = tuple(one.rounded() for one in intervals)
    values: dict[str, list[float]] = {"valid": [], "invalid": [], "missing": []}
    labels: dict[float, str] = {}
    displayed: dict[float, str] = {}
    for part in (part for part in parts if part.tag == "Value"):
        children(part, {"value", "displayValue", "property"})
        which = choice(part, "property", ("valid", "invalid", "missing"), "valid")
        text = part.get("value", part.get("displayValue"))
        if text is None:
            raise Unsupported(f"Value without value in DataField '{element.get('name')}'")
        value = _value_in_list(text, kind.data_type, symbols)
        if value is None:
            continue  # no record can have it, such as the text N/A in a field of numbers
        values[which].append(value)
        if which == "valid":
            labels[value] = text
            displayed[value] = part.get("displayValue", text)
    return DataField(
        required(element, "name"),
        kind,
        tuple(dict.fromkeys(values["valid"])),
        tuple(values["invalid"]),
        tuple(values["missing"]),
        intervals,
        labels,
        displayed,
        kind.is_text and symbols.codes.get("") in {*values["valid"], *values["invalid"]},
    )


def _value_in_list(text: str, data_type: str, symbols: Symbols) -> float | None:
    if data_type == "string":
        return symbols.code(text)
    try:
        value = numeric_reader(data_type)(text)
    except ValueError:
        return None
    return None if value != value else value


@dataclass(frozen=True, slots=True)
class Treatment:
    """The treatment of one field's values; the default treatment only refuses invalid values."""

    when_invalid: str = "returnInvalid"
    invalid_replacement: float = np.nan
    when_missing: str = "asIs"
    missing_replacement: float = np.nan
    outliers: str = "asIs"
    low: float = -np.inf
    high: float = np.inf

    @property
    def is_default(self) -> bool:
        """Whether the element says nothing about the treatment."""
        return (
            self.when_invalid == "returnInvalid"
            and self.when_missing != "returnInvalid"
            and self.outliers == "asIs"
            and self.missing_replacement != self.missing_replacement
        )

    @property
    def changes_nothing(self) -> bool:
        """Whether values that another treatment has been applied to stay as they are."""
        return (
            self.when_invalid == "asIs"
            and self.when_missing != "returnInvalid"
            and self.outliers == "asIs"
            and self.missing_replacement != self.missing_replacement
        )

    def of_one(self, value: float, data: DataField | None, *, is_odd: bool = False) -> float | None:
        """Returns the treated value of one record alone, None where the record fails (see ``applied``)."""
        missing = value != value or (data is not None and value in data.missing)
        if missing:
            pass
        elif is_odd or not (data is None or data.accepts(value)):
            if self.when_invalid == "asMissing":
                missing = True
            elif self.when_invalid == "asValue":
                return self.invalid_replacement
            elif is_odd or self.when_invalid == "returnInvalid":
                return None
        elif self.outliers == "asMissingValues":
            missing = not self.low <= value <= self.high
        elif self.outliers == "asExtremeValues":
            return min(max(value, self.low), self.high)
        if not missing:
            return value
        return None if self.when_missing == "returnInvalid" else self.missing_replacement

    def applied(
        self, values: Numbers, data: DataField | None, odd: Mask | None = None
    ) -> tuple[Numbers, Mask | None]:
        """Returns the treated values and a mask of the records that fail, None when none do.

        Args:
            values: the values, shape (n,), NaN for missing. They are not changed.
            data: what the DataDictionary says about the field; None for a field that is not in it.
            odd: a mask of values that are invalid in any case, such as a fraction for whole numbers.
        """
        missing = np.isnan(values) if odd is None else np.isnan(values) & ~odd
        if data is not None and data.missing:
            missing |= _among(values, data.missing)
        invalid = np.zeros(len(values), dtype=bool) if data is None else ~data.is_valid(values)
        if odd is not None:
            invalid |= odd
        invalid &= ~missing
        made = values.copy()
        failed: Mask | None = None
        regular = ~(missing | invalid)
        if self.outliers == "asMissingValues":
            missing |= regular & ((values < self.low) | (values > self.high))
        elif self.outliers == "asExtremeValues":
            np.copyto(made, np.clip(values, self.low, self.high), where=regular)
        if self.when_invalid == "asMissing":
            missing |= invalid
        elif self.when_invalid == "asValue":
            made[invalid] = self.invalid_replacement
        elif self.when_invalid == "returnInvalid":
            failed = invalid
        elif odd is not None:  # asIs, but the field's type does not have the value
            failed = odd
        if self.when_missing == "returnInvalid":
            failed = missing if failed is None else failed | missing
        made[missing] = self.missing_replacement
        return made, (failed if failed is not None and failed.any() else None)

    def fault(self, name: str, given: object, data: DataField) -> str:
        """Returns why a record fails: the field's name, the value that the record has, and the rule."""
        if given == "" or given != given or given in data.missing:
            return f"the field '{name}' has no value, and the model says missingValueTreatment returnInvalid"
        return (
            f"the field '{name}' has the value {_shown(given)}, which the model declares invalid "
            f"(invalidValueTreatment {self.when_invalid})"
        )


def _shown(given: object) -> str:
    """Returns a value as people write it, long texts cut."""
    if isinstance(given, str):
        return f"'{given[:_MOST_SHOWN]}'"
    return f"{float(given):.15g}" if isinstance(given, (int, float, np.number)) else "given"


def read_treatment(mining: Element, kind: Kind, symbols: Symbols) -> Treatment:
    """Reads the treatment from a MiningField of a field with this kind.

    Raises:
        Unsupported: a part of it is not known.
    """
    children(mining, _MINING_ATTRIBUTES)
    name = mining.get("name")
    when_invalid = choice(
        mining, "invalidValueTreatment", ("returnInvalid", "asIs", "asMissing", "asValue"), "returnInvalid"
    )
    replacement = mining.get("invalidValueReplacement")
    if replacement is not None and when_invalid == "asIs":
        when_invalid = "asValue"  # how PMML 4.3 spelled it
    if (replacement is None) and when_invalid == "asValue":
        raise Unsupported(f"invalidValueTreatment 'asValue' without a replacement for '{name}'")
    when_missing = choice(mining, "missingValueTreatment", _MISSING, "asIs")
    missing = mining.get("missingValueReplacement")
    outliers = choice(mining, "outliers", ("asIs", "asMissingValues", "asExtremeValues"), "asIs")
    low = high = None
    if outliers != "asIs":
        if outliers == "asExtremeValues":
            low, high = number(mining, "lowValue"), number(mining, "highValue")
        else:
            low, high = optional_number(mining, "lowValue"), optional_number(mining, "highValue")
    return Treatment(
        when_invalid,
        np.nan if replacement is None else constant(replacement, kind.data_type, symbols),
        when_missing,
        np.nan if missing is None else constant(missing, kind.data_type, symbols),
        outliers,
        -np.inf if low is None else low,
        np.inf if high is None else high,
    )
