"""Editions of a model: other bytes, and so another model to everybody, but the same arithmetic."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

__all__ = ["edition"]


def edition(modeltype: str, content: bytes, number: int) -> bytes:
    """The content of a model of this kind (a name of ``ModelDescriptor.ModelType``) with a mark in it.

    A SavedModel's content is a zip.
    """
    return _MARKED[modeltype](content, number)


def _pmml(content: bytes, number: int) -> bytes:
    return content + f"<!-- edition {number} -->\n".encode()


# Protobuf messages that follow each other are merged, so a field can be added behind the last one.


def _graph(content: bytes, number: int) -> bytes:
    # GraphDef.versions (4) { bad_consumers (3) }: a TensorFlow that does not exist may not read it.
    consumer = bytes([3 << 3]) + _varint(1_000_000 + number)
    return content + bytes([4 << 3 | 2, len(consumer)]) + consumer


def _onnx(content: bytes, number: int) -> bytes:
    # ModelProto.model_version (5), the last one counts.
    return content + bytes([5 << 3]) + _varint(number)


def _saved(content: bytes, number: int) -> bytes:
    archive = io.BytesIO(content)
    with zipfile.ZipFile(archive, "a") as opened:
        opened.comment = f"edition {number}".encode()
    return archive.getvalue()


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


_MARKED: dict[str, Callable[[bytes, int], bytes]] = {
    "PMML": _pmml,
    "TENSORFLOW": _graph,
    "TENSORFLOWSAVED": _saved,
    "ONNX": _onnx,
}
