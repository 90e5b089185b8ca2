"""Where the record of a result came from, in a header of the result's Kafka message.

A host whose sink may write a result twice adds this header, so that a reader can tell a result that it has
seen from another one. Not every host adds it.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SOURCE_HEADER", "Source", "parse_source", "source_of"]

SOURCE_HEADER = "model-serving-source"
"""The header's name. Its value is ``topic/partition/offset`` of the record; a topic has no slash."""

_NUMBERS = 2

_Headers = dict[str, str | bytes | None] | list[tuple[str, str | bytes | None]]


@dataclass(frozen=True, slots=True)
class Source:
    """The place of a record in Kafka."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


def parse_source(value: str | bytes | None) -> Source | None:
    """The place that a header's value names; None: the value is not of this form."""
    try:
        text = value if isinstance(value, str) else (value or b"").decode("ascii")
        topic, *numbers = text.split("/")
        partition, offset = (int(number) for number in numbers if number.isdecimal())
        return Source(topic, partition, offset) if topic and len(numbers) == _NUMBERS else None
    except ValueError:
        return None


def source_of(headers: _Headers | None) -> Source | None:
    """The place that a message's headers name; None: they name none.

    ``headers`` are what ``confluent_kafka.Message.headers`` gives.
    """
    pairs = headers.items() if isinstance(headers, dict) else headers or ()
    return next((parse_source(value) for name, value in pairs if name == SOURCE_HEADER), None)
