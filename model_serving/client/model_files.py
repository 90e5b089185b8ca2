"""What kind of model a file or folder holds, told from its content without any model library.

Protobuf has no magic number: a frozen graph and an ONNX model are told apart by walking the wire format
(protobuf.dev, "Encoding") against the field numbers of TensorFlow's ``graph.proto``, ``node_def.proto`` and
``saved_model.proto`` and of ONNX's ``onnx.proto``. A file in which one field is unknown is no such model.
"""

from __future__ import annotations

import io
import tarfile
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from model_serving.client.errors import ClientError
from model_serving.core.messages import ModelType

__all__ = ["UnknownModelFile", "detect", "pack_saved_model", "saved_model_folder"]

_VARINT, _FIXED64, _LEN, _FIXED32 = 0, 1, 2, 5

# Field number → wire type.
_ONNX_MODEL = {1: _VARINT, 5: _VARINT} | dict.fromkeys((2, 3, 4, 6, 7, 8, 14, 20, 25, 26), _LEN)
_GRAPH_DEF = {1: _LEN, 2: _LEN, 3: _VARINT, 4: _LEN, 5: _LEN}
_NODE_DEF = dict.fromkeys(range(1, 8), _LEN)
_SAVED_MODEL = {1: _VARINT, 2: _LEN}

_SAVED_MODEL_FILE = "saved_model.pb"


class UnknownModelFile(ClientError):
    """A file or folder that is no model of a known kind."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{path} is no model that can be served ({why}): give a PMML file, an ONNX file, "
            "a frozen TensorFlow graph, or a SavedModel as a folder or a zip or tar of it"
        )


def detect(path: Path) -> ModelType:
    """The kind of the model at ``path``.

    Raises:
        UnknownModelFile: there is nothing, nothing readable, or no model of a known kind.
    """
    try:
        if path.is_dir():
            saved_model_folder(path)
            return ModelType.TENSORFLOWSAVED
        content = path.read_bytes()
    except OSError as error:
        raise UnknownModelFile(path, error.strerror or str(error)) from error
    if not content:
        raise UnknownModelFile(path, "the file is empty")
    if _is_archive_of_saved_model(path):
        return ModelType.TENSORFLOWSAVED
    if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<" or content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return _detect_xml(path, content)
    if _is_onnx(content):
        return ModelType.ONNX
    if _is_graph_def(content):
        return ModelType.TENSORFLOW
    raise UnknownModelFile(path, _hint(content))


def saved_model_folder(path: Path) -> Path:
    """The folder that holds ``saved_model.pb``: ``path``, or its subfolder with the highest version number.

    Raises:
        UnknownModelFile: there is no SavedModel in it.
    """
    if (path / _SAVED_MODEL_FILE).is_file():
        return path
    versions = [
        child for child in path.iterdir() if child.name.isdecimal() and (child / _SAVED_MODEL_FILE).is_file()
    ]
    if not versions:
        raise UnknownModelFile(path, f"the folder has no {_SAVED_MODEL_FILE}")
    return max(versions, key=lambda folder: int(folder.name))


def pack_saved_model(folder: Path) -> bytes:
    """A zip of a SavedModel's folder. The same files give the same bytes: a digest tells versions apart."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes())
    return target.getvalue()


def _is_archive_of_saved_model(path: Path) -> bool:
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        elif tarfile.is_tarfile(path):
            with tarfile.open(path) as tar:
                names = tar.getnames()
        else:
            return False
    except (OSError, zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise UnknownModelFile(path, f"a damaged archive: {error}") from error
    if not any(name.rpartition("/")[2] == _SAVED_MODEL_FILE for name in names):
        raise UnknownModelFile(path, f"an archive without {_SAVED_MODEL_FILE}")
    return True


def _detect_xml(path: Path, content: bytes) -> ModelType:
    try:
        # Only the root element: whether the model in it is whole is for the job to say.
        _, root = next(ET.iterparse(io.BytesIO(content), events=("start",)))  # noqa: S314
    except (ET.ParseError, StopIteration) as error:
        raise UnknownModelFile(path, f"not well-formed XML: {error}") from error
    name = root.tag.rpartition("}")[2]
    if name != "PMML":
        raise UnknownModelFile(path, f"XML, but its root is <{name}>, not <PMML>")
    return ModelType.PMML


def _is_onnx(content: bytes) -> bool:
    found = _fields(content, _ONNX_MODEL)
    return found is not None and {1, 7, 8} <= found.keys()


def _is_graph_def(content: bytes) -> bool:
    found = _fields(content, _GRAPH_DEF)
    return found is not None and bool(found.get(1)) and all(_is_node(node) for node in found[1])


def _is_node(content: bytes) -> bool:
    found = _fields(content, _NODE_DEF)
    return found is not None and all(
        len(found.get(key, ())) == 1 and _is_text(found[key][0]) for key in (1, 2)
    )


def _is_text(content: bytes) -> bool:
    try:
        return content.decode("utf-8").isprintable() and bool(content)
    except UnicodeDecodeError:
        return False


def _hint(content: bytes) -> str:
    if content.startswith(b"\x89HDF"):
        return "a Keras or HDF5 file; export it as a SavedModel"
    if content[4:8] == b"TFL3":
        return "a TensorFlow Lite file; export it as a SavedModel"
    saved = _fields(content, _SAVED_MODEL)
    if saved is not None and {1, 2} <= saved.keys():
        return f"the {_SAVED_MODEL_FILE} of a SavedModel; give its folder"
    return "the content is of no known kind"


def _fields(content: bytes, known: Mapping[int, int]) -> dict[int, list[bytes]] | None:
    """The fields of a message by number, None when a field or its wire type is not in ``known``."""
    found: dict[int, list[bytes]] = {}
    try:
        for number, wire_type, value in _walk(content):
            if known.get(number) != wire_type:
                return None
            found.setdefault(number, []).append(value)
    except ValueError:
        return None
    return found


def _walk(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    position = 0
    while position < len(content):
        tag, position = _varint(content, position)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            _, end = _varint(content, position)
        elif wire_type == _LEN:
            size, position = _varint(content, position)
            end = position + size
        elif wire_type in {_FIXED64, _FIXED32}:
            end = position + (8 if wire_type == _FIXED64 else 4)
        else:
            raise ValueError("a group, or no wire type")
        if end > len(content) or number == 0:
            raise ValueError("truncated")
        yield number, wire_type, content[position:end]
        position = end


def _varint(content: bytes, position: int) -> tuple[int, int]:
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
