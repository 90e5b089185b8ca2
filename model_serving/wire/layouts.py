"""Reads many protobuf messages at once: messages with the same layout form one table of bytes.

Producers write the same fields in the same order, so most messages of a topic differ only in their values:
the fields, and the length of each on the wire, are the same. A ``Layout`` is learnt from one message that
protobuf's own parser has read. If another message of that length has the same bytes at the places of tags and
lengths, and its varints end where those of the first message end, protobuf would read the same fields from
it. So numpy can read them from a thousand messages at once. All other messages are left to protobuf's parser.

Wire format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf.descriptor import FieldDescriptor

from model_serving.core.protobuf_fields import BYTES, GROUP, MORE, VARINT
from model_serving.wire.encoding import FIXED_TYPES, VARINT_TYPES, values_of
from model_serving.wire.number_runs import FixedNumber, NumberRun, number_runs

__all__ = ["Layout", "learn_layout", "table_of"]

Table = npt.NDArray[np.uint8]
"""m messages × their length in bytes."""

_ASCII = 0x80
"""The bit that is 0 in each byte of an ASCII text. Every ASCII text is valid UTF-8."""


@dataclass(frozen=True, slots=True)
class _Place:
    """The place of a field's value in each message."""

    field: FieldDescriptor
    start: int
    end: int

    def numbers(self, table: Table) -> npt.NDArray[Any]:
        """The values of a number field, shape (m,), in the field's own type."""
        raw = table[:, self.start : self.end]
        fixed = FIXED_TYPES.get(self.field.type)
        if fixed is not None:
            return np.ascontiguousarray(raw).view(fixed[1]).reshape(len(table))
        value = np.zeros(len(table), dtype=np.uint64)
        for place in range(self.end - self.start):
            value |= (raw[:, place] & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * place)
        return _of_varint(value, self.field.type)

    def texts(self, table: Table) -> list[str]:
        """The values of an ASCII text field, m of them."""
        width = self.end - self.start
        text = table[:, self.start : self.end].tobytes().decode("ascii")
        return [text[at : at + width] for at in range(0, len(text), width)] if width else [""] * len(table)

    def one_or_all_texts(self, table: Table) -> str | list[str]:
        """One text if it is the same in all messages, otherwise the texts of all m messages."""
        raw = table[:, self.start : self.end]
        return self.texts(table[:1])[0] if (raw == raw[0]).all() else self.texts(table)


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of messages of one length.

    ``fixed`` are the bytes of the message that it was learnt from, and ``mask`` has the bits that must be the
    same in every message; both have the length of the messages. Of the columns of numbers, ``runs`` are those
    whose fields have a fixed length, ``varints`` the others, and ``absent`` those that the messages lack.
    """

    fixed: Table
    mask: Table
    places: Mapping[str, _Place]
    runs: tuple[NumberRun, ...]
    varints: tuple[tuple[int, _Place], ...]
    absent: tuple[int, ...]

    def matches(self, table: Table) -> npt.NDArray[np.bool_]:
        """Which of the messages have this layout, shape (m,)."""
        differs = (table ^ self.fixed) & self.mask
        # Most often no message differs, and a single test for all of them is faster.
        return ~differs.any(axis=1) if differs.any() else np.ones(len(table), dtype=np.bool_)

    def numbers(self, table: Table) -> npt.NDArray[np.float64]:
        """The number columns of messages that match, m × all columns; 0 where the messages lack the field.

        ``table`` has to be in one piece of memory.
        """
        columns = len(self.absent) + len(self.varints) + sum(run.count for run in self.runs)
        numbers = np.zeros((len(table), columns)) if self.absent else np.empty((len(table), columns))
        # Without this, numpy warns of a float32 that is a signalling NaN.
        with np.errstate(invalid="ignore"):
            for run in self.runs:
                run.read(table, numbers)
            for column, place in self.varints:
                numbers[:, column] = place.numbers(table)
        return numbers

    def number(self, table: Table, name: str) -> npt.NDArray[Any] | None:
        """The values of a number field in messages that match, in its own type; None if they lack it."""
        place = self.places.get(name)
        return None if place is None else place.numbers(table)

    def texts(self, table: Table, name: str) -> list[str] | None:
        """The values of a text field in messages that match; None if they lack the field, so it is empty."""
        place = self.places.get(name)
        return None if place is None else place.texts(table)


def learn_layout(
    payload: bytes, fields: Mapping[int, FieldDescriptor], columns: Sequence[str], start: int = 0
) -> Layout | None:
    """The layout of a message that protobuf's parser has read.

    Args:
        payload: the message.
        fields: the singular number and string fields that are wanted, by number. All other bytes must be the
            same in each message of the layout.
        columns: the names of the number fields that ``Layout.numbers`` reads, in their order.
        start: where the message begins. The bytes before it are a frame, which is the same in each message.

    Returns:
        The layout; None for a message that has a group, a wanted field with another wire type than declared,
        a wanted text beyond ASCII or two members of a oneof, or that lacks a wanted field whose default is
        not 0 or empty.
    """
    mask = np.full(len(payload), 0xFF, dtype=np.uint8)
    places: dict[str, _Place] = {}
    oneofs = _oneofs(fields)
    members: dict[str, int] = {}
    for number, kind, at, end in values_of(payload, start):
        # A member of a oneof clears the member that came before it.
        if kind == GROUP or (number in oneofs and members.setdefault(oneofs[number], number) != number):
            return None
        field = fields.get(number)
        if field is None:
            continue
        free = _free_bits(field, kind)
        if free is None:
            return None
        if kind == BYTES and not payload[at:end].isascii():
            return None
        mask[at:end] = free
        if kind == VARINT:
            # The tenth byte holds the last of 64 bits; parsers differ on the meaning of its other bits.
            mask[at + 9 : end] = 0xFE
        # If a field comes twice, the last value counts.
        places[field.name] = _Place(field, at, end)
    if any(field.default_value for field in fields.values() if field.name not in places):
        return None
    return _layout(payload, mask, places, columns)


def _layout(payload: bytes, mask: Table, places: Mapping[str, _Place], columns: Sequence[str]) -> Layout:
    fixed, varints, absent = [], [], []
    for column, name in enumerate(columns):
        place = places.get(name)
        if place is None:
            absent.append(column)
        elif place.field.type in FIXED_TYPES:
            fixed.append(FixedNumber(column, place.start, FIXED_TYPES[place.field.type][1]))
        else:
            varints.append((column, place))
    return Layout(
        fixed=np.frombuffer(payload, dtype=np.uint8),
        mask=mask,
        places=places,
        runs=number_runs(fixed),
        varints=tuple(varints),
        absent=tuple(absent),
    )


def table_of(payloads: Sequence[bytes]) -> Table:
    """Messages of one length as a table."""
    return np.frombuffer(b"".join(payloads), dtype=np.uint8).reshape(len(payloads), -1)


def _oneofs(fields: Mapping[int, FieldDescriptor]) -> dict[int, str]:
    """Number → name of its oneof, for all members, wanted or not, of the oneofs that the fields are in."""
    return {
        member.number: field.containing_oneof.name
        for field in fields.values()
        if field.containing_oneof is not None
        for member in field.containing_oneof.fields
    }


def _free_bits(field: FieldDescriptor, kind: int) -> int | None:
    """The bits that must not change in the bytes of a field's value; None for another wire type."""
    if field.type in FIXED_TYPES:
        return 0 if kind == FIXED_TYPES[field.type][0] else None
    if field.type in VARINT_TYPES:
        return MORE if kind == VARINT else None
    return _ASCII if kind == BYTES else None


def _of_varint(value: npt.NDArray[np.uint64], kind: int) -> npt.NDArray[Any]:
    if kind == FieldDescriptor.TYPE_BOOL:
        return value.astype(np.bool_)
    if kind == FieldDescriptor.TYPE_UINT64:
        return value
    if kind == FieldDescriptor.TYPE_INT64:
        return value.view(np.int64)
    if kind == FieldDescriptor.TYPE_UINT32:
        return value.astype(np.uint32)
    if kind == FieldDescriptor.TYPE_INT32:
        return value.astype(np.uint32).view(np.int32)
    if kind == FieldDescriptor.TYPE_SINT32:
        value = value & np.uint64(0xFFFFFFFF)
    zigzag: npt.NDArray[np.uint64] = (value >> np.uint64(1)) ^ (~(value & np.uint64(1)) + np.uint64(1))
    return zigzag.view(np.int64)
