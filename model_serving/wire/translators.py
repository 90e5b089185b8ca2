"""Implements the core's interfaces for messages in protobuf."""

from __future__ import annotations

from dataclasses import dataclass, replace

from model_serving.core.batches import ScoredBatch
from model_serving.core.messages import DeadLetter, Envelope, FailingModel, ModelMessage, ModelStatus
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.wire.contents import cut_content
from model_serving.wire.messages import (
    encode_dead_letter,
    encode_rollback,
    encode_status,
    fitted_results,
    message_start,
    parse_descriptor,
    read_model,
    refuse_other_wire_types,
    unframed,
)
from model_serving.wire.results import encode_results

__all__ = ["ModelMessages", "TopicEncoder"]


@dataclass(frozen=True, slots=True)
class _Opened:
    """A ModelDescriptor: see ``core.ports.OpenedMessage``. A large content is cut out of it."""

    descriptor: ModelDescriptor
    content: memoryview | None

    @property
    def envelope(self) -> Envelope:
        descriptor = self.descriptor
        return Envelope(
            data_type=descriptor.dataType,
            name=descriptor.name,
            version=descriptor.version,
            description=descriptor.description,
            model_type=int(descriptor.modeltype),
            sha256=descriptor.sha256,
            size=len(descriptor.data if self.content is None else self.content),
            by_location=bool(descriptor.location),
        )

    def read(self) -> ModelMessage:
        message = read_model(self.descriptor)
        return message if self.content is None else replace(message, data=bytes(self.content))


class ModelMessages:
    """Reads ModelDescriptor messages: see ``core.ports.ModelMessageReader``."""

    def unframed(self, payload: bytes) -> bytes:
        """See ``core.ports.ModelMessageReader``."""
        return unframed(payload)

    def open(self, payload: bytes) -> _Opened:
        """See ``core.ports.ModelMessageReader``."""
        rest, content = cut_content(payload, message_start(payload))
        descriptor = parse_descriptor(rest)
        refuse_other_wire_types(descriptor)
        return _Opened(descriptor, content)


class TopicEncoder:
    """Writes the messages of all output topics: see ``core.ports.MessageEncoder``.

    ``dead_letter_limit`` and ``result_limit`` are the largest messages that those topics take, in bytes;
    None: messages of any size.
    """

    def __init__(self, dead_letter_limit: int | None = None, result_limit: int | None = None) -> None:
        self._dead_letter_limit = dead_letter_limit
        self._result_limit = result_limit

    def results(self, batch: ScoredBatch) -> list[bytes]:
        """See ``core.ports.MessageEncoder``."""
        return fitted_results(encode_results(batch), self._result_limit)

    def dead_letter(self, letter: DeadLetter) -> bytes:
        """See ``core.ports.MessageEncoder``."""
        return encode_dead_letter(letter, self._dead_letter_limit)

    def status(self, status: ModelStatus) -> bytes:
        """See ``core.ports.MessageEncoder``."""
        return encode_status(status)

    def rollback(self, failing: FailingModel) -> bytes:
        """See ``core.ports.MessageEncoder``."""
        return encode_rollback(failing)
