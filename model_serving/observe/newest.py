"""A list that keeps what is newest."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar

__all__ = ["Newest", "Ordered"]


class Ordered(Protocol):
    """A value with its place in time; no two values have the same."""

    @property
    def order(self) -> tuple[int, int, int]:
        """Epoch milliseconds, then partition and offset of the message."""


_Value = TypeVar("_Value", bound=Ordered)


def _order(value: Any) -> tuple[int, int, int]:
    order: tuple[int, int, int] = value.order
    return order


class Newest(Generic[_Value]):
    """At most ``limit`` values, the oldest first. The order in which they are added does not matter."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: list[_Value] = []

    def add(self, value: _Value, limit: int) -> int:
        """Adds a value; returns by how many there are more now, which may be less than 0."""
        insort(self._values, value, key=_order)
        return 1 + self.trim(limit)

    def trim(self, limit: int) -> int:
        """Forgets the oldest values beyond the limit; returns their number as a number below 0."""
        beyond = max(len(self._values) - limit, 0)
        del self._values[:beyond]
        return -beyond

    def __iter__(self) -> Iterator[_Value]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
