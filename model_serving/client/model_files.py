"""What kind of model a file or folder holds, told from its content without any model library."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from model_serving.client.errors import ClientError
from model_serving.core.messages import ModelType
from model_serving.engines.content import SAVED_MODEL_ARCHIVE, ZIP_DAMAGED, ContentKind, tell

__all__ = ["UnknownModelFile", "detect", "pack_saved_model", "saved_model_folder", "told_otherwise"]

_SAVED_MODEL_FILE = "saved_model.pb"


_WANTED = (
    "give a PMML file, an ONNX file, a frozen TensorFlow graph, "
    "or a SavedModel as a folder or a zip or tar of it"
)


class UnknownModelFile(ClientError):
    """A file or folder that is no model of a known kind."""

    def __init__(self, path: Path, why: str, advice: str = _WANTED) -> None:
        super().__init__(f"{path} is no model that can be served ({why}): {advice}")


def detect(path: Path) -> ModelType:
    """The kind of the model at ``path``.

    Raises:
        UnknownModelFile: there is nothing, nothing readable, or no model of a known kind.
    """
    kind = _told(path)
    if kind is None:
        raise UnknownModelFile(path, "the content is of no known kind")
    if kind.model_type is None or kind is ZIP_DAMAGED:
        raise UnknownModelFile(path, f"it looks like {kind.name}", kind.advice)
    return kind.model_type


def told_otherwise(path: Path, model_type: ModelType) -> ContentKind | None:
    """What the model at ``path`` looks like when that plainly is not ``model_type``, else None.

    Raises:
        UnknownModelFile: there is nothing, or nothing readable.
    """
    kind = _told(path)
    return None if kind is None or kind.model_type is model_type else kind


def _told(path: Path) -> ContentKind | None:
    try:
        if path.is_dir():
            saved_model_folder(path)
            return SAVED_MODEL_ARCHIVE
        content = path.read_bytes()
    except OSError as error:
        raise UnknownModelFile(path, error.strerror or str(error)) from error
    if not content:
        raise UnknownModelFile(path, "the file is empty")
    return tell(content)


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
