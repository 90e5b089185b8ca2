"""Counts what one instance of a host serves, at little cost for the thread that serves."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from threading import Lock

from model_serving.core.batches import ScoredBatch
from model_serving.core.clock import Clock
from model_serving.core.engine import Columns
from model_serving.core.messages import DeadLetter, ModelToServe
from model_serving.core.statistics.ledger import Entry, Ledger, Scored
from model_serving.core.statistics.report import VersionStatistics

__all__ = ["Identity", "Recorder"]

_FOLD_RECORDS = 8192
"""How many records are counted at once. That costs a fraction of counting each batch by itself."""

_FOLD_EVENTS = 1024

_FEW = 16
"""The most records of a batch that are noted in lists, which the next ones are added to."""

_LOOKED_AT = 200
"""The most records of a version whose fields are looked at in a second, once the reference is complete."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The instance that counts, see ``protos/statistics.proto``."""

    run: str
    instance: str
    host: str


@dataclass(frozen=True, slots=True)
class _Letter:
    """A dead letter to be counted."""

    data_type: str
    version: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Failed:
    """``count`` records that a version could not score, of which ``missing`` lacked a value."""

    entry: Entry
    count: int
    missing: int


@dataclass(frozen=True, slots=True)
class _Without:
    """``count`` records of a data type without a model."""

    data_type: str
    count: int


class Recorder:
    """Takes notes from the threads that serve, and counts them in bulk.

    A note costs less than a microsecond and never waits: notes go to a queue, and whoever notices that it is
    long counts them, unless another thread is at it. ``changed`` and ``close`` are for the reporter's thread.
    """

    def __init__(self, identity: Identity, clock: Clock) -> None:
        self._clock = clock
        self._notes: deque[Scored | Entry | _Letter | _Failed | _Without] = deque()
        self._noted = 0
        self._lock = Lock()
        self._ledger = Ledger(identity.run, identity.instance, identity.host)

    def begin(self, model: ModelToServe, fields: tuple[str, ...]) -> Entry:
        """A model serves its data type from now on; the one before it ends."""
        with self._lock:
            self._count_notes()
            return self._ledger.begin(model, fields, self._clock.epoch_ms())

    def end(self, data_type: str) -> None:
        """No model serves the data type any more."""
        with self._lock:
            self._count_notes()
            self._ledger.end(data_type, self._clock.epoch_ms())

    def scored(self, entry: Entry, batch: ScoredBatch, columns: Columns) -> None:
        """A batch was scored; ``columns`` are the values that the model took."""
        count = len(batch)
        rows = None
        if entry.looks:
            second = batch.served_ts // 1000
            if second != entry.second:
                entry.second = second
                entry.left = max(_LOOKED_AT, entry.needs)
            left = entry.left
            if left > 0:
                # A copy, because the array of a large batch would stay in memory for a part of it.
                rows = columns if count <= left else columns[:left].copy()
                entry.left = left - count
        scores = batch.scores
        if count <= _FEW:
            if entry.few.add(batch, rows):
                self._notes.append(entry)
        else:
            # They may be parts of larger arrays, which would be kept with them.
            instants, results = batch.submission_ts.copy(), scores.result.copy()
            note = (entry, instants, batch.served_ts, batch.scoring_ns, results, scores.labels, rows)
            self._notes.append(note)
        self._noted += count
        if self._noted >= _FOLD_RECORDS or len(self._notes) >= _FOLD_EVENTS:
            self._try_to_count()

    def failed(self, entry: Entry, count: int, missing: int) -> None:
        """A version could not score ``count`` records, of which ``missing`` lacked a value that it needs."""
        self._note(_Failed(entry, count, missing))

    def without_model(self, data_type: str, count: int) -> None:
        """Records came for which there is no model."""
        self._note(_Without(data_type, count))

    def letter(self, letter: DeadLetter) -> None:
        """A dead letter is written."""
        self._note(_Letter(letter.data_type, letter.version, letter.reason.name))

    def changed(self, most: int) -> list[VersionStatistics]:
        """At most ``most`` reports of what has changed since it was reported last, the longest ago first."""
        with self._lock:
            self._count_notes()
            return self._ledger.changed(most, self._clock.epoch_ms())

    def report_all(self) -> None:
        """Lets everything that serves count as changed, for example because reports were lost."""
        with self._lock:
            self._ledger.touch_all()

    def close(self) -> None:
        """Ends every version: this instance serves no more."""
        with self._lock:
            self._count_notes()
            self._ledger.end_all(self._clock.epoch_ms())

    def _note(self, note: _Letter | _Failed | _Without) -> None:
        self._notes.append(note)
        if len(self._notes) >= _FOLD_EVENTS:
            self._try_to_count()

    def _try_to_count(self) -> None:
        # If another thread is at it, it counts these notes too, or somebody does at the next one.
        if self._lock.acquire(blocking=False):
            try:
                self._count_notes()
            finally:
                self._lock.release()

    def _count_notes(self) -> None:
        notes, self._noted = self._notes, 0
        batches: dict[int, list[Scored]] = {}
        # Not until it is empty: another thread may go on adding to it.
        for _ in range(len(notes)):
            note = notes.popleft()
            if isinstance(note, tuple):
                batches.setdefault(id(note[0]), []).append(note)
            elif isinstance(note, Entry):
                self._ledger.scored_few(note)
            elif isinstance(note, _Letter):
                self._ledger.letter(note.data_type, note.version, note.reason)
            elif isinstance(note, _Failed):
                self._ledger.failed(note.entry, note.count, note.missing)
            else:
                self._ledger.without_model(note.data_type, note.count)
        for scored in batches.values():
            self._ledger.scored(scored)
