"""Makes model messages from files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from model_serving.client.errors import ClientError, WrongCall
from model_serving.client.model_files import (
    Place,
    UnknownModelFile,
    content_at,
    content_for_job,
    location_of,
    served_type,
)
from model_serving.client.record_files import DEFAULT_RECORD_TYPE, load_record_type, read_records
from model_serving.client.samples import SampleModel, sample_models, sample_records
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import WITH_SIGNATURES, Command, ModelType, OutputRule
from model_serving.core.model_servers.location import SCORED_BY_A_SERVER, read_location, type_of_location
from model_serving.engines.content import tell
from model_serving.messaging.topics import MAX_MESSAGE_BYTES
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor

__all__ = [
    "Content",
    "Details",
    "ModelToPublish",
    "TooLarge",
    "build_command",
    "build_message",
    "check_details",
    "describe",
    "models_at",
    "models_of_samples",
    "require_size",
]

# The most bytes that Kafka's own record header takes from the message limit.
_ENVELOPE_BYTES = 1024

_NO_NAMES = ("versions", "labels")
_OWN_TYPE = "leave --model-type out, and it is recognized from the content"


class TooLarge(ClientError):
    """A model that does not fit into a message."""


class Content(Enum):
    """How a model is sent: its bytes in the message, or only its location."""

    DATA = "data"
    LOCATION = "location"


@dataclass(frozen=True, slots=True)
class Details:
    """What a user says about a model beyond its content. The message leaves out what is empty."""

    model_type: ModelType | None = None
    version: str = ""
    description: str = ""
    inputs: tuple[str, ...] = ()
    output: OutputRule = OutputRule.AUTO
    result_output: str = ""
    signature_name: str = ""


@dataclass(frozen=True, slots=True)
class ModelToPublish:
    """A model file or folder, or its URL, and the description of it in the message."""

    path: Place
    name: str
    description: str
    examples: tuple[ModelDescriptor.Example, ...] = ()
    details: Details = Details()


def models_at(places: Sequence[Place], details: Details | None = None) -> list[ModelToPublish]:
    """Returns a user's own models, named after their files.

    Raises:
        ClientError: one of them cannot be read, is not a model, or is not of the type in ``details``.
        WrongCall: ``details`` do not fit one of them.
    """
    details = details or Details()
    if details.version and len(places) > 1:
        raise WrongCall(f"--version is for one model, not for {len(places)}: publish them one by one")
    models = []
    for place in places:
        kind = check_details(place, details)
        description = details.description or f"{kind.name} model from {_file_name(place)}"
        models.append(ModelToPublish(place, _name(place), description, details=details))
    return models


def check_details(place: Place, details: Details) -> ModelType:
    """Returns the type of the model.

    Raises:
        ClientError: it cannot be read, is not a model, or is not of the type in ``details``.
        WrongCall: ``details`` do not fit it.
    """
    kind, _ = _look_at(place, details)
    if details.signature_name and kind not in WITH_SIGNATURES:
        raise WrongCall(f"--signature-name is for SavedModels, and {place} is {kind.name}: leave it out")
    return kind


def models_of_samples(data_type: str) -> list[ModelToPublish]:
    """Returns the sample models, each with the results that it must give for the first sample records."""
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
    """Returns the message that offers a model. It has the SHA-256 of the content, also for a location.

    Raises:
        ClientError: the file is not a model.
        TooLarge: the content is too large for a message.
    """
    details, place = model.details, model.path
    kind, bytes_there = _look_at(place, details)
    message = ModelDescriptor(
        name=model.name,
        description=model.description,
        dataType=data_type,
        modeltype=kind.name,
        version=details.version,
        inputs=details.inputs,
        output=details.output.name,
        examples=model.examples,
        signature_name=details.signature_name,
        result_output=details.result_output,
    )
    if content is Content.LOCATION or kind in SCORED_BY_A_SERVER:
        message.location = location_of(place)
        if kind not in SCORED_BY_A_SERVER:
            # The job packs a folder in its own way.
            packs = isinstance(place, Path) and place.is_dir()
            read_there = content_for_job(message.location) if packs else bytes_there
            message.sha256 = hashlib.sha256(read_there).hexdigest()
        return message
    message.data = bytes_there
    message.sha256 = hashlib.sha256(message.data).hexdigest()
    require_size(message, place)
    return message


def require_size(message: ModelDescriptor, place: Place) -> None:
    """Raises TooLarge for a message that Kafka does not take."""
    if (size := message.ByteSize()) + _ENVELOPE_BYTES > MAX_MESSAGE_BYTES:
        raise TooLarge(
            f"{place} makes a message of {size / 2**20:.1f} MiB, but a message holds at most "
            f"{MAX_MESSAGE_BYTES // 2**20} MiB: publish it by its location (--by-location)"
        )


def build_command(command: Command, *, data_type: str) -> ModelDescriptor:
    """Returns the message of a command about the models of a data type."""
    return ModelDescriptor(dataType=data_type, command=command.name)


def describe(message: ModelDescriptor) -> str:
    """Describes a message on one line."""
    kind = ModelType(message.modeltype).name
    if message.WhichOneof("MessageContent") == "location":
        return f"{message.name} as {kind} for '{message.dataType}', at {message.location}"
    size, version = len(message.data), message.version or message.sha256[:12]
    return f"{message.name} as {kind} for '{message.dataType}', {size:,} bytes, version {version}"


def _look_at(place: Place, details: Details) -> tuple[ModelType, bytes]:
    """Returns the model's type and its content, which is empty if a model server has the model."""
    said = details.model_type
    if said is None and isinstance(place, str):
        said = type_of_location(place)
    if said is not None and said in SCORED_BY_A_SERVER:
        if isinstance(place, Path):
            raise WrongCall(
                f"--model-type {said.name} is for the URL of a served model, but {place} is not a URL"
            )
        try:
            read_location(place, said)
        except ModelRejected as error:
            raise ClientError(str(error)) from None
        return said, b""
    content = content_at(place)
    kind = tell(content)
    if said is None:
        return served_type(kind, place), content
    if kind is not None and kind.model_type is not said:
        raise UnknownModelFile(
            place, f"--model-type says {said.name}, but it looks like {kind.name}", _OWN_TYPE
        )
    return said, content


def _file_name(place: Place) -> str:
    return _name(place) if isinstance(place, str) else place.resolve().name


def _name(place: Place) -> str:
    if isinstance(place, str):
        parts = [part for part in unquote(urlsplit(place).path).split("/") if part]
        # The last parts may name a version, of a SavedModel or of a served model.
        while len(parts) > 1 and (parts[-1].isdecimal() or parts[-1] in _NO_NAMES or parts[-2] == "labels"):
            parts.pop()
        return PurePosixPath(parts[-1]).stem.removesuffix(".tar") if parts else place
    path = place.resolve()
    if path.is_dir():
        return path.parent.name if path.name.isdecimal() else path.name
    return path.stem.removesuffix(".tar")


def _examples(model: SampleModel, records: Sequence[bytes]) -> tuple[ModelDescriptor.Example, ...]:
    return tuple(
        ModelDescriptor.Example(record=record, expected=expected, tolerance=model.tolerance)
        for record, expected in zip(records, model.expected, strict=False)
    )
