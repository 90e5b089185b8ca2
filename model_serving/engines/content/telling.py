"""Recognizes the kind of a model's content."""

from __future__ import annotations

import zlib

from model_serving.engines.content.kinds import (
    CATBOOST,
    HDF5,
    NUMPY,
    PARQUET,
    PICKLE,
    R_DATA,
    SAFETENSORS,
    TFLITE,
    XGBOOST,
    ContentKind,
)
from model_serving.engines.content.packed import tell_packed
from model_serving.engines.content.protobuf import tell_protobuf
from model_serving.engines.content.text import tell_text, tell_xml

__all__ = ["tell"]

_MAGIC = {
    b"\x89HDF\r\n\x1a\n": HDF5,
    b"CBM1": CATBOOST,
    b"\x93NUMPY": NUMPY,
    b"PAR1": PARQUET,
    b"binf": XGBOOST,
    b"RDX2\n": R_DATA,
    b"RDX3\n": R_DATA,
    b"X\n\0\0\0": R_DATA,
}
_PICKLES = (
    *(bytes((0x80, protocol)) + b"\x95" for protocol in (4, 5)),
    # Protocols without frames begin with a global, an empty container, a mark, text, or PyTorch's number.
    *(
        bytes((0x80, protocol)) + opcode
        for protocol in (2, 3)
        for opcode in (b"c", b"}", b"]", b"(", b"X", b"\x8a")
    ),
)
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_PEEKED_IN, _PEEKED_OUT = 1 << 16, 1 << 12


def tell(content: bytes) -> ContentKind | None:
    """Returns the kind of ``content``, None when it is unknown. Never raises.

    The work has a limit for every size: at most 100,000 fields of a message, 10,000 entries of an archive,
    and 1 MiB of other content are looked at.
    """
    return _tell_magic(content) or tell_packed(content, _tell_unpacked) or _tell_unpacked(content)


def _tell_unpacked(content: bytes) -> ContentKind | None:
    # Text comes last, because the beginning of a protobuf message may look like text.
    return _tell_magic(content) or tell_xml(content) or tell_protobuf(content) or tell_text(content)


def _tell_magic(content: bytes) -> ContentKind | None:
    for magic, kind in _MAGIC.items():
        if content.startswith(magic):
            return kind
    if content[4:8] == b"TFL3":
        return TFLITE
    if content.startswith(b"{") and b"learner" in content[:64] and b"\0" in content[:64]:
        # Universal Binary JSON.
        return XGBOOST
    if content[8:10] == b'{"' and int.from_bytes(content[:8], "little") < len(content):
        return SAFETENSORS if b'"data_offsets"' in content[:_PEEKED_IN] else None
    if content.startswith(_PICKLES) or (content.startswith(_ZLIB) and _is_compressed_pickle(content)):
        return PICKLE
    return None


def _is_compressed_pickle(content: bytes) -> bool:
    """Whether the content is a pickle that joblib compressed with zlib, which adds no header of joblib's."""
    try:
        start = zlib.decompressobj().decompress(content[:_PEEKED_IN], _PEEKED_OUT)
    except zlib.error:
        return False
    return start.startswith(_PICKLES)
