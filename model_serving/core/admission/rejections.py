"""Makes the dead letter and the status of a rejected model message."""

from __future__ import annotations

from model_serving.core.channels import Channel, Emitted
from model_serving.core.clock import Clock
from model_serving.core.errors import ModelRejected, UnparsableMessage
from model_serving.core.letters import dead_letter
from model_serving.core.messages import Envelope, ModelState, ModelStatus
from model_serving.core.ports import MessageEncoder
from model_serving.core.statistics.recorder import Recorder

__all__ = ["Rejections"]

_NOBODY = Envelope()


class Rejections:
    """Makes dead letters and statuses of rejected model messages, both with the same text."""

    def __init__(
        self,
        encoder: MessageEncoder,
        topic: str,
        subtask: int,
        clock: Clock,
        recorder: Recorder | None = None,
    ) -> None:
        """``topic`` is the topic that model messages come from, ``subtask`` the parallel instance.

        ``recorder`` counts the letters, if one is given.
        """
        self._encoder = encoder
        self._topic = topic
        self._subtask = subtask
        self._clock = clock
        self._recorder = recorder

    def of(
        self, error: ModelRejected | UnparsableMessage, payload: bytes, envelope: Envelope = _NOBODY
    ) -> Emitted:
        """The dead letter, with the bytes as they came, and the status.

        Without an ``envelope``, neither names the data type and the model: it is not known yet whether the
        message can be read or trusted.
        """
        now = self._clock.epoch_ms()
        letter = dead_letter(
            error,
            payload,
            self._topic,
            now,
            data_type=envelope.data_type,
            model=envelope.name,
            version=envelope.version,
        )
        status = ModelStatus(
            data_type=envelope.data_type,
            name=envelope.name,
            version=envelope.version,
            state=ModelState.REJECTED,
            ts=now,
            detail=str(error),
            subtask=self._subtask,
            description=envelope.description,
            model_type=envelope.model_type,
            sha256=envelope.sha256,
            size=envelope.size,
        )
        side = [
            (Channel.DEAD_LETTERS, self._encoder.dead_letter(letter)),
            (Channel.STATUSES, self._encoder.status(status)),
        ]
        emitted = Emitted(side=side)
        emitted.counts.letter(letter.reason)
        if self._recorder is not None:
            self._recorder.letter(letter)
        return emitted
