"""Makes editions of a model: they have other bytes, and so other versions, but the same arithmetic."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

from model_serving.core.protobuf_fields import VARINT, bytes_field, tag, varint

__all__ = ["edition"]


def edition(modeltype: str, content: bytes, number: int) -> bytes:
    """Returns the content of a model with a mark in it.

    Args:
        modeltype: the model's type, a name of ``ModelDescriptor.ModelType``.
        content: the model; a SavedModel is a zip.
        number: the number of the edition.
    """
    return _MARKED[modeltype](content, number)


def _pmml(content: bytes, number: int) -> bytes:
    return content + f"<!-- edition {number} -->\n".encode()


# Protobuf merges messages that follow each other, so a field can be appended to a message.


def _graph(content: bytes, number: int) -> bytes:
    # GraphDef.versions (4) { bad_consumers (3) }: a version of TensorFlow that does not exist.
    consumer = tag(3, VARINT) + varint(1_000_000 + number)
    return content + bytes_field(4, consumer)


def _onnx(content: bytes, number: int) -> bytes:
    # ModelProto.model_version (5): the last value is valid.
    return content + tag(5, VARINT) + varint(number)


def _saved(content: bytes, number: int) -> bytes:
    archive = io.BytesIO(content)
    with zipfile.ZipFile(archive, "a") as opened:
        opened.comment = f"edition {number}".encode()
    return archive.getvalue()


_MARKED: dict[str, Callable[[bytes, int], bytes]] = {
    "PMML": _pmml,
    "TENSORFLOW": _graph,
    "TENSORFLOWSAVED": _saved,
    "ONNX": _onnx,
}
