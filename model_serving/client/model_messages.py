"""Model messages made from files: what is read, what is sent."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from model_serving.client.errors import ClientError, WrongCall
from model_serving.client.model_files import (
    UnknownModelFile,
    detect,
    pack_saved_model,
    saved_model_folder,
    told_otherwise,
)
from model_serving.client.record_files import DEFAULT_RECORD_TYPE, load_record_type, read_records
from model_serving.client.samples import SampleModel, sample_models, sample_records
from model_serving.core.messages import Command, ModelType, OutputRule
from model_serving.messaging.topics import MAX_MESSAGE_BYTES
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.stores.locations import LocationStore

__all__ = [
    "Content",
    "Details",
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

_OWN_TYPE = "leave --model-type out, and it is told from the content"


class Content(Enum):
    """How a model travels: its bytes in the message, or only where it is."""

    DATA = "data"
    LOCATION = "location"


@dataclass(frozen=True, slots=True)
class Details:
    """What a user says of a model beyond what its content does; empty: the message leaves it out."""

    model_type: ModelType | None = None
    version: str = ""
    description: str = ""
    inputs: tuple[str, ...] = ()
    output: OutputRule = OutputRule.AUTO
    result_output: str = ""
    signature_name: str = ""


@dataclass(frozen=True, slots=True)
class ModelToPublish:
    """A model file or folder, and what its message says about it."""

    path: Path
    name: str
    description: str
    examples: tuple[ModelDescriptor.Example, ...] = ()
    details: Details = Details()


def models_at(paths: Sequence[Path], details: Details | None = None) -> list[ModelToPublish]:
    """A user's own models, named after their files.

    Raises:
        UnknownModelFile: one of them is no model, or not of the type that ``details`` say.
        WrongCall: ``details`` do not go with one of them.
    """
    details = details or Details()
    if details.version and len(paths) > 1:
        raise WrongCall(f"--version is for one model, not for {len(paths)}: publish them one by one")
    models = []
    for path in paths:
        kind = _kind(path, details)
        if details.signature_name and kind is not ModelType.TENSORFLOWSAVED:
            raise WrongCall(f"--signature-name is for SavedModels, and {path} is {kind.name}: leave it out")
        description = details.description or f"{kind.name} model from {path.name}"
        models.append(ModelToPublish(path, _name(path), description, details=details))
    return models


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
    details = model.details
    message = ModelDescriptor(
        name=model.name,
        description=model.description,
        dataType=data_type,
        modeltype=_kind(model.path, details).name,
        version=details.version,
        inputs=details.inputs,
        output=details.output.name,
        examples=model.examples,
        signature_name=details.signature_name,
        result_output=details.result_output,
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
    size, version = len(message.data), message.version or message.sha256[:12]
    return f"{message.name} as {kind} for '{message.dataType}', {size:,} bytes, version {version}"


def _kind(path: Path, details: Details) -> ModelType:
    if details.model_type is None:
        return detect(path)
    if (other := told_otherwise(path, details.model_type)) is not None:
        raise UnknownModelFile(
            path, f"--model-type says {details.model_type.name}, but it looks like {other.name}", _OWN_TYPE
        )
    return details.model_type


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
