"""Model messages made from files: what is read, what is sent."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from model_serving.client.errors import ClientError
from model_serving.client.model_files import detect, pack_saved_model, saved_model_folder
from model_serving.client.record_files import DEFAULT_RECORD_TYPE, load_record_type, read_records
from model_serving.client.samples import SampleModel, sample_models, sample_records
from model_serving.core.messages import Command, ModelType
from model_serving.messaging.topics import MAX_MESSAGE_BYTES
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.stores.locations import LocationStore

__all__ = [
    "Content",
    "ModelToPublish",
    "build_command",
    "build_message",
    "describe",
    "models_at",
    "models_of_samples",
]

_WHOLE = LocationStore("/", sys.maxsize)
"""Reads a file or a folder as the jobs do, so that both find the same digest."""

# What Kafka's own record header takes of the message limit, at the most.
_ENVELOPE_BYTES = 1024


class Content(Enum):
    """How a model travels: its bytes in the message, or only where it is."""

    DATA = "data"
    LOCATION = "location"


@dataclass(frozen=True, slots=True)
class ModelToPublish:
    """A model file or folder, and what its message says about it."""

    path: Path
    name: str
    description: str
    examples: tuple[ModelDescriptor.Example, ...] = ()


def models_at(paths: Sequence[Path]) -> list[ModelToPublish]:
    """A user's own models, named after their files.

    Raises:
        UnknownModelFile: one of them is no model.
    """
    return [
        ModelToPublish(path, _name(path), f"{detect(path).name} model from {path.name}") for path in paths
    ]


def models_of_samples(data_type: str) -> list[ModelToPublish]:
    """The project's sample models, each with the results that it must give for the first sample records."""
    models = sample_models()
    examples_wanted = max(len(model.expected) for model in models)
    records = read_records(sample_records(), load_record_type(DEFAULT_RECORD_TYPE), data_type)[
        :examples_wanted
    ]
    return [
        ModelToPublish(model.path, model.name, model.description, _examples(model, records))
        for model in models
    ]


def build_message(model: ModelToPublish, *, data_type: str, content: Content) -> ModelDescriptor:
    """The message that offers a model. It carries the SHA-256 of its content, also of one at a location.

    Raises:
        ClientError: the file is no model, or too large for a message.
    """
    kind = detect(model.path)
    message = ModelDescriptor(
        name=model.name,
        description=model.description,
        dataType=data_type,
        modeltype=kind.name,
        examples=model.examples,
    )
    is_folder = model.path.is_dir()
    if content is Content.LOCATION:
        message.location = str((saved_model_folder(model.path) if is_folder else model.path).resolve())
        message.sha256 = hashlib.sha256(_WHOLE.read(message.location)).hexdigest()
        return message
    message.data = pack_saved_model(saved_model_folder(model.path)) if is_folder else model.path.read_bytes()
    message.sha256 = hashlib.sha256(message.data).hexdigest()
    if (size := message.ByteSize()) + _ENVELOPE_BYTES > MAX_MESSAGE_BYTES:
        raise ClientError(
            f"{model.path} makes a message of {size / 2**20:.1f} MiB and a message holds at most "
            f"{MAX_MESSAGE_BYTES // 2**20} MiB: publish it by its location (--by-location)"
        )
    return message


def build_command(command: Command, *, data_type: str) -> ModelDescriptor:
    """The message of a command about the models of a data type."""
    return ModelDescriptor(dataType=data_type, command=command.name)


def describe(message: ModelDescriptor) -> str:
    """What is sent, on one line."""
    kind = ModelType(message.modeltype).name
    if message.WhichOneof("MessageContent") == "location":
        return f"{message.name} as {kind} for '{message.dataType}', at {message.location}"
    size = len(message.data)
    return f"{message.name} as {kind} for '{message.dataType}', {size:,} bytes, version {message.sha256[:12]}"


def _name(path: Path) -> str:
    path = path.resolve()
    if path.is_dir():
        return path.parent.name if path.name.isdecimal() else path.name
    return path.stem.removesuffix(".tar")


def _examples(model: SampleModel, records: Sequence[bytes]) -> tuple[ModelDescriptor.Example, ...]:
    return tuple(
        ModelDescriptor.Example(record=record, expected=expected, tolerance=model.tolerance)
        for record, expected in zip(records, model.expected, strict=False)
    )
