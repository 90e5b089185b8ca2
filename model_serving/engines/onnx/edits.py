"""Edits of a serialized ONNX model that leave its numbers as they are.

ONNX Runtime gives the output of a ZipMap as a Python map for each record, which takes longer than to score a
small model: ``without_zip_maps`` makes the tensor before it the output. ``with_neutral_locale`` is for places
where the locale is not installed by whose rules a model changes text to lower case.
"""

from __future__ import annotations

from collections.abc import Callable

from model_serving.core.protobuf_fields import BYTES, VARINT, any_field, bytes_field
from model_serving.engines.content.protobuf import walk
from model_serving.engines.onnx.graph import ATTRIBUTE, GRAPH, NODE, OUTPUT, name_of, read_node, text_of

__all__ = ["edited", "with_neutral_locale", "without_zip_maps"]

_NEUTRAL = "C.UTF-8"
_STRING = 3  # AttributeProto.AttributeType


def edited(
    message: bytes | memoryview, field: int, edit: Callable[[memoryview], bytes | memoryview]
) -> bytes:
    """Returns a message in which what ``edit`` makes of them stands for the messages in one of its fields."""
    made = bytearray()
    for number, kind, value in walk(memoryview(message)):
        made += any_field(number, kind, edit(value) if number == field and kind == BYTES else value)
    return bytes(made)


def without_zip_maps(content: bytes, zip_maps: dict[str, str]) -> bytes:
    """Returns the model without ZipMap: ``zip_maps`` gives for an output of ZipMap the tensor before it."""
    return edited(content, GRAPH, lambda graph: _unzipped(graph, zip_maps))


def _unzipped(graph: memoryview, zip_maps: dict[str, str]) -> bytes:
    made = bytearray()
    given = {name_of(value) for number, kind, value in walk(graph) if number == OUTPUT and kind == BYTES}
    for number, kind, value in walk(graph):
        if kind == BYTES and number == NODE:
            node = read_node(value)
            if node.kind == "ZipMap" and set(node.outputs) & zip_maps.keys():
                continue
        if kind == BYTES and number == OUTPUT and name_of(value) in zip_maps:
            tensor = zip_maps[name_of(value)]
            if tensor not in given:
                given.add(tensor)
                made += bytes_field(OUTPUT, bytes_field(1, tensor.encode()))
            continue
        made += any_field(number, kind, value)
    return bytes(made)


def with_neutral_locale(content: bytes) -> bytes:
    """Returns the model with C.UTF-8 in the place of English locales, in which letters have the same cases.

    glibc has both from one table (localedata: C and en_US copy LC_CTYPE from i18n), and C.UTF-8 is there on
    every Debian. A locale of another language is left as it is: Turkish has a case of i of its own.
    """
    return edited(content, GRAPH, lambda graph: edited(graph, NODE, _neutral_node))


def _neutral_node(node: memoryview) -> bytes | memoryview:
    if read_node(node).kind != "StringNormalizer":
        return node
    made, locale = bytearray(), ""
    for number, kind, value in walk(node):
        if number == ATTRIBUTE and kind == BYTES:
            parts = {at: part for at, of, part in walk(value) if of == BYTES}
            if text_of(parts.get(1, memoryview(b""))) == "locale":
                locale = text_of(parts.get(4, memoryview(b"")))
                continue
        made += any_field(number, kind, value)
    neutral = _NEUTRAL if not locale or locale.startswith("en_") else locale
    parts_made = (
        bytes_field(1, b"locale"),
        bytes_field(4, neutral.encode()),
        any_field(20, VARINT, bytes([_STRING])),
    )
    return bytes(made) + bytes_field(ATTRIBUTE, b"".join(parts_made))
