"""Where the record of a result came from, in a header of the result's Kafka message.

A host whose sink may write a result twice adds this header, so that a reader can tell a result that it has
seen from another one. Not every host adds it.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SOURCE_HEADER", "Source", "parse_source"]

SOURCE_HEADER = "model-serving-source"
"""The header's name. Its value is ``topic/partition/offset`` of the record; a topic has no slash."""


@dataclass(frozen=True, slots=True)
class Source:
    """The place of a record in Kafka."""

    topic: str
    partition: int
    offset: int


def parse_source(value: bytes | None) -> Source | None:
    """The place that a header's value names; None: the value is not of this form."""
    try:
        topic, partition, offset = (value or b"").decode("ascii").split("/")
        return Source(topic, int(partition), int(offset)) if topic else None
    except ValueError:
        return None
