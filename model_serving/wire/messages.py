"""Reads model messages; writes dead letters, statuses and rollbacks, and cuts results."""

from __future__ import annotations

from typing import Any

from model_serving.core.errors import ModelRejected
from model_serving.core.letters import DETAIL_BYTES, NAME_BYTES, fitted, shortened
from model_serving.core.messages import (
    Command,
    DeadLetter,
    Example,
    FailingModel,
    ModelMessage,
    ModelStatus,
    ModelType,
    OutputRule,
)
from model_serving.protos.deadletter_pb2 import DeadLetter as DeadLetterMessage
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus as ModelStatusMessage
from model_serving.protos.servingresult_pb2 import ServingResult
from model_serving.wire.frames import MessageParser
from model_serving.wire.wire_types import other_wire_types

__all__ = [
    "encode_dead_letter",
    "encode_rollback",
    "encode_status",
    "fitted_result",
    "fitted_results",
    "message_start",
    "parse_descriptor",
    "read_model",
    "refuse_other_wire_types",
    "unframed",
]

_KAFKA_BYTES = 256
"""The largest size of what Kafka puts around the message in a batch of one record."""


_PARSER = MessageParser(ModelDescriptor)


def parse_descriptor(payload: bytes) -> ModelDescriptor:
    """A model message as protobuf, with or without a schema registry's frame.

    Raises:
        UnparsableMessage: the bytes are not a ModelDescriptor, or are framed as another message type.
    """
    descriptor: ModelDescriptor = _PARSER.parse(payload)
    return descriptor


def message_start(payload: bytes) -> int:
    """Where a model message begins: after a schema registry's frame, if it has one.

    Raises:
        UnparsableMessage: the message is framed as another message type, or the frame is cut short.
    """
    return _PARSER.start(payload)


def unframed(payload: bytes) -> bytes:
    """A model message without a schema registry's frame; its signature covers these bytes.

    Raises:
        UnparsableMessage: the message is framed as another message type, or the frame is cut short.
    """
    return _PARSER.unframed(payload)


def read_model(descriptor: ModelDescriptor) -> ModelMessage:
    """A model message as a value of the core.

    Raises:
        ModelRejected: the data type is missing; the data type, name, version, signature name or result output
            is too long; a field has another wire type than declared; or a model type, command or output rule
            is not known.
    """
    refuse_other_wire_types(descriptor)
    if not descriptor.dataType:
        raise ModelRejected("the model message has no dataType: say which records the model scores")
    content = descriptor.WhichOneof("MessageContent")
    return ModelMessage(
        data_type=_short_enough(descriptor.dataType, "dataType"),
        name=_short_enough(descriptor.name, "name"),
        description=descriptor.description,
        model_type=_known(ModelType, descriptor.modeltype, "modeltype"),
        data=descriptor.data if content == "data" else None,
        location=descriptor.location if content == "location" else None,
        version=_short_enough(descriptor.version, "version"),
        sha256=descriptor.sha256,
        command=_known(Command, descriptor.command, "command"),
        inputs=tuple(descriptor.inputs),
        output=_known(OutputRule, descriptor.output, "output"),
        examples=tuple(
            Example(example.record, example.expected, example.tolerance) for example in descriptor.examples
        ),
        signature_name=_short_enough(descriptor.signature_name, "signature_name"),
        result_output=_short_enough(descriptor.result_output, "result_output"),
    )


def encode_rollback(failing: FailingModel) -> bytes:
    """The model message that takes back a failing model, if it still serves when the message arrives."""
    return ModelDescriptor(
        name=failing.name,
        description=shortened(str(failing), DETAIL_BYTES),
        dataType=failing.data_type,
        version=failing.version,
        command=ModelDescriptor.ROLLBACK,
    ).SerializeToString()


def encode_dead_letter(letter: DeadLetter, limit: int | None = None) -> bytes:
    """A dead letter, cut for a topic that takes messages of up to ``limit`` bytes; None: of any size."""
    letter = fitted(letter, limit)
    return DeadLetterMessage(
        reason=int(letter.reason),  # type: ignore[arg-type]
        detail=letter.detail,
        payload=letter.payload,
        topic=letter.topic,
        dataType=letter.data_type,
        model=letter.model,
        version=letter.version,
        ts=letter.ts,
    ).SerializeToString()


def encode_status(status: ModelStatus) -> bytes:
    """A status for the status topic; its texts are cut to a few kilobytes."""
    return ModelStatusMessage(
        dataType=shortened(status.data_type, NAME_BYTES),
        name=shortened(status.name, NAME_BYTES),
        version=shortened(status.version, NAME_BYTES),
        state=int(status.state),  # type: ignore[arg-type]
        detail=shortened(status.detail, DETAIL_BYTES),
        ts=status.ts,
        previous=shortened(status.previous, NAME_BYTES),
        load_ms=status.load_ms,
        subtask=status.subtask,
        description=shortened(status.description, DETAIL_BYTES),
        modeltype=status.model_type,
        sha256=shortened(status.sha256, NAME_BYTES),
        size=status.size,
        waiting=status.waiting,
    ).SerializeToString()


def refuse_other_wire_types(descriptor: ModelDescriptor) -> None:
    """Raises ModelRejected when a known field was sent with another wire type than declared.

    Protobuf takes such a field for an unknown field, and reads the known field as unset.
    """
    wrong = other_wire_types(descriptor)
    for index, example in enumerate(descriptor.examples):
        wrong = wrong or other_wire_types(example, f"examples[{index}].")
    if wrong is not None:
        raise ModelRejected(wrong)


def fitted_results(messages: list[bytes], limit: int | None) -> list[bytes]:
    """Encoded results, each as :func:`fitted_result` gives it. Most often all of them fit."""
    if limit is None or max(map(len, messages), default=0) <= limit - _KAFKA_BYTES:
        return messages
    return [fitted_result(message, limit) for message in messages]


def fitted_result(message: bytes, limit: int | None) -> bytes:
    """An encoded result for a topic that takes messages of up to ``limit`` bytes; None: of any size.

    A larger result loses its ``outputs`` and its label is cut, because a model with very many classes would
    otherwise stop the job.
    """
    if limit is None or len(message) <= limit - _KAFKA_BYTES:
        return message
    result = ServingResult.FromString(message)
    result.ClearField("outputs")
    result.label = shortened(result.label, NAME_BYTES)
    return result.SerializeToString()


def _short_enough(text: str, field: str) -> str:
    """Checks the size of a text that state, or every result, status and dead letter of the model holds."""
    if (size := len(text.encode())) > NAME_BYTES:
        raise ModelRejected(f"{field} has {size:,} bytes: use at most {NAME_BYTES:,}")
    return text


def _known(kind: Any, number: int, field: str) -> Any:
    try:
        return kind(number)
    except ValueError:
        known = ", ".join(f"{member.name}={member.value}" for member in kind)
        raise ModelRejected(f"{field} {number} is not known: use one of {known}") from None
