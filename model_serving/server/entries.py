"""The entries of the state topic: their keys, and how a value becomes messages that every topic takes.

A key is a JSON array ``[kind, data type, item, part]``. A large value is split into parts, each a message of
its own. A part begins with how many parts the value has and with a digest of the whole value, so a reader
never joins parts of different values. A message without a value deletes its part.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

__all__ = ["Entry", "Key", "Kind", "Part", "decode_part", "encode_parts", "part_count"]

_PART_BYTES = 900_000
"""The largest part: with its key it fits into the messages that Kafka takes by default."""

_DIGEST_BYTES = 8
_PREFIX = struct.Struct(f">BI{_DIGEST_BYTES}s")
_FORMAT = 1


class Kind(Enum):
    """What an entry holds; docs/server.md describes each."""

    HISTORY = "history"
    KEPT = "kept"
    PENDING = "pending"
    ACTIVATION = "activation"
    UNCONFIRMED = "unconfirmed"
    REPORT = "report"
    POSITION = "position"
    MEMBER = "member"
    CONTENT = "content"
    STARTED = "started"
    WAITING = "waiting"

    @property
    def partition(self) -> int:
        """The partition of the state topic.

        Waiting records have one of their own: members write them in transactions, and readers of a
        partition see nothing that is behind an open transaction.
        """
        return 1 if self is Kind.WAITING else 0


@dataclass(frozen=True, slots=True)
class Key:
    """The identity of an entry; ``item`` tells the entries of one kind and data type apart."""

    kind: Kind
    data_type: str = ""
    item: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A value under its key. None deletes the entry; ``parts`` is then how many parts are to be deleted."""

    key: Key
    value: bytes | None
    parts: int = 1


@dataclass(frozen=True, slots=True)
class Part:
    """One message of the state topic; ``data`` is None if the message deletes the part."""

    key: Key
    number: int
    count: int
    digest: bytes
    data: bytes | None


def encode_parts(entry: Entry) -> Iterator[tuple[bytes, bytes | None]]:
    """The messages of an entry, as (key, value)."""
    if entry.value is None:
        for number in range(entry.parts):
            yield _message_key(entry.key, number), None
        return
    digest = hashlib.sha256(entry.value).digest()[:_DIGEST_BYTES]
    count = part_count(entry.value)
    prefix = _PREFIX.pack(_FORMAT, count, digest)
    for number in range(count):
        data = entry.value[number * _PART_BYTES : (number + 1) * _PART_BYTES]
        yield _message_key(entry.key, number), prefix + data


def part_count(value: bytes) -> int:
    """How many parts a value is split into."""
    return max(1, -(-len(value) // _PART_BYTES))


def decode_part(key: bytes, value: bytes | None) -> Part | None:
    """The part that a message holds; None if the message is not one of this format."""
    try:
        kind, data_type, item, number = json.loads(key)
        known = Key(Kind(kind), data_type, item)
        if type(number) is not int or number < 0 or not (_is_text(data_type) and _is_text(item)):
            return None
        if value is None:
            return Part(known, number, 0, b"", None)
        form, count, digest = _PREFIX.unpack_from(value)
    except (ValueError, TypeError, RecursionError, struct.error):
        return None
    if form != _FORMAT or number >= count:
        return None
    return Part(known, number, count, digest, value[_PREFIX.size :])


def _is_text(value: object) -> bool:
    """Whether it is a text that UTF-8 can write; JSON may also hold half of a character."""
    return isinstance(value, str) and value.encode(errors="ignore").decode() == value


def _message_key(key: Key, number: int) -> bytes:
    return json.dumps([key.kind.value, key.data_type, key.item, number], separators=(",", ":")).encode()
