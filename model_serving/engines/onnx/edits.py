"""Edits of a serialized ONNX model that leave its numbers as they are.

ONNX Runtime gives the output of a ZipMap as a Python map for each record, which takes longer than to score a
small model: ``without_zip_maps`` makes the tensor before it the output. ``with_neutral_locale`` is for places
where the locale is not installed by whose rules a model changes text to lower case.
"""

from __future__ import annotations

from model_serving.engines.content.protobuf import LEN, VARINT, walk
from model_serving.engines.onnx.graph import ATTRIBUTE, GRAPH, NODE, OUTPUT, name_of, read_node, text_of

__all__ = ["with_neutral_locale", "without_zip_maps"]

_NEUTRAL = "C.UTF-8"
_STRING = 3  # AttributeProto.AttributeType


def without_zip_maps(content: bytes, zip_maps: dict[str, str]) -> bytes:
    """Returns the model without ZipMap: ``zip_maps`` gives for an output of ZipMap the tensor before it."""
    made = bytearray()
    for number, kind, value in walk(memoryview(content)):
        made += _field(number, kind, _unzipped(value, zip_maps) if number == GRAPH and kind == LEN else value)
    return bytes(made)


def _unzipped(graph: memoryview, zip_maps: dict[str, str]) -> bytes:
    made = bytearray()
    given = {name_of(value) for number, kind, value in walk(graph) if number == OUTPUT and kind == LEN}
    for number, kind, value in walk(graph):
        if kind == LEN and number == NODE:
            node = read_node(value)
            if node.kind == "ZipMap" and set(node.outputs) & zip_maps.keys():
                continue
        if kind == LEN and number == OUTPUT and name_of(value) in zip_maps:
            tensor = zip_maps[name_of(value)]
            if tensor not in given:
                given.add(tensor)
                made += _field(OUTPUT, LEN, _field(1, LEN, tensor.encode()))
            continue
        made += _field(number, kind, value)
    return bytes(made)


def with_neutral_locale(content: bytes) -> bytes:
    """Returns the model with C.UTF-8 in the place of English locales, in which letters have the same cases.

    glibc has both from one table (localedata: C and en_US copy LC_CTYPE from i18n), and C.UTF-8 is there on
    every Debian. A locale of another language is left as it is: Turkish has a case of i of its own.
    """
    made = bytearray()
    for number, kind, value in walk(memoryview(content)):
        made += _field(number, kind, _neutral_graph(value) if number == GRAPH and kind == LEN else value)
    return bytes(made)


def _neutral_graph(graph: memoryview) -> bytes:
    made = bytearray()
    for number, kind, value in walk(graph):
        is_normalizer = kind == LEN and number == NODE and read_node(value).kind == "StringNormalizer"
        made += _field(number, kind, _neutral_node(value) if is_normalizer else value)
    return bytes(made)


def _neutral_node(node: memoryview) -> bytes:
    made, locale = bytearray(), ""
    for number, kind, value in walk(node):
        if number == ATTRIBUTE and kind == LEN:
            parts = {at: part for at, of, part in walk(value) if of == LEN}
            if text_of(parts.get(1, memoryview(b""))) == "locale":
                locale = text_of(parts.get(4, memoryview(b"")))
                continue
        made += _field(number, kind, value)
    neutral = _NEUTRAL if not locale or locale.startswith("en_") else locale
    parts_made = (
        _field(1, LEN, b"locale"),
        _field(4, LEN, neutral.encode()),
        _field(20, VARINT, bytes([_STRING])),
    )
    return bytes(made) + _field(ATTRIBUTE, LEN, b"".join(parts_made))


def _field(number: int, kind: int, value: bytes | memoryview) -> bytes:
    size = _encoded(len(value)) if kind == LEN else b""
    return b"".join((_encoded(number << 3 | kind), size, value))


def _encoded(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)
