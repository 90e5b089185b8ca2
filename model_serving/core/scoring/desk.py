"""Serves records with the active models: swaps, restored models, scoring, waiting, the end of the input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from model_serving.core.admission.signing import sign
from model_serving.core.batches import Decoded, RecordBatch
from model_serving.core.channels import AT_ONCE, Channel, Emitted, SwapReport
from model_serving.core.clock import Clock
from model_serving.core.errors import ContentUnavailable, ModelRejected, NoModel, Unavailable
from model_serving.core.messages import FailingModel, ModelState, ModelStatus, ModelToServe
from model_serving.core.ports import ActiveModels, MessageEncoder, RecordReader, WaitingRecords
from model_serving.core.scoring.refusals import Refusals
from model_serving.core.scoring.server import Outcome, Server
from model_serving.core.scoring.waiting import WaitingPolicy
from model_serving.core.state import (
    Activation,
    decode_activation,
    decode_model,
    decode_payloads,
    encode_model,
    encode_payloads,
)

__all__ = ["Place", "ServingDesk"]

_WAITING_BATCH = 512
"""How many waiting records are scored at a time. Scoring a full buffer at once would hold up a checkpoint."""


@dataclass(frozen=True, slots=True)
class Place:
    """The identity of a desk: ``reporter`` is its name in swap reports, ``subtask`` its number in statuses.

    ``key`` signs the model messages that the desk writes; None: they are not signed.
    """

    reporter: str
    subtask: int
    key: bytes | None = None


class ServingDesk:
    """Takes activations and records in any order.

    Call order: ``carry_out`` for each activation and ``take`` for records, ``end`` for a data type whose
    input has ended, ``close`` at the end. The loaded models are a cache over the bytes in ``active``: after a
    restart, a model is loaded when its first record comes. Records that have a loaded model touch no state.
    """

    def __init__(
        self,
        server: Server,
        reader: RecordReader,
        encoder: MessageEncoder,
        refusals: Refusals,
        active: ActiveModels,
        waiting: WaitingRecords | None,
        policy: WaitingPolicy,
        place: Place,
        clock: Clock,
    ) -> None:
        """Without ``waiting``, records without a model are returned as ``unmatched``."""
        self._server = server
        self._reader = reader
        self._encoder = encoder
        self._refusals = refusals
        self._active = active
        self._waiting = waiting
        self._policy = policy
        self._place = place
        self._clock = clock
        # Data types whose model in state does not load here any more; a status has reported it.
        self._broken: set[str] = set()
        # Data type → how many of its records wait, if it was looked up since the start; and the number in
        # the last status about it.
        self._waits: dict[str, int] = {}
        self._said: dict[str, int] = {}

    def carry_out(self, order: bytes) -> Iterator[Emitted]:
        """Swaps a model, or stops serving a data type; then scores the records that waited, in their order.

        ``order`` is an encoded activation. A model that loaded where it was admitted may still fail to load
        here. Then the model before it goes on serving, and a message to the models topic takes the new one
        back for all instances.

        Raises:
            IncompatibleState: a newer version of this software wrote the order.
            ContentUnavailable: the model's content is not available from the model store.
        """
        activation = decode_activation(order)
        data_type, model = activation.data_type, activation.model
        emitted = Emitted()
        if model is None:
            self._server.deactivate(data_type)
            self._active.remove(data_type)
        else:
            why = self._why_not_loaded(model, fallback=activation.fallback)
            if why:
                self._not_taken(activation, model, why, emitted)
                yield emitted
                return
            self._active.put(data_type, encode_model(model))
        self._broken.discard(data_type)
        emitted.counts.swaps = 1
        emitted.swaps.append(self._report(activation))
        yield emitted
        if model is not None:
            yield from self._serve_waiting(data_type)

    def take(self, decoded: Decoded) -> Emitted:
        """Scores records. Records without a model wait, are refused or are dropped, as the policy says.

        Raises:
            IncompatibleState: a newer version of this software wrote a model in state.
            ContentUnavailable: the content of a restored model is not available from the model store.
        """
        emitted = Emitted()
        self._refusals.unread(decoded.refused, emitted)
        for batch in decoded.batches:
            data_type = batch.data_type
            if self._server.serves(data_type) or self._restored(data_type, emitted):
                self._write(self._server.serve(batch), emitted)
            elif self._waiting is None:
                emitted.unmatched.append(batch)
            else:
                self._without_model(batch, self._waiting, emitted)
        return emitted

    def end(self, data_type: str) -> Iterator[Emitted]:
        """Gives up the waiting records of a data type, because the input has ended and no model can come."""
        error = self._policy.at_end(data_type)
        for payloads in self._take_waiting(data_type):
            emitted = self._released(data_type)
            self._give_up(payloads, data_type, error, emitted)
            yield emitted

    def remind(self, data_type: str) -> Emitted | None:
        """Reports how many records wait, unless the number was reported already; None if no record waits."""
        count = 0 if self._waiting is None else self._waiting.count(data_type)
        if not count:
            return None
        emitted = Emitted()
        if self._said.get(data_type) != count:
            self._said[data_type] = count
            like = self._server.served_like(data_type)
            wait = "1 record waits" if count == 1 else f"{count} records wait"
            self._tell(
                ModelStatus(
                    data_type=data_type,
                    name="",
                    version="",
                    state=ModelState.UNSPECIFIED,
                    ts=self._clock.epoch_ms(),
                    detail=f"{wait} for a model of data type '{data_type}': publish one"
                    + (f", or send them as '{like}', which is served" if like else ""),
                    subtask=self._place.subtask,
                    waiting=count,
                ),
                emitted,
            )
        return emitted

    def close(self) -> None:
        """Releases every model."""
        self._server.close()

    def _restored(self, data_type: str, emitted: Emitted) -> bool:
        if data_type in self._broken:
            return False
        saved = self._active.get(data_type)
        if saved is None:
            return False
        model = decode_model(saved)
        why = self._why_not_loaded(model, fallback=False)
        if not why:
            return True
        self._broken.add(data_type)
        said = f"it served before the restart and cannot be loaded any more: {why}; publish it again"
        self._tell(self._status(model, ModelState.REJECTED, said), emitted)
        return False

    def _why_not_loaded(self, model: ModelToServe, *, fallback: bool) -> str:
        """Loads the model. Returns why it does not load here; empty if it does.

        ContentUnavailable is raised, because it says nothing about the model and a restart may help.
        """
        try:
            self._server.activate(model, fallback=fallback)
        except ContentUnavailable:
            raise
        except (ModelRejected, Unavailable) as error:
            return str(error)
        return ""

    def _not_taken(self, activation: Activation, model: ModelToServe, error: str, emitted: Emitted) -> None:
        if activation.fallback:
            # If fallbacks were taken back too, one version after the other would be given up.
            self._server.deactivate(activation.data_type)
            self._active.remove(activation.data_type)
        why = f"it cannot be loaded where it serves: {error}"
        self._tell(self._status(model, ModelState.REJECTED, why), emitted)
        if not activation.fallback:
            self._take_back(FailingModel(model.data_type, model.name, model.version, 0, why), emitted)

    def _serve_waiting(self, data_type: str) -> Iterator[Emitted]:
        for payloads in self._take_waiting(data_type):
            emitted = self._released(data_type)
            decoded = self._reader.decode(payloads)
            # Records are refused or have another data type only after a restart with another record type.
            self._refusals.unread(decoded.refused, emitted)
            for batch in decoded.batches:
                if self._server.serves(batch.data_type):
                    self._write(self._server.serve(batch), emitted)
                else:
                    error = NoModel(batch.data_type, "the record waited under another record type")
                    self._give_up(batch.payloads, batch.data_type, error, emitted)
            yield emitted

    def _without_model(self, batch: RecordBatch, waiting: WaitingRecords, emitted: Emitted) -> None:
        data_type, payloads = batch.data_type, batch.payloads
        count = waiting.count(data_type)
        admitted = self._policy.admit(data_type, payloads, count)
        if admitted.waiting:
            records = encode_payloads(payloads[: admitted.waiting])
            waiting.add(data_type, records, count + admitted.waiting)
            emitted.counts.waiting += count + admitted.waiting - self._waits.get(data_type, 0)
            self._waits[data_type] = count + admitted.waiting
            if not count:
                emitted.began_to_wait.append(data_type)
        self._give_up(payloads[admitted.waiting :], data_type, admitted.error, emitted)

    def _released(self, data_type: str) -> Emitted:
        self._said.pop(data_type, None)
        emitted = Emitted()
        emitted.counts.waiting = -self._waits.pop(data_type, 0)
        return emitted

    def _take_waiting(self, data_type: str) -> Iterator[list[bytes]]:
        if self._waiting is None:
            return
        payloads = [one for records in self._waiting.take(data_type) for one in decode_payloads(records)]
        for start in range(0, len(payloads), _WAITING_BATCH):
            yield payloads[start : start + _WAITING_BATCH]

    def _give_up(
        self, payloads: Sequence[bytes], data_type: str, error: NoModel | None, emitted: Emitted
    ) -> None:
        if error is None:
            emitted.counts.dropped += len(payloads)
            return
        for payload in payloads:
            self._refusals.record(payload, data_type, error, emitted)

    def _write(self, outcome: Outcome, emitted: Emitted) -> None:
        for scored in outcome.scored:
            emitted.counts.scored += len(scored)
            emitted.results += self._encoder.results(scored)
        for letter in outcome.dead_letters:
            self._refusals.letter(letter, emitted)
        for failing in outcome.failing:
            self._take_back(failing, emitted)

    def _take_back(self, failing: FailingModel, emitted: Emitted) -> None:
        rollback = self._encoder.rollback(failing)
        # The desk's own commands come back through the models topic, where messages may have to be signed.
        signed = rollback if self._place.key is None else sign(rollback, self._place.key)
        emitted.side.append((Channel.ROLLBACKS, signed))

    def _tell(self, status: ModelStatus, emitted: Emitted) -> None:
        encoded = self._encoder.status(status)
        emitted.swaps.append(SwapReport(status.data_type, AT_ONCE, self._place.reporter, encoded))

    def _report(self, activation: Activation) -> SwapReport:
        model = activation.model
        if model is None:
            status = ModelStatus(
                data_type=activation.data_type,
                name="",
                version=activation.previous,
                state=ModelState.REMOVED,
                ts=self._clock.epoch_ms(),
                detail=activation.detail,
                load_ms=activation.load_ms,
                subtask=self._place.subtask,
            )
        else:
            summary = self._server.description(activation.data_type).summary
            detail = "; ".join(filter(None, (activation.detail, summary)))
            status = self._status(model, ModelState.ACTIVE, detail, activation)
        encoded = self._encoder.status(status)
        return SwapReport(activation.data_type, activation.sequence, self._place.reporter, encoded)

    def _status(
        self, model: ModelToServe, state: ModelState, detail: str, activation: Activation | None = None
    ) -> ModelStatus:
        return ModelStatus(
            data_type=model.data_type,
            name=model.name,
            version=model.version,
            state=state,
            ts=self._clock.epoch_ms(),
            detail=detail,
            previous="" if activation is None else activation.previous,
            load_ms=0.0 if activation is None else activation.load_ms,
            subtask=self._place.subtask,
            description=model.description,
            model_type=int(model.model_type),
            sha256=model.sha256,
            size=model.size,
        )
