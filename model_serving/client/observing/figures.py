"""Numbers and values as the commands print them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from model_serving.client.printable import as_moment
from model_serving.observe.answers import Summary

__all__ = ["as_count", "as_document", "as_local", "as_ms", "as_number", "as_rate", "as_share", "percentiles"]


def as_count(number: int) -> str:
    """Returns a count with thousands separated."""
    return f"{number:,}"


def as_ms(number: float) -> str:
    """Returns milliseconds with about three digits, without the unit."""
    # Latencies are below 0 where the sender's clock is ahead.
    size = abs(number)
    if size >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if size >= 10 else f"{number:.2f}" if size >= 1 else f"{number:.3f}"


def as_local(epoch_ms: int) -> str:
    """Returns an instant in local time to the second, without the zone, for tables; nothing for 0."""
    return as_moment(epoch_ms)[:19] if epoch_ms else ""


def as_rate(number: float) -> str:
    """Returns records a second."""
    return f"{number:,.0f}" if number >= 100 or number == 0 else f"{number:.1f}"


def as_share(share: float | None) -> str:
    """Returns a share of 1 in percent; nothing if it is not known."""
    return "" if share is None else f"{100 * share:.1f} %"


def as_number(number: float | None) -> str:
    """Returns a number of any size; nothing if it is not known."""
    return "" if number is None else f"{number:.4g}"


def percentiles(summary: Summary) -> dict[str, str]:
    """Returns the percentiles by name, in milliseconds; they are empty without values."""
    values = (summary.p50, summary.p90, summary.p99, summary.p999)
    texts = map(as_ms, values) if summary.count else [""] * len(values)
    return dict(zip(("p50", "p90", "p99", "p99.9"), texts, strict=True))


def as_document(value: Any) -> Any:
    """Returns an answer of a board as a value for ``json.dumps``: names in camel case, as in messages."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {_camel(name): as_document(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(name): as_document(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_document(one) for one in value]
    return value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)
