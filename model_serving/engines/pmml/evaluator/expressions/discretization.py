"""``Discretize``: numbers as the bins that they lie in (PMML 4.4: Transformations)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import Kind, constant, read_kind
from model_serving.engines.pmml.evaluator.expressions.operands import as_number
from model_serving.engines.pmml.evaluator.reading import Unsupported, children, only, required
from model_serving.engines.pmml.evaluator.treatment import Interval, read_interval

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Expression, Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers, Symbols

__all__ = ["compile_expression", "result_kind", "spelled_values"]


def result_kind(element: Element) -> Kind:
    """Returns the type of what a ``Discretize`` or ``MapValues`` gives: its ``dataType``, else text.

    Raises:
        Unsupported: the type is not known.
    """
    optype = "categorical" if element.get("dataType", "string") in {"string", "boolean"} else "continuous"
    return read_kind(element, Kind("string", optype))


def spelled_values(texts: Sequence[str | None], kind: Kind, symbols: Symbols) -> Numbers:
    """Returns values that the document spells; None, and an empty text where a number belongs, is missing.

    Raises:
        Unsupported: a text does not spell a value of the type.
    """
    return np.array(
        [
            np.nan
            if text is None or (not text.strip() and not kind.is_text)
            else constant(text, kind.data_type, symbols)
            for text in texts
        ]
    )


def compile_expression(element: Element, scope: Scope) -> Expression:
    """Reads a ``Discretize``.

    Raises:
        Unsupported: a part of it is not known.
    """
    parts = children(
        element, {"field", "mapMissingTo", "defaultValue", "dataType", "optype"}, ("DiscretizeBin",)
    )
    bins: list[tuple[Interval, str]] = []
    for part in parts:
        children(part, {"binValue"})
        interval = only(list(part), "Interval")
        if interval is None:
            raise Unsupported("a DiscretizeBin without an Interval")
        bins.append((read_interval(interval), required(part, "binValue")))
    margins = sorted({margin for one, _ in bins for margin in (one.low, one.high)})
    texts = _regions(bins, margins, element.get("defaultValue"))
    field = as_number(scope.field(element.get("field")), scope.program)
    kind = result_kind(element)
    values = spelled_values([*texts, element.get("mapMissingTo")], kind, scope.program.symbols)
    return _Bins(kind, field, np.array(margins), values, (*texts, element.get("mapMissingTo")))


def _regions(
    bins: Sequence[tuple[Interval, str]], margins: Sequence[float], default: str | None
) -> list[str | None]:
    """Returns the value of each region: below the first margin, at it, between it and the next, and so on."""
    places = {margin: place for place, margin in enumerate(margins)}
    regions: list[str | None] = [default] * (2 * len(margins) + 1)
    for interval, value in reversed(bins):  # where bins overlap, the first one counts
        first = 2 * places[interval.low] + (1 if interval.closed_low else 2)
        last = 2 * places[interval.high] + (1 if interval.closed_high else 0)
        regions[first : last + 1] = [value] * max(last + 1 - first, 0)
    return regions


@dataclass(frozen=True, slots=True)
class _Bins:
    """The value of the region that a number lies in; the last of ``values`` stands for a missing number."""

    kind: Kind
    argument: Expression
    margins: Numbers
    values: Numbers
    texts: tuple[str | None, ...]
    _margins: list[float] = dataclass_field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_margins", self.margins.tolist())

    def one(self, record: Record) -> float:
        """See ``Expression.one``."""
        number = self.argument.one(record)
        place = bisect_left(self._margins, number) + bisect_right(self._margins, number)
        return self.values.item(place if number == number else -1)

    def evaluate(self, batch: Batch) -> Numbers:
        numbers = self.argument.evaluate(batch)
        places = np.searchsorted(self.margins, numbers) + np.searchsorted(self.margins, numbers, "right")
        total = np.add.reduce(numbers)
        if total != total:
            places[np.isnan(numbers)] = -1
        made: Numbers = self.values[places]
        return made

    def as_kind(self, kind: Kind, symbols: Symbols) -> _Bins:
        """Returns the same bins with values of another type, read from what the document spells."""
        return replace(self, kind=kind, values=spelled_values(self.texts, kind, symbols))
