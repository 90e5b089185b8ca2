"""Reads models to publish, from files and folders on this machine or from a URL, and finds their types.

The type is recognized from the content, without a model library.
"""

from __future__ import annotations

import io
import sys
import zipfile
from itertools import islice
from pathlib import Path

from model_serving.client.errors import ClientError
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelType
from model_serving.engines.content import ZIP_DAMAGED, ContentKind, tell
from model_serving.engines.onnx.external import ReadPart, with_weights
from model_serving.engines.onnx.graph import read_graph
from model_serving.stores.locations import LocationStore

__all__ = [
    "Place",
    "UnknownModelFile",
    "content_at",
    "content_for_job",
    "detect",
    "location_of",
    "pack_saved_model",
    "saved_model_folder",
    "served_type",
]

Place = Path | str
"""The place of a model: a file or folder of this machine, or a URL as text."""

_SAVED_MODEL_FILE = "saved_model.pb"
_SUFFIXES = frozenset({".onnx", ".pmml"})
_MOST_LOOKED_AT, _MOST_NAMED = 1000, 3
_WANTED = (
    "give a PMML file, an ONNX file, a frozen TensorFlow graph, "
    "or a SavedModel as a folder or a zip or tar of it"
)

_ONE_FILE = (
    "put the file with the weights beside it, or export the model into one file "
    "(in PyTorch torch.onnx.export(..., external_data=False))"
)

_JOB = LocationStore("/", sys.maxsize)
"""Reads a file, a folder or a URL as the jobs do, so that both get the same digest."""


class UnknownModelFile(ClientError):
    """A file or folder is not a model of a known kind."""

    def __init__(self, place: Place, why: str, advice: str = _WANTED) -> None:
        super().__init__(f"{place} is not a model that can be served ({why}): {advice}")


def detect(place: Place) -> ModelType:
    """Returns the type of the model at ``place``.

    Raises:
        ClientError: ``place`` cannot be read, or is not a model of a known kind.
    """
    return served_type(tell(content_at(place)), place)


def served_type(kind: ContentKind | None, place: Place) -> ModelType:
    """Returns the type of a model that looks like ``kind``.

    Raises:
        UnknownModelFile: this kind cannot be served.
    """
    if kind is None:
        raise UnknownModelFile(place, "the content is of no known kind")
    if kind.model_type is None or kind is ZIP_DAMAGED:
        raise UnknownModelFile(place, f"it looks like {kind.name}", kind.advice)
    return kind.model_type


def content_at(place: Place) -> bytes:
    """Returns the bytes of a model for a message: a file, a SavedModel's folder as a zip.

    A file is unchanged, but for weights of an ONNX model in files beside it, which are put in.

    Raises:
        ClientError: the model cannot be read, or is empty.
    """
    if isinstance(place, str):
        content = content_for_job(place)
    else:
        try:
            content = pack_saved_model(saved_model_folder(place)) if place.is_dir() else _whole(place)
        except OSError as error:
            raise UnknownModelFile(place, error.strerror or str(error)) from error
    if not content:
        raise UnknownModelFile(place, "the file is empty")
    return content


def _whole(path: Path) -> bytes:
    """Returns an ONNX model with the weights that it keeps in files beside it, another file as it is."""
    content = path.read_bytes()
    kind = tell(content)
    if kind is None or kind.model_type is not ModelType.ONNX:
        return content
    try:
        return with_weights(content, _beside(path)) if read_graph(content).has_external_data else content
    except ValueError:
        # The engine says what is wrong with it.
        return content


def _beside(model: Path) -> ReadPart:
    # A model may come from outside, and must not send any file of this machine along: nothing outside of its
    # folder, and nothing hidden in it. The second folder is for a cache in which the names are links.
    folders = (model.parent.resolve(), model.resolve().parent)

    def read(location: str, offset: int, length: int | None) -> bytes:
        path = (model.parent / location).resolve()
        hidden = any(part.startswith(".") for part in Path(location).parts)
        if hidden or not any(path.is_relative_to(folder) for folder in folders):
            raise UnknownModelFile(model, f"its weights are not beside it, but in {location}", _ONE_FILE)
        try:
            if path.exists() and not path.is_file():
                raise OSError(0, "not a file")
            with path.open("rb") as file:
                file.seek(offset)
                part = file.read() if length is None else file.read(length)
        except (OSError, OverflowError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise UnknownModelFile(model, f"its weights are in {path}: {why}", _ONE_FILE) from error
        if length is not None and len(part) != length:
            raise UnknownModelFile(model, f"its weights are in {path}, which is too short", _ONE_FILE)
        return part

    return read


def location_of(place: Place) -> str:
    """Returns the location of a model for a message."""
    if isinstance(place, str):
        return place
    return str((saved_model_folder(place) if place.is_dir() else place).resolve())


def content_for_job(location: str) -> bytes:
    """Returns the bytes that a job reads at a location.

    Raises:
        ClientError: the location cannot be read from here.
    """
    try:
        return _JOB.read(location)
    except ModelRejected as error:
        raise ClientError(str(error)) from error


def saved_model_folder(path: Path) -> Path:
    """Returns the folder with ``saved_model.pb``: ``path`` or its subfolder with the highest version number.

    Raises:
        UnknownModelFile: there is no SavedModel in ``path``.
    """
    if (path / _SAVED_MODEL_FILE).is_file():
        return path
    versions = [
        child for child in path.iterdir() if child.name.isdecimal() and (child / _SAVED_MODEL_FILE).is_file()
    ]
    if not versions:
        inside = _models_in(path)
        advice = f"give the model in it: {' or '.join(map(str, inside))}" if inside else _WANTED
        raise UnknownModelFile(path, f"the folder has no {_SAVED_MODEL_FILE}", advice)
    return max(versions, key=lambda folder: int(folder.name))


def _models_in(folder: Path) -> list[Path]:
    """Returns what looks like models in a folder: MLflow, for one, keeps them beside other files."""
    found = []
    for path in sorted(islice(folder.rglob("*"), _MOST_LOOKED_AT)):
        if path.name == _SAVED_MODEL_FILE:
            found.append(path.parent)
        elif path.suffix in _SUFFIXES:
            found.append(path)
    return found[:_MOST_NAMED]


def pack_saved_model(folder: Path) -> bytes:
    """Returns a zip of a SavedModel's folder. The same files give the same bytes, and so the same digest."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes())
    return target.getvalue()
