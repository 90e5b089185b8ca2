"""Carries out the model messages of each data type one after the other, with slow work in other threads."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import inf

from model_serving.core.admission.admission import Admission, Decision
from model_serving.core.admission.kept import KeptVersions
from model_serving.core.admission.loads import BackgroundLoads, Load
from model_serving.core.admission.preparation import Prepared
from model_serving.core.admission.rejections import Rejections
from model_serving.core.channels import Emitted
from model_serving.core.clock import Clock
from model_serving.core.errors import ModelRejected, Unavailable
from model_serving.core.messages import Envelope
from model_serving.core.ports import KeptModels, ModelMessageReader, PendingModels
from model_serving.core.state import encode_activation

__all__ = ["ModelQueue"]

_QUICK_S = 0.01
"""How long a caller waits at once, in seconds, so that a model that loads quickly needs no timer."""

_CLOSE_PATIENCE_S = 2.0
"""How long ``close`` waits for loading threads: a thread that is in a model library when the process ends can
make the process end with an error."""

_MOST_PENDING_BYTES = 128 << 20
"""The size of pending messages above which the caller waits for loads, and so reads no further."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A message that is being carried out: the decision and its preparation, or why it is rejected."""

    payload: bytes
    envelope: Envelope
    decision: Decision | None
    under_way: Load[Prepared] | Prepared | ModelRejected


@dataclass(slots=True)
class _Line:
    """The pending messages of a data type: (number, size in bytes) of each, the first message first.

    The messages themselves are in state. ``attempt`` is that of the first message, if it has begun.
    """

    waiting: deque[tuple[int, int]] = field(default_factory=deque)
    attempt: _Attempt | None = None


class ModelQueue:
    """Carries out model messages in their order, those of different data types at the same time.

    Call order: ``offer`` for each message. While ``look_again_ms`` returns a time, call ``advance`` for the
    data type after that time. When ``waits`` is False, ``collect``. At the end ``close``. All calls come from
    one thread.

    Messages that wait are in ``pending``. After a restart ``advance`` begins with them again.
    """

    def __init__(
        self,
        admission: Admission,
        loads: BackgroundLoads[Prepared],
        reader: ModelMessageReader,
        rejections: Rejections,
        kept: KeptModels,
        pending: PendingModels,
        clock: Clock,
        *,
        patient: bool = False,
    ) -> None:
        """``patient``: every call waits until all messages of its data type are carried out."""
        self._admission = admission
        self._loads = loads
        self._reader = reader
        self._rejections = rejections
        self._kept = kept
        self._pending = pending
        self._clock = clock
        self._patient = patient
        self._lines: dict[str, _Line] = {}
        self._bytes = 0

    def offer(self, data_type: str, payload: bytes) -> Emitted:
        """Takes a message of the data type, and carries it out at once if that takes no time."""
        emitted, line = Emitted(), self._line(data_type)
        if not line.waiting:
            attempt = self._begin(data_type, payload)
            if self._settle(attempt, self._patience_s(attempt), emitted):
                return emitted
            line.attempt = attempt
        self._add(data_type, line, payload)
        if self._patient or self._bytes > _MOST_PENDING_BYTES:
            self._advance(data_type, line, emitted, wait_s=inf)
        return emitted

    def advance(self, data_type: str) -> Emitted:
        """Carries out the prepared messages of the data type, in order, and begins with the next one."""
        emitted = Emitted()
        self._advance(data_type, self._line(data_type), emitted, wait_s=inf if self._patient else 0.0)
        return emitted

    def waits(self, data_type: str) -> bool:
        """Whether a message of the data type is not carried out yet; ask after ``offer`` or ``advance``."""
        return data_type in self._lines

    def look_again_ms(self, data_type: str) -> int | None:
        """In how many milliseconds to call ``advance``; None: nothing of the data type is being prepared."""
        line = self._lines.get(data_type)
        if line is None or line.attempt is None or not isinstance(line.attempt.under_way, Load):
            return None
        return self._loads.look_in_ms(line.attempt.under_way)

    def collect(self, data_type: str) -> int | None:
        """Deletes objects that the model store need not hold any more; does nothing while a message waits.

        Returns:
            When to call again, in epoch milliseconds; None: there is nothing to delete later.
        """
        if self.waits(data_type):
            return None
        return self._admission.collect(KeptVersions(self._kept, data_type))

    def forget(self, data_type: str) -> None:
        """Forgets what is remembered of a data type, because its state was changed elsewhere.

        Its messages in ``pending`` are prepared again after the next ``offer`` or ``advance``.
        """
        line = self._lines.pop(data_type, None)
        if line is not None:
            self._bytes -= sum(size for _, size in line.waiting)
            if line.attempt is not None and isinstance(line.attempt.under_way, Load):
                self._loads.give_up(line.attempt.under_way)
        self._admission.forget(data_type)

    def close(self) -> None:
        """Gives up preparations and releases every model; messages that wait stay in ``pending``."""
        self._loads.close(_CLOSE_PATIENCE_S)
        self._admission.close()

    def _advance(self, data_type: str, line: _Line, emitted: Emitted, wait_s: float) -> None:
        start_ns = self._clock.monotonic_ns()
        while line.waiting:
            patience_s = wait_s
            if line.attempt is None:
                number, _ = line.waiting[0]
                line.attempt = self._begin(data_type, self._pending.get(data_type, number))
                if self._clock.monotonic_ns() - start_ns < _QUICK_S * 1e9:
                    patience_s = max(wait_s, self._patience_s(line.attempt))
            if not self._settle(line.attempt, patience_s, emitted):
                return
            self._remove_first(data_type, line)

    def _begin(self, data_type: str, payload: bytes) -> _Attempt:
        envelope, decision = Envelope(data_type), None
        under_way: Load[Prepared] | Prepared | ModelRejected
        try:
            message = self._reader.open(payload)
            envelope = message.envelope
            decision = self._admission.decide(message.read(), KeptVersions(self._kept, data_type))
            preparation = decision.preparation
            under_way = self._loads.start(preparation.run) if preparation.loads else preparation.run()
        except ModelRejected as error:
            # With its traceback, the error would keep the message until the cyclic garbage collector runs.
            under_way = error.with_traceback(None)
        return _Attempt(payload, envelope, decision, under_way)

    def _patience_s(self, attempt: _Attempt) -> float:
        """How long to wait at once, in seconds. Only a load that runs alone is waited for."""
        if self._patient:
            return inf
        is_alone = isinstance(attempt.under_way, Load) and self._loads.is_alone(attempt.under_way)
        return _QUICK_S if is_alone else 0.0

    def _settle(self, attempt: _Attempt, wait_s: float, emitted: Emitted) -> bool:
        """Carries out the attempt, or rejects it; False while its preparation runs."""
        under_way, decision = attempt.under_way, attempt.decision
        if isinstance(under_way, ModelRejected) or decision is None:
            self._refuse(under_way, attempt, emitted)
            return True
        try:
            prepared = self._loads.result(under_way, wait_s) if isinstance(under_way, Load) else under_way
            if prepared is None:
                return False
            kept = KeptVersions(self._kept, decision.data_type)
            activation = self._admission.complete(decision, prepared, kept)
        except ModelRejected as error:
            self._refuse(error, attempt, emitted)
            return True
        except Unavailable as error:
            self._refuse(ModelRejected(f"{error}; then send the model again"), attempt, emitted)
            return True
        emitted.activations.append((activation.data_type, encode_activation(activation)))
        return True

    def _refuse(self, error: object, attempt: _Attempt, emitted: Emitted) -> None:
        if not isinstance(error, ModelRejected):
            raise TypeError("an attempt without a decision must hold the error that rejects it")
        rejected = self._rejections.of(error, attempt.payload, attempt.envelope)
        emitted.side += rejected.side
        emitted.counts.add_letters(rejected.counts)

    def _line(self, data_type: str) -> _Line:
        """The pending messages of the data type, read from state after a restart."""
        line = self._lines.get(data_type)
        if line is None:
            line = _Line()
            for number in sorted(self._pending.numbers(data_type)):
                self._remember(line, number, len(self._pending.get(data_type, number)))
            if line.waiting:
                self._lines[data_type] = line
        return line

    def _add(self, data_type: str, line: _Line, payload: bytes) -> None:
        number = line.waiting[-1][0] + 1 if line.waiting else 0
        self._pending.put(data_type, number, payload)
        self._remember(line, number, len(payload))
        self._lines[data_type] = line

    def _remember(self, line: _Line, number: int, size: int) -> None:
        line.waiting.append((number, size))
        self._bytes += size

    def _remove_first(self, data_type: str, line: _Line) -> None:
        number, size = line.waiting.popleft()
        self._pending.remove(data_type, number)
        self._bytes -= size
        line.attempt = None
        if not line.waiting:
            del self._lines[data_type]
