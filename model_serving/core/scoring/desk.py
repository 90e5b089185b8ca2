"""Serves records with the active models: swaps, restored models, scoring, waiting, the end of the input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from model_serving.core.admission.signing import sign
from model_serving.core.batches import Decoded, Origins, RecordBatch
from model_serving.core.channels import Channel, Emitted, Retry
from model_serving.core.clock import Clock
from model_serving.core.errors import (
    ContentUnavailable,
    ModelRejected,
    ModelServingError,
    NoModel,
    ScoringFailed,
    Unavailable,
)
from model_serving.core.messages import FailingModel, ModelToServe
from model_serving.core.ports import ActiveModels, MessageEncoder, RecordReader, WaitingRecords
from model_serving.core.scoring.refusals import Refusals
from model_serving.core.scoring.server import Outcome, Server
from model_serving.core.scoring.statuses import DeskStatuses, Place
from model_serving.core.scoring.waiting import WaitingPolicy, wait_text, waiting_parts
from model_serving.core.state import (
    Activation,
    decode_activation,
    decode_model,
    encode_model,
    encode_payloads,
)
from model_serving.core.statistics.recorder import Recorder

__all__ = ["Place", "ServingDesk"]

_SOONEST_MS = 20
"""The shortest time after which a host looks whether a model server is back, in milliseconds."""


class ServingDesk:
    """Takes activations and records in any order.

    Call order: ``carry_out`` for each activation and ``take`` for records, ``end`` for a data type whose
    input has ended, ``close`` at the end. The loaded models are a cache over the bytes in ``active``: after a
    restart, a model is loaded when its first record comes. Records that have a loaded model touch no state.

    While the server that scores a data type is out of reach, the records of that data type wait with those
    that have no model, and later ones wait behind them, so that their order is kept. An ``Emitted`` then has
    a ``Retry``: the host calls ``retry`` for the data type when its time has come, and again as long as the
    answer has another one. Without a call nothing is lost: the records wait on. After a restart, ``retry``
    may be called for any data type, and for those without waiting records does nothing; a record of the data
    type brings the ``Retry``, too. If a ``Retry`` is ``full``, the host holds back what it has not taken.
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
        recorder: Recorder | None = None,
    ) -> None:
        """Without ``waiting``, records without a model are returned as ``unmatched``.

        ``recorder`` counts records without a model, if one is given.
        """
        self._server = server
        self._reader = reader
        self._encoder = encoder
        self._refusals = refusals
        self._active = active
        self._waiting = waiting
        self._policy = policy
        self._key = place.key
        self._recorder = recorder
        self._statuses = DeskStatuses(encoder, place, clock)
        # Data types whose model in state does not load here any more; a status has reported it.
        self._broken: set[str] = set()
        # Data type → how many of its records wait, if it was looked up since the start; and the number in
        # the last status about it.
        self._waits: dict[str, int] = {}
        self._said: dict[str, int] = {}
        # Data type → why its records, which have a model, wait.
        self._outages: dict[str, Unavailable] = {}

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
            if self._outages.pop(data_type, None) is not None:
                self._lose_model(data_type, emitted)
        else:
            why = self._why_not_loaded(model, fallback=activation.fallback)
            if why:
                self._not_taken(activation, model, why, emitted)
                yield emitted
                return
            self._active.put(data_type, encode_model(model))
        self._broken.discard(data_type)
        emitted.counts.swaps = 1
        summary = "" if model is None else self._server.description(data_type).summary
        emitted.swaps.append(self._statuses.swapped(activation, summary))
        yield emitted
        if model is not None:
            yield from self._serve_waiting(data_type)

    def take(self, decoded: Decoded) -> Emitted:
        """Scores records. Records without a model wait, are refused or are dropped, as the policy says.

        Records whose model server is out of reach wait behind those that wait for it already.

        Raises:
            IncompatibleState: a newer version of this software wrote a model in state.
            ContentUnavailable: the content of a restored model is not available from the model store.
        """
        emitted = Emitted()
        self._refusals.unread(decoded.refused, emitted)
        for batch in decoded.batches:
            data_type = batch.data_type
            if self._server.serves(data_type) or self._restored(data_type, emitted):
                if data_type in self._outages:
                    self._hold_behind(batch, emitted)
                else:
                    self._serve(batch, emitted)
            elif self._waiting is None:
                emitted.unmatched.append(batch)
            else:
                self._without_model(batch, self._waiting, emitted)
        return emitted

    def retry(self, data_type: str) -> Iterator[Emitted]:
        """Scores the records that wait for a model server, if it is back; gives a ``Retry`` if it is not.

        Asks nobody while the server is known to be away, and then takes no time.

        Raises:
            IncompatibleState: a newer version of this software wrote a model in state.
            ContentUnavailable: the content of a restored model is not available from the model store.
        """
        if self._waiting is None or not self._waiting.count(data_type):
            self._outages.pop(data_type, None)
            return
        emitted = Emitted()
        if not (self._server.serves(data_type) or self._restored(data_type, emitted)):
            # They wait for a model now.
            yield emitted
            return
        outage = self._server.outage_of(data_type)
        if outage is not None:
            self._retry_later(data_type, outage, emitted)
            yield emitted
            return
        yield emitted
        yield from self._serve_waiting(data_type)

    def has_loaded(self, data_types: Iterable[str]) -> bool:
        """Whether the models of all these data types are loaded."""
        return all(map(self._server.serves, data_types))

    def may_wait(self, data_types: Iterable[str]) -> bool:
        """Whether a record of these data types may have to wait: for a model, or for a model server."""
        return any(
            not self._server.serves(data_type) or self._server.is_remote(data_type)
            for data_type in data_types
        )

    def end(self, data_type: str) -> Iterator[Emitted]:
        """Gives up the waiting records of a data type, because the input has ended.

        No model can come any more. Records that wait for a model server are given up too: before, the host
        calls ``retry`` for as long as it wants to wait.
        """
        outage = self._outages.pop(data_type, None)
        error = self._policy.at_end(data_type) if outage is None else ScoringFailed(str(outage))
        for payloads, _ in self._take_waiting(data_type):
            emitted = self._released(data_type)
            self._give_up(payloads, data_type, error, emitted)
            yield emitted

    def forget(self, data_type: str, *, same_model: bool) -> None:
        """Forgets what is remembered of a data type, because its state was changed elsewhere.

        ``same_model``: the model in state is the one that is loaded here, so it stays.
        """
        self._broken.discard(data_type)
        for remembered in (self._waits, self._said, self._outages):
            remembered.pop(data_type, None)
        if not same_model:
            self._server.deactivate(data_type)
        elif self._server.serves(data_type):
            self._expect_waiting(data_type)

    def remind(self, data_type: str) -> Emitted | None:
        """Reports how many records wait, unless the number was reported already; None if no record waits."""
        count = 0 if self._waiting is None else self._waiting.count(data_type)
        if not count:
            return None
        emitted = Emitted()
        if self._said.get(data_type) != count:
            self._said[data_type] = count
            outage, like = self._outages.get(data_type), self._server.served_like(data_type)
            detail = wait_text(data_type, count, outage, like)
            emitted.swaps.append(self._statuses.waiting(data_type, count, detail))
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
            self._expect_waiting(data_type)
            return True
        self._broken.add(data_type)
        said = f"it served before the restart and cannot be loaded any more: {why}; publish it again"
        emitted.swaps.append(self._statuses.rejected(model, said))
        return False

    def _expect_waiting(self, data_type: str) -> None:
        """Lets new records of a data type with a model wait behind those that waited for its server."""
        if self._waiting is not None and self._waiting.count(data_type):
            self._outages[data_type] = Unavailable("they waited for it before the restart", _SOONEST_MS)

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
        emitted.swaps.append(self._statuses.rejected(model, why))
        if not activation.fallback:
            self._take_back(FailingModel(model.data_type, model.name, model.version, 0, why), emitted)

    def _serve(self, batch: RecordBatch, emitted: Emitted) -> None:
        """Scores records that no record of their data type waits before."""
        outcome = self._server.serve(batch)
        self._write(outcome, emitted)
        if outcome.outage is None:
            return
        if self._waiting is None:
            emitted.unmatched += outcome.held
            return
        for held in outcome.held:
            self._wait(self._waiting, batch.data_type, held.payloads, held.origins, emitted)
        self._retry_later(batch.data_type, outcome.outage, emitted)

    def _serve_stray(self, batch: RecordBatch, emitted: Emitted) -> None:
        """Scores records that waited under another data type, or gives them up: they cannot wait here."""
        data_type, error = batch.data_type, "the record waited under another record type"
        if not self._server.serves(data_type):
            self._give_up(batch.payloads, data_type, NoModel(data_type, error), emitted)
            return
        outcome = self._server.serve(batch)
        self._write(outcome, emitted)
        for held in outcome.held:
            self._give_up(held.payloads, data_type, ScoringFailed(str(outcome.outage)), emitted)

    def _hold_behind(self, batch: RecordBatch, emitted: Emitted) -> None:
        """Lets records wait behind those that wait for a model server already."""
        if self._waiting is None:
            raise TypeError("records wait at a desk where records do not wait")
        data_type = batch.data_type
        self._wait(self._waiting, data_type, batch.payloads, batch.origins, emitted)
        # Without an outage, they only wait for the next call of `retry`.
        outage = self._server.outage_of(data_type) or Unavailable("it is back", _SOONEST_MS)
        self._retry_later(data_type, outage, emitted)

    def _retry_later(self, data_type: str, outage: Unavailable, emitted: Emitted) -> None:
        self._outages[data_type] = outage
        full = not self._policy.bounded and self._waits.get(data_type, 0) >= self._policy.limit
        emitted.retries.append(Retry(data_type, max(_SOONEST_MS, outage.retry_ms or 0), full))

    def _lose_model(self, data_type: str, emitted: Emitted) -> None:
        """Does with records that waited for a model server what is done with records without a model."""
        if self._policy.keeps_all or self._waiting is None:
            return
        for payloads, _ in self._take_waiting(data_type):
            emitted.counts.waiting -= self._waits.pop(data_type, 0)
            self._give_up(payloads, data_type, self._policy.admit(data_type, payloads, 0).error, emitted)

    def _serve_waiting(self, data_type: str) -> Iterator[Emitted]:
        self._outages.pop(data_type, None)
        parts = list(self._take_waiting(data_type))
        for number, (payloads, origins) in enumerate(parts, start=1):
            emitted = self._released(data_type)
            decoded = self._reader.decode(payloads, origins)
            # Records are refused or have another data type only after a restart with another record type.
            self._refusals.unread(decoded.refused, emitted)
            for batch in decoded.batches:
                if batch.data_type == data_type:
                    self._serve(batch, emitted)
                else:
                    self._serve_stray(batch, emitted)
            if data_type in self._outages and self._waiting is not None:
                # The server went away again.
                for rest in parts[number:]:
                    self._wait(self._waiting, data_type, *rest, emitted)
                yield emitted
                return
            yield emitted

    def _without_model(self, batch: RecordBatch, waiting: WaitingRecords, emitted: Emitted) -> None:
        data_type, payloads = batch.data_type, batch.payloads
        if self._recorder is not None:
            self._recorder.without_model(data_type, len(batch))
        count = waiting.count(data_type)
        admitted = self._policy.admit(data_type, payloads, count)
        if admitted.waiting:
            origins = None if batch.origins is None else batch.origins[: admitted.waiting]
            self._wait(waiting, data_type, payloads[: admitted.waiting], origins, emitted)
        self._give_up(payloads[admitted.waiting :], data_type, admitted.error, emitted)

    def _wait(
        self,
        waiting: WaitingRecords,
        data_type: str,
        payloads: Sequence[bytes],
        origins: Origins | None,
        emitted: Emitted,
    ) -> None:
        count = waiting.count(data_type)
        records = encode_payloads(payloads, None if origins is None else origins.tolist())
        waiting.add(data_type, records, count + len(payloads))
        emitted.counts.waiting += count + len(payloads) - self._waits.get(data_type, 0)
        self._waits[data_type] = count + len(payloads)
        if not count:
            emitted.began_to_wait.append(data_type)

    def _released(self, data_type: str) -> Emitted:
        self._said.pop(data_type, None)
        emitted = Emitted()
        emitted.counts.waiting = -self._waits.pop(data_type, 0)
        return emitted

    def _take_waiting(self, data_type: str) -> Iterator[tuple[list[bytes], Origins | None]]:
        return waiting_parts([] if self._waiting is None else self._waiting.take(data_type))

    def _give_up(
        self, payloads: Sequence[bytes], data_type: str, error: ModelServingError | None, emitted: Emitted
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
            if scored.origins is not None:
                emitted.origins += scored.origins.tolist()
        for letter in outcome.dead_letters:
            self._refusals.letter(letter, emitted)
        for failing in outcome.failing:
            self._take_back(failing, emitted)

    def _take_back(self, failing: FailingModel, emitted: Emitted) -> None:
        rollback = self._encoder.rollback(failing)
        # The desk's own commands come back through the models topic, where messages may have to be signed.
        signed = rollback if self._key is None else sign(rollback, self._key)
        emitted.side.append((Channel.ROLLBACKS, signed))
