"""Recognizes archives and compressed files by their content."""

from __future__ import annotations

import bz2
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable

from model_serving.engines.content.kinds import (
    H2O_MOJO,
    KERAS,
    ML_NET,
    NUMPY,
    PYTORCH,
    SAVED_MODEL_ARCHIVE,
    SAVED_MODEL_TEXT,
    SPARK_ML,
    TAR_OF_OTHER_THINGS,
    ZIP_DAMAGED,
    ZIP_OF_OTHER_THINGS,
    ContentKind,
    compressed,
)

__all__ = ["tell_packed"]

_MOST_ENTRIES = 10_000
"""The greatest number of entries of an archive that are looked at; the engine refuses more."""

_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_ZIP_ENTRY = b"PK\x01\x02"
_PEEKED_IN, _PEEKED_OUT = 1 << 20, 1 << 16
"""The numbers of bytes of a compressed file that are read at most, and decompressed to at most."""


def tell_packed(content: bytes, tell: Callable[[bytes], ContentKind | None]) -> ContentKind | None:
    """Returns the kind of an archive or a compressed file, None when the content is neither.

    Args:
        content: the whole content.
        tell: returns the kind of the decompressed beginning of a compressed file.
    """
    if content.startswith(_ZIP_STARTS):
        return _tell_zip(content)
    if _is_tar(content):
        return _tell_tar(content)
    for magic, (how, decompress) in _COMPRESSED.items():
        if content.startswith(magic):
            return _tell_compressed(content, how, decompress, tell)
    return None


def _tell_zip(content: bytes) -> ContentKind:
    # zipfile reads all entries of the directory before it returns the first; each has this signature.
    if content.count(_ZIP_ENTRY) > _MOST_ENTRIES:
        return SAVED_MODEL_ARCHIVE
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    # The standard library's readers may raise anything when numbers in the archive make no sense.
    except Exception:  # noqa: BLE001
        return ZIP_DAMAGED
    return _of_names(names) or ZIP_OF_OTHER_THINGS


def _is_tar(content: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(content[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError):
        return False
    return True


def _tell_tar(content: bytes) -> ContentKind:
    names = []
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            for member in archive:
                names.append(member.name)
                if len(names) > _MOST_ENTRIES:
                    return SAVED_MODEL_ARCHIVE
    except Exception:  # noqa: BLE001
        # The engine reports what is wrong with the archive.
        return SAVED_MODEL_ARCHIVE
    return _of_names(names) or TAR_OF_OTHER_THINGS


def _of_names(names: Iterable[str]) -> ContentKind | None:
    paths = [name.replace("\\", "/") for name in names]
    last = {name.rpartition("/")[2] for name in paths}
    if "saved_model.pb" in last:
        return SAVED_MODEL_ARCHIVE
    if "saved_model.pbtxt" in last:
        return SAVED_MODEL_TEXT
    if {"config.json", "model.weights.h5"} <= last or any(name.endswith(".keras") for name in last):
        return KERAS
    if last & {"data.pkl", "constants.pkl", "model_weights_config.json"}:
        return PYTORCH
    if any(name.startswith("TransformerChain/") for name in paths):
        return ML_NET
    if "model.ini" in paths:
        return H2O_MOJO
    if any(name.endswith("metadata/part-00000") for name in paths):
        return SPARK_ML
    if last and all(name.endswith(".npy") for name in last):
        return NUMPY
    return None


def _tell_compressed(
    content: bytes,
    how: str,
    decompress: Callable[[bytes], bytes],
    tell: Callable[[bytes], ContentKind | None],
) -> ContentKind | None:
    try:
        start = decompress(content[:_PEEKED_IN])
    except Exception:  # noqa: BLE001
        # The file is damaged. Only a SavedModel may be compressed, and its engine reports what is wrong.
        return SAVED_MODEL_ARCHIVE
    if _is_tar(start):
        return SAVED_MODEL_ARCHIVE
    return compressed(how, tell(start))


def _gunzip(content: bytes) -> bytes:
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(content, _PEEKED_OUT)


def _bunzip(content: bytes) -> bytes:
    return bz2.BZ2Decompressor().decompress(content, _PEEKED_OUT)


def _unxz(content: bytes) -> bytes:
    return lzma.LZMADecompressor().decompress(content, _PEEKED_OUT)


_COMPRESSED: dict[bytes, tuple[str, Callable[[bytes], bytes]]] = {
    b"\x1f\x8b": ("gzip", _gunzip),
    b"BZh": ("bzip2", _bunzip),
    b"\xfd7zXZ": ("xz", _unxz),
}
