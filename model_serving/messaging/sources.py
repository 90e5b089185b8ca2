"""Where the record of a result came from, in a header of the result's Kafka message.

A host whose sink may write a result twice adds this header, so that a reader can tell a result that it has
seen from another one. Not every host adds it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["SOURCE_HEADER", "Source", "parse_source", "source_of"]

SOURCE_HEADER = "model-serving-source"
"""The header's name. Its value is ``topic/partition/offset`` of the record; a topic has no slash."""

_NUMBERS = 2


@dataclass(frozen=True, slots=True)
class Source:
    """The place of a record in Kafka."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


def parse_source(value: bytes | None) -> Source | None:
    """The place that a header's value names; None: the value is not of this form."""
    try:
        topic, *numbers = (value or b"").decode("ascii").split("/")
        partition, offset = (int(number) for number in numbers if number.isdecimal())
        return Source(topic, partition, offset) if topic and len(numbers) == _NUMBERS else None
    except ValueError:
        return None


def source_of(headers: Iterable[tuple[str, bytes | None]] | None) -> Source | None:
    """The place that a message's headers name; None: they name none."""
    return next((parse_source(value) for name, value in headers or () if name == SOURCE_HEADER), None)
