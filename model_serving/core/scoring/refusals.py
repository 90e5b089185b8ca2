"""Makes dead letters of messages that are not records, and of records that are given up."""

from __future__ import annotations

from collections.abc import Iterable

from model_serving.core.channels import Channel, Emitted
from model_serving.core.clock import Clock
from model_serving.core.errors import InvalidRecord, ModelServingError, UnparsableMessage
from model_serving.core.letters import dead_letter
from model_serving.core.messages import DeadLetter
from model_serving.core.ports import MessageEncoder
from model_serving.core.statistics.recorder import Recorder

__all__ = ["Refusals"]


class Refusals:
    """Writes the dead letters of the data topic."""

    def __init__(
        self, encoder: MessageEncoder, topic: str, clock: Clock, recorder: Recorder | None = None
    ) -> None:
        """``topic`` is the topic that records come from; ``recorder`` counts the letters, if one is given."""
        self._encoder = encoder
        self._topic = topic
        self._clock = clock
        self._recorder = recorder

    def unread(
        self, refused: Iterable[tuple[bytes, UnparsableMessage | InvalidRecord]], emitted: Emitted
    ) -> None:
        """Writes the dead letters of messages that are not records, given with their errors."""
        for payload, error in refused:
            self.letter(dead_letter(error, payload, self._topic, self._clock.epoch_ms()), emitted)

    def record(self, payload: bytes, data_type: str, error: ModelServingError, emitted: Emitted) -> None:
        """Writes the dead letter of a record that is given up."""
        now = self._clock.epoch_ms()
        self.letter(dead_letter(error, payload, self._topic, now, data_type=data_type), emitted)

    def letter(self, letter: DeadLetter, emitted: Emitted) -> None:
        """Encodes and counts a dead letter."""
        emitted.side.append((Channel.DEAD_LETTERS, self._encoder.dead_letter(letter)))
        emitted.counts.letter(letter.reason)
        if self._recorder is not None:
            self._recorder.letter(letter)
