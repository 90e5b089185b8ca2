"""Puts weights that an ONNX model keeps in files beside it into the model.

PyTorch's exporter writes such files by default. A tensor names its file, and the place of its bytes in it
(onnx.proto, ``TensorProto.external_data``: ``location``, ``offset`` and ``length``, the last two optional).
"""

from __future__ import annotations

from collections.abc import Callable

from model_serving.core.protobuf_fields import BYTES, VARINT, any_field, bytes_field
from model_serving.engines.content.protobuf import walk
from model_serving.engines.onnx.edits import edited
from model_serving.engines.onnx.graph import GRAPH, INITIALIZER, is_external, text_of

__all__ = ["ReadPart", "with_weights"]

ReadPart = Callable[[str, int, int | None], bytes]
"""Reads a file: its location relative to the model, from where, and how many bytes (None: all)."""

_RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION = 9, 13, 14  # in TensorProto


def with_weights(content: bytes, read: ReadPart) -> bytes:
    """Returns the serialized model with the weights of its graph in it. Raises what ``read`` raises.

    Raises:
        ValueError: the content is not a model, or a place in a file is not a number.
    """
    return edited(
        content, GRAPH, lambda graph: edited(graph, INITIALIZER, lambda tensor: _whole(tensor, read))
    )


def _whole(tensor: memoryview, read: ReadPart) -> bytes | memoryview:
    if not is_external(tensor):
        return tensor
    made, said = bytearray(), dict[str, str]()
    for number, kind, value in walk(tensor):
        if number == _EXTERNAL_DATA and kind == BYTES:
            entry = {at: text_of(part) for at, of, part in walk(value) if of == BYTES}
            said[entry.get(1, "")] = entry.get(2, "")
        elif not (number == _DATA_LOCATION and kind == VARINT):
            made += any_field(number, kind, value)
    length = said.get("length")
    raw = read(said.get("location", ""), int(said.get("offset", 0)), None if length is None else int(length))
    return bytes(made) + bytes_field(_RAW_DATA, raw)
