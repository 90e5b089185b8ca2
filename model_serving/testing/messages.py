"""Messages without protobuf: the bytes of a message are its number in a list of messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from model_serving.core.batches import Decoded, Origins, RecordBatch, ScoredBatch
from model_serving.core.channels import Channel, Emitted
from model_serving.core.errors import InvalidRecord, UnparsableMessage
from model_serving.core.messages import (
    DeadLetter,
    Envelope,
    FailingModel,
    ModelMessage,
    ModelStatus,
    Reason,
)
from model_serving.testing.records import Point, ServedRow, point, points, served_rows

__all__ = ["FakeMessages"]


@dataclass(frozen=True, slots=True)
class _Opened:
    """See ``core.ports.OpenedMessage``."""

    message: ModelMessage

    @property
    def envelope(self) -> Envelope:
        """See ``core.ports.OpenedMessage``."""
        return Envelope(self.message.data_type, self.message.name, self.message.version)

    def read(self) -> ModelMessage:
        """See ``core.ports.OpenedMessage``."""
        return self.message


class FakeMessages:
    """See ``MessageEncoder``, ``ModelMessageReader`` and ``RecordReader`` of ``core.ports``.

    Records are points; the ``y`` of a point is the record's number, and its colour is the data type.
    """

    def __init__(self) -> None:
        self._written: list[object] = []

    def write(self, message: object) -> bytes:
        """Bytes that stand for the message."""
        self._written.append(message)
        return str(len(self._written) - 1).encode()

    def read(self, payload: bytes) -> object:
        """The message that the bytes stand for."""
        return self._written[int(payload)]

    def results(self, batch: ScoredBatch) -> list[bytes]:
        """See ``core.ports.MessageEncoder``; the messages are of type ``ServedRow``."""
        return [self.write(row) for row in served_rows([batch])]

    def dead_letter(self, letter: DeadLetter) -> bytes:
        """See ``core.ports.MessageEncoder``."""
        return self.write(letter)

    def status(self, status: ModelStatus) -> bytes:
        """See ``core.ports.MessageEncoder``."""
        return self.write(status)

    def rollback(self, failing: FailingModel) -> bytes:
        """See ``core.ports.MessageEncoder``."""
        return self.write(failing)

    def unframed(self, payload: bytes) -> bytes:
        """See ``core.ports.ModelMessageReader``."""
        return payload

    def open(self, payload: bytes) -> _Opened:
        """See ``core.ports.ModelMessageReader``."""
        message = self.read(payload)
        if not isinstance(message, ModelMessage):
            raise UnparsableMessage("ModelMessage", "it is something else")
        return _Opened(message)

    def decode(self, payloads: Sequence[bytes], origins: Origins | None = None) -> Decoded:
        """See ``core.ports.RecordReader``."""
        by_type: dict[str, list[Point]] = {}
        places: dict[str, list[int]] = {}
        refused: list[tuple[bytes, UnparsableMessage | InvalidRecord]] = []
        for place, payload in enumerate(payloads):
            try:
                x, number, data_type = payload.decode().split(",")
                made = point(float(x), float(number), data_type, data_type=data_type, ts=int(number))
                by_type.setdefault(data_type, []).append(made)
                places.setdefault(data_type, []).append(place)
            except ValueError:
                refused.append((payload, UnparsableMessage("Point", "truncated")))
        batches = [points(*each) for each in by_type.values()]
        if origins is not None:
            batches = [replace(one, origins=origins[places[one.data_type]]) for one in batches]
        return Decoded(batches, refused)

    def batch(self, data_type: str, records: Sequence[tuple[int, float]]) -> RecordBatch:
        """Records of one data type, each with its number and its x."""
        return points(*(point(x, number, data_type, data_type=data_type, ts=number) for number, x in records))

    def answers(self, emitted: Emitted) -> list[tuple[int, str]]:
        """The outcome of each record: (its number, the version and result or the failure)."""
        found = []
        for message in emitted.results:
            row = self.read(message)
            if isinstance(row, ServedRow):
                found.append((row.submission_ts, f"{row.model.version}: {row.result:g}"))
        for message in emitted.on(Channel.DEAD_LETTERS):
            letter = self.read(message)
            if isinstance(letter, DeadLetter):
                number = int(letter.payload.decode().split(",")[1])
                no_model = letter.reason is Reason.NO_MODEL
                found.append((number, "no model" if no_model else f"{letter.version} fails"))
        return found

    def failing(self, emitted: Emitted) -> list[str]:
        """The versions that rollback messages take back."""
        rollbacks = [self.read(message) for message in emitted.on(Channel.ROLLBACKS)]
        return [each.version for each in rollbacks if isinstance(each, FailingModel)]
