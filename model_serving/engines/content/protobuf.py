"""Recognizes protobuf messages by their fields, because they have no magic number.

The wire format (protobuf.dev, "Encoding") is read and compared with the field numbers of TensorFlow's
``graph.proto``, ``node_def.proto`` and ``saved_model.proto`` and of ONNX's ``onnx.proto``. A message with an
unknown field is none of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from model_serving.core.protobuf_fields import BYTES, FIXED32, FIXED64, VARINT, read_varint
from model_serving.engines.content.kinds import FROZEN_GRAPH, ONNX, SAVED_MODEL_FILE, ContentKind

__all__ = ["tell_protobuf", "walk"]

# Field number → wire type.
_ONNX_MODEL = {1: VARINT, 5: VARINT} | dict.fromkeys((2, 3, 4, 6, 7, 8, 14, 20, 25, 26), BYTES)
_GRAPH_DEF = {1: BYTES, 2: BYTES, 3: VARINT, 4: BYTES, 5: BYTES}
_NODE_DEF = dict.fromkeys(range(1, 8), BYTES)
_SAVED_MODEL = {1: VARINT, 2: BYTES}

_MOST_FIELDS = 100_000
"""The greatest number of fields that are looked at: if all of them are known, the rest is not checked."""

_NODES_CHECKED = 64


def tell_protobuf(content: bytes) -> ContentKind | None:
    """Returns the kind of a serialized message, None when it is not a message of these kinds."""
    message = memoryview(content)
    # No content fits two of these three, because a field number has another wire type in each.
    onnx = _fields(message, _ONNX_MODEL)
    if onnx is not None and {1, 7, 8} <= onnx.keys():
        return ONNX
    saved = _fields(message, _SAVED_MODEL)
    if saved is not None and {1, 2} <= saved.keys():
        return SAVED_MODEL_FILE
    graph = _fields(message, _GRAPH_DEF)
    if graph is not None and graph.get(1) and all(map(_is_node, graph[1][:_NODES_CHECKED])):
        return FROZEN_GRAPH
    return None


def _is_node(content: memoryview) -> bool:
    found = _fields(content, _NODE_DEF)
    return found is not None and all(
        len(found.get(key, ())) == 1 and _is_text(found[key][0]) for key in (1, 2)
    )


def _is_text(content: memoryview) -> bool:
    try:
        return bool(content) and bytes(content).decode("utf-8").isprintable()
    except UnicodeDecodeError:
        return False


def _fields(content: memoryview, known: Mapping[int, int]) -> dict[int, list[memoryview]] | None:
    """Returns the fields of a message by number, None when a field or its wire type is not in ``known``."""
    found: dict[int, list[memoryview]] = {}
    try:
        for count, (number, wire_type, value) in enumerate(walk(content)):
            if known.get(number) != wire_type:
                return None
            if count >= _MOST_FIELDS:
                break
            found.setdefault(number, []).append(value)
    except ValueError:
        return None
    return found


def walk(content: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Gives number, wire type and value of each field of a message; a varint's value is still encoded.

    Raises:
        ValueError: the content is not a message.
    """
    position = 0
    while position < len(content):
        tag, position = read_varint(content, position)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == VARINT:
            _, end = read_varint(content, position)
        elif wire_type == BYTES:
            size, position = read_varint(content, position)
            end = position + size
        elif wire_type in {FIXED64, FIXED32}:
            end = position + (8 if wire_type == FIXED64 else 4)
        else:
            raise ValueError("a group, or no wire type")
        if end > len(content) or number == 0:
            raise ValueError("truncated")
        yield number, wire_type, content[position:end]
        position = end
