"""The seams between the core and its surroundings: messages in and out, and what outlives a restart.

State is bytes: a host keeps them by data type and does not look into them. Every method may assume that the
calls for one data type come one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from model_serving.core.batches import Decoded, ScoredBatch
from model_serving.core.messages import DeadLetter, Envelope, FailingModel, ModelMessage, ModelStatus

__all__ = [
    "ActiveModels",
    "KeptModels",
    "MessageEncoder",
    "ModelMessageReader",
    "OpenedMessage",
    "PendingModels",
    "RecordReader",
    "SwapReports",
    "WaitingRecords",
]


class RecordReader(Protocol):
    """Reads the messages of the data topic."""

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """Reads n messages; what is not a record is refused with an error, never raised."""
        ...


class OpenedMessage(Protocol):
    """A model message whose envelope has been read."""

    @property
    def envelope(self) -> Envelope:
        """What is known of any model message, a command or one that will be rejected too."""
        ...

    def read(self) -> ModelMessage:
        """All of it.

        Raises:
            ModelRejected: it says something that is not known.
        """
        ...


class ModelMessageReader(Protocol):
    """Reads the messages of the models topic."""

    def unframed(self, payload: bytes) -> bytes:
        """The message without what a schema registry's serializer puts before it: what a signature covers."""
        ...

    def open(self, payload: bytes) -> OpenedMessage:
        """Reads the envelope.

        Raises:
            UnparsableMessage: the bytes are not a model message.
            ModelRejected: they are one, but a field of it is not what the message type declares.
        """
        ...


class MessageEncoder(Protocol):
    """Writes the messages of the topics out."""

    def results(self, batch: ScoredBatch) -> list[bytes]:
        """One message for each record of the batch."""
        ...

    def dead_letter(self, letter: DeadLetter) -> bytes:
        """A message for the dead-letter topic."""
        ...

    def status(self, status: ModelStatus) -> bytes:
        """A message for the status topic."""
        ...

    def rollback(self, failing: FailingModel) -> bytes:
        """A message for the models topic that takes back a model which fails, if it still serves."""
        ...


class KeptModels(Protocol):
    """The versions of each data type that a rollback can go back to."""

    def history(self, data_type: str) -> bytes | None:
        """What was saved last; None: nothing yet."""
        ...

    def save_history(self, data_type: str, history: bytes) -> None: ...

    def model(self, data_type: str, version: str) -> bytes: ...

    def save_model(self, data_type: str, version: str, model: bytes) -> None: ...

    def drop_model(self, data_type: str, version: str) -> None: ...


class PendingModels(Protocol):
    """Model messages that are not carried out yet, as they came, numbered in their order."""

    def numbers(self, data_type: str) -> Iterable[int]: ...

    def get(self, data_type: str, number: int) -> bytes: ...

    def put(self, data_type: str, number: int, payload: bytes) -> None: ...

    def remove(self, data_type: str, number: int) -> None: ...


class ActiveModels(Protocol):
    """The model that serves each data type."""

    def get(self, data_type: str) -> bytes | None:
        """None: nothing serves it."""
        ...

    def put(self, data_type: str, model: bytes) -> None: ...

    def remove(self, data_type: str) -> None: ...


class WaitingRecords(Protocol):
    """Records whose data type has no model yet, in their order."""

    def count(self, data_type: str) -> int:
        """How many wait."""
        ...

    def add(self, data_type: str, records: bytes, count: int) -> None:
        """Puts encoded records behind the others; ``count`` is how many wait then."""
        ...

    def take(self, data_type: str) -> list[bytes]:
        """All that were added, in their order; none of them waits afterwards."""
        ...


class SwapReports(Protocol):
    """Who has carried out an activation so far, by its sequence number."""

    def sequences(self, data_type: str) -> Iterable[int]: ...

    def get(self, data_type: str, sequence: int) -> bytes | None: ...

    def put(self, data_type: str, sequence: int, reporters: bytes) -> None: ...

    def remove(self, data_type: str, sequence: int) -> None: ...
