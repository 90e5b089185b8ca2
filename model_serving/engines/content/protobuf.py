"""Recognizes protobuf messages by their fields, because they have no magic number.

The wire format (protobuf.dev, "Encoding") is read and compared with the field numbers of TensorFlow's
``graph.proto``, ``node_def.proto`` and ``saved_model.proto`` and of ONNX's ``onnx.proto``. A message with an
unknown field is none of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from model_serving.engines.content.kinds import FROZEN_GRAPH, ONNX, SAVED_MODEL_FILE, ContentKind

__all__ = ["LEN", "VARINT", "tell_protobuf", "varint", "walk"]

VARINT, _FIXED64, LEN, _FIXED32 = 0, 1, 2, 5

# Field number → wire type.
_ONNX_MODEL = {1: VARINT, 5: VARINT} | dict.fromkeys((2, 3, 4, 6, 7, 8, 14, 20, 25, 26), LEN)
_GRAPH_DEF = {1: LEN, 2: LEN, 3: VARINT, 4: LEN, 5: LEN}
_NODE_DEF = dict.fromkeys(range(1, 8), LEN)
_SAVED_MODEL = {1: VARINT, 2: LEN}

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
        tag, position = varint(content, position)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == VARINT:
            _, end = varint(content, position)
        elif wire_type == LEN:
            size, position = varint(content, position)
            end = position + size
        elif wire_type in {_FIXED64, _FIXED32}:
            end = position + (8 if wire_type == _FIXED64 else 4)
        else:
            raise ValueError("a group, or no wire type")
        if end > len(content) or number == 0:
            raise ValueError("truncated")
        yield number, wire_type, content[position:end]
        position = end


def varint(content: memoryview, position: int = 0) -> tuple[int, int]:
    """Returns the number that is encoded at a position, and the position after it.

    Raises:
        ValueError: there is no varint at the position.
    """
    value = 0
    for shift in range(0, 64, 7):
        if position >= len(content):
            break
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
    raise ValueError("no varint")
