"""The treatment of missing, invalid and outlying values of a field (PMML4S: ``Model.prepare``)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from model_serving.engines.pmml.compiled.reading import NotCompiled, check, number, optional_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from xml.etree.ElementTree import Element

__all__ = ["Interval", "Treatment"]

_Mask = npt.NDArray[np.bool_]
_Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A range of numbers. An infinite end means no limit."""

    low: float
    high: float
    closed_low: bool
    closed_high: bool

    @staticmethod
    def read(element: Element) -> Interval:
        """Reads an ``Interval`` element.

        Raises:
            NotCompiled: the standard does not have this closure.
        """
        check(element, {"closure", "leftMargin", "rightMargin"})
        closure = element.get("closure", "")
        if closure not in {"openOpen", "openClosed", "closedOpen", "closedClosed"}:
            raise NotCompiled(f"the closure '{closure}'")
        low, high = (optional_number(element.get(key)) for key in ("leftMargin", "rightMargin"))
        return Interval(
            -np.inf if low is None else low,
            np.inf if high is None else high,
            low is None or closure.startswith("closed"),
            high is None or closure.endswith("Closed"),
        )

    def holds(self, values: _Numbers) -> _Mask:
        """Returns a mask of the values that are inside."""
        above = values >= self.low if self.closed_low else values > self.low
        below = values <= self.high if self.closed_high else values < self.high
        inside: _Mask = above & below
        return inside


@dataclass(frozen=True, slots=True)
class Treatment:
    """The treatment of one field's values. ``valid`` and ``intervals`` limit the values, unless empty."""

    valid: tuple[float, ...] = ()
    invalid: tuple[float, ...] = ()
    missing: tuple[float, ...] = ()
    intervals: tuple[Interval, ...] = ()
    outliers: str = "asIs"
    low: float = 0.0
    high: float = 0.0
    void_when_missing: bool = False
    missing_replacement: float = np.nan
    when_invalid: str = "returnInvalid"
    invalid_replacement: float = np.nan

    @staticmethod
    def as_it_is() -> Treatment:
        """Returns a treatment that changes no value."""
        return Treatment()

    @staticmethod
    def of_numbers(
        mining: Element,
        intervals: Sequence[Element],
        texts: Mapping[str, Sequence[str]],
        value: Callable[[str], float],
    ) -> Treatment:
        """Reads the treatment of a continuous field.

        Args:
            mining: the MiningField.
            intervals: the intervals of the DataField.
            texts: the values of the DataField that are valid, invalid and missing.
            value: reads a value.

        Raises:
            NotCompiled: a part is not known exactly, or a replacement is itself not valid.
        """
        values = {key: [value(text) for text in some] for key, some in texts.items()}
        if len(set().union(*values.values())) < sum(len(some) for some in values.values()):
            raise NotCompiled("values that are listed twice")
        restricted = Treatment(
            tuple(values["valid"]),
            tuple(values["invalid"]),
            tuple(values["missing"]),
            tuple(Interval.read(interval) for interval in intervals),
        )
        treatment = _with_mining(restricted, mining, value)
        outliers = mining.get("outliers", "asIs")
        if outliers not in {"asIs", "asMissingValues", "asExtremeValues"}:
            raise NotCompiled(f"outliers {outliers}")
        if outliers != "asIs":
            low, high = number(mining.get("lowValue")), number(mining.get("highValue"))
            treatment = replace(treatment, outliers=outliers, low=low, high=high)
            if outliers == "asExtremeValues":
                _must_be_valid(treatment, low, high)
        return treatment

    @staticmethod
    def of_codes(mining: Element, code: Callable[[str], float], invalid: float | None) -> Treatment:
        """Reads the treatment of a categorical field.

        Args:
            mining: the MiningField.
            code: returns the code of a category.
            invalid: the code of values that are not valid; None when all values are valid.

        Raises:
            NotCompiled: a part is not known exactly.
        """
        if mining.get("outliers", "asIs") != "asIs":
            raise NotCompiled("outliers of a categorical field")
        restricted = Treatment() if invalid is None else Treatment(invalid=(invalid,))
        treatment = _with_mining(restricted, mining, code)
        if invalid is not None and treatment.when_invalid == "asIs":
            raise NotCompiled("invalid categories that are kept")
        return treatment

    @property
    def is_plain(self) -> bool:
        """Whether the treatment changes no value."""
        return self == Treatment()

    def apply(self, values: _Numbers, void: _Mask) -> None:
        """Changes ``values`` in place, NaN for missing, and marks in ``void`` the rows that get no result.

        Both have shape (n,).
        """
        missing = np.isnan(values)
        if self.missing:
            missing |= np.isin(values, self.missing)
        invalid = np.isin(values, self.invalid)
        if self.valid:
            invalid |= ~np.isin(values, self.valid)
        elif self.intervals:
            invalid |= ~np.logical_or.reduce([interval.holds(values) for interval in self.intervals])
        invalid &= ~missing
        if self.outliers == "asMissingValues":
            missing |= ~invalid & ((values < self.low) | (values > self.high))
        elif self.outliers == "asExtremeValues":
            np.copyto(values, np.clip(values, self.low, self.high), where=~missing & ~invalid)
        if self.when_invalid == "asMissing":
            missing |= invalid
        elif self.when_invalid == "asValue":
            values[invalid] = self.invalid_replacement
        elif self.when_invalid == "returnInvalid":
            void |= invalid
        values[missing] = self.missing_replacement
        if self.void_when_missing:
            void |= missing


def _with_mining(restricted: Treatment, mining: Element, value: Callable[[str], float]) -> Treatment:
    when_invalid = mining.get("invalidValueTreatment", "returnInvalid")
    if when_invalid not in {"returnInvalid", "asIs", "asMissing", "asValue"}:
        raise NotCompiled(f"the invalid value treatment {when_invalid}")
    texts = (mining.get("missingValueReplacement"), mining.get("invalidValueReplacement"))
    if (texts[1] is None) is (when_invalid == "asValue"):
        raise NotCompiled("an invalid value replacement that is not used, or missing")
    missing, invalid = (np.nan if text is None else value(text) for text in texts)
    _must_be_valid(restricted, *(value(text) for text in texts if text is not None))
    return replace(
        restricted,
        void_when_missing=mining.get("missingValueTreatment") == "returnInvalid",
        missing_replacement=missing,
        when_invalid=when_invalid,
        invalid_replacement=invalid,
    )


def _must_be_valid(treatment: Treatment, *values: float) -> None:
    """Raises NotCompiled for a replacement that is not valid: a part of the model would treat it again."""
    restricted = Treatment(treatment.valid, treatment.invalid, treatment.missing, treatment.intervals)
    for value in values:
        void, made = np.zeros(1, dtype=bool), np.array([value])
        restricted.apply(made, void)
        if void.any() or np.isnan(made).any():
            raise NotCompiled(f"the replacement {value}, which is not valid")
