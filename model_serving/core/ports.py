"""The interfaces between the core and its host: messages in and out, and state that survives a restart.

State is bytes: a host keeps them by data type and does not interpret them. Every method may assume that the
calls for one data type come one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from model_serving.core.batches import Decoded, Origins, ScoredBatch
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

    def decode(self, payloads: Sequence[bytes], origins: Origins | None = None) -> Decoded:
        """Reads n messages. For a message that is not a record, the error is returned, never raised.

        The batches have the ``origins`` of their records, if they are given.
        """
        ...


class OpenedMessage(Protocol):
    """A model message whose envelope has been read."""

    @property
    def envelope(self) -> Envelope:
        """The envelope, which every model message has, also a command and one that will be rejected."""
        ...

    def read(self) -> ModelMessage:
        """The whole message.

        Raises:
            ModelRejected: a field has a value that is not known or not allowed.
        """
        ...


class ModelMessageReader(Protocol):
    """Reads the messages of the models topic."""

    def unframed(self, payload: bytes) -> bytes:
        """The message without the frame of a schema registry's serializer; a signature covers these bytes.

        Raises:
            UnparsableMessage: the frame is cut short or names another message type.
        """
        ...

    def open(self, payload: bytes) -> OpenedMessage:
        """Reads the envelope.

        Raises:
            UnparsableMessage: the bytes are not a model message.
            ModelRejected: a field of the model message does not have the type that is declared for it.
        """
        ...


class MessageEncoder(Protocol):
    """Writes messages for the topics."""

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
        """A message for the models topic that takes back a failing model, if it still serves."""
        ...


class KeptModels(Protocol):
    """The versions of each data type that a rollback can go back to.

    ``version`` is the key that a version is kept under, see ``core.state.KeptVersion``.
    """

    def history(self, data_type: str) -> bytes | None:
        """The history that was saved last; None if none was saved."""
        ...

    def save_history(self, data_type: str, history: bytes) -> None:
        """Replaces the history."""
        ...

    def model(self, data_type: str, version: str) -> bytes:
        """The model of a version that was saved and not dropped."""
        ...

    def save_model(self, data_type: str, version: str, model: bytes) -> None:
        """Saves the model of a version, in place of an earlier model of this version."""
        ...

    def drop_model(self, data_type: str, version: str) -> None:
        """Removes the model of a version that was saved."""
        ...


class PendingModels(Protocol):
    """Model messages that are not carried out yet, as they arrived, numbered in their order."""

    def numbers(self, data_type: str) -> Iterable[int]:
        """The numbers of the data type's messages, in any order."""
        ...

    def get(self, data_type: str, number: int) -> bytes:
        """The message with this number."""
        ...

    def put(self, data_type: str, number: int, payload: bytes) -> None:
        """Adds a message under a number that is free."""
        ...

    def remove(self, data_type: str, number: int) -> None:
        """Removes the message with this number."""
        ...


class ActiveModels(Protocol):
    """The model that serves each data type."""

    def get(self, data_type: str) -> bytes | None:
        """The model that serves the data type; None if no model serves it."""
        ...

    def put(self, data_type: str, model: bytes) -> None:
        """Replaces the model."""
        ...

    def remove(self, data_type: str) -> None:
        """Removes the model, if there is one."""
        ...


class WaitingRecords(Protocol):
    """Records whose data type has no model yet, in their order."""

    def count(self, data_type: str) -> int:
        """How many records of the data type wait."""
        ...

    def add(self, data_type: str, records: bytes, count: int) -> None:
        """Adds encoded records behind the others; ``count`` is how many wait afterwards, these included."""
        ...

    def take(self, data_type: str) -> list[bytes]:
        """Removes and returns everything that was added, in its order."""
        ...


class SwapReports(Protocol):
    """The reporters that have carried out an activation so far, by its sequence number."""

    def sequences(self, data_type: str) -> Iterable[int]:
        """The sequence numbers that have reporters, in any order."""
        ...

    def get(self, data_type: str, sequence: int) -> bytes | None:
        """The reporters of an activation so far; None if there are none."""
        ...

    def put(self, data_type: str, sequence: int, reporters: bytes) -> None:
        """Replaces the reporters of an activation."""
        ...

    def remove(self, data_type: str, sequence: int) -> None:
        """Removes the reporters of an activation."""
        ...
