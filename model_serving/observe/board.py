"""What is known of all data types, from the messages of the status, statistics and dead-letter topics."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from functools import partial
from typing import TypeVar

from model_serving.observe.answers import DataType, Page, Series, Swap, Version
from model_serving.observe.course import WINDOW_S, Courses
from model_serving.observe.entries import Entries, Entry
from model_serving.observe.figures import Figures, figures_of
from model_serving.observe.letters import LetterFold, letter_of
from model_serving.observe.limits import Limits
from model_serving.observe.ranking import Order, Rank, rank_of, ranked
from model_serving.observe.statuses import report_of
from model_serving.observe.summaries import Counted, Drift, data_type_of, versions_of
from model_serving.observe.values import Letter, Place, Standing
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.wire.statistics import decode_statistics

__all__ = ["Board", "Topic", "now_ms"]


class Topic(StrEnum):
    """The topics that a board reads, by what they hold."""

    STATUS = "status"
    STATISTICS = "statistics"
    DEAD_LETTERS = "dead-letters"


def now_ms() -> int:
    """The wall clock, epoch milliseconds."""
    return time.time_ns() // 1_000_000


_Told = TypeVar("_Told")

_AT_ONCE = 100
"""How many data types are looked at before a message may be folded again."""


class Board:
    """Folds messages and answers questions. Safe to use from several threads.

    Each message comes with its place in its topic. Messages of one partition have to come in their order, and
    a message that has come before is ignored. The order between partitions and topics does not matter.

    Args:
        clock: gives the time in epoch milliseconds.
        limits: how much is kept.
    """

    def __init__(self, clock: Callable[[], int] = now_ms, limits: Limits | None = None) -> None:
        self._clock = clock
        self._limits = limits or Limits()
        self._lock = threading.RLock()
        self._empty()

    def clear(self) -> None:
        """Forgets everything, also which messages have come: the topics begin anew."""
        with self._lock:
            self._empty()

    def _empty(self) -> None:
        self._seen: dict[tuple[Topic, int], int] = {}
        self._entries = Entries(self._limits)
        self._letters = LetterFold()
        self._untyped = LetterFold()
        self._kept_reports = 0
        self._reports_limit = self._limits.status_reports
        self._kept_letters = 0
        self._letters_limit = self._limits.letters
        self._kept_sources = 0
        self._sources_limit = self._limits.sources
        self._counted = Counted()
        self._courses = Courses(self._limits.series_points)
        self._serving_names: list[str] | None = None

    def add_status(self, message: ModelStatus, place: Place) -> bool:
        """Folds a message of the status topic; whether it said something new."""
        with self._lock:
            report = report_of(message, place, self._limits)
            if self._has_seen(Topic.STATUS, place) or report is None or not message.dataType:
                return False
            entry = self._entries.touch(message.dataType)
            self._kept_reports += entry.statuses.add(report, self._reports_limit)
            self._serving_names = None
            self._settle(message.dataType, entry)
            return True

    def add_dead_letter(self, message: DeadLetter, place: Place) -> Letter | None:
        """Folds a message of the dead-letter topic; what is kept of it, None if it is not new."""
        with self._lock:
            if self._has_seen(Topic.DEAD_LETTERS, place):
                return None
            letter = letter_of(message, place, self._limits)
            self._letters.add(letter, self._limits.newest_letters)
            if message.dataType:
                entry = self._entries.touch(message.dataType)
                self._kept_letters += entry.letters.add(letter, self._letters_limit)
                self._settle(message.dataType, entry)
            else:
                self._untyped.add(letter, self._limits.newest_letters)
            return letter

    def add_statistics(self, payload: bytes, place: Place) -> str | None:
        """Folds a message of the statistics topic; the data type that it is about, None if it is not new.

        Raises:
            UnparsableMessage: the bytes are not a report.
        """
        # Outside of the lock: it takes the most time, and whoever asks a question should not wait for it.
        report = decode_statistics(payload)
        with self._lock:
            if self._has_seen(Topic.STATISTICS, place) or not report.data_type:
                return None
            entry = self._entries.touch(report.data_type)
            before, now_ms = len(entry.statistics), self._clock()
            delta = entry.statistics.add(report, payload, now_ms)
            if delta is not None:
                if len(entry.statistics.versions) > self._limits.versions:
                    entry.statistics.forget(self._limits.versions, _serving(entry))
                entry.statistics.settle(self._sources_limit)
                self._courses.add(report.data_type, delta, now_ms)
            self._kept_sources += len(entry.statistics) - before
            self._settle(report.data_type, entry)
            return None if delta is None else report.data_type

    def __len__(self) -> int:
        """How many data types are known."""
        with self._lock:
            return len(self._entries)

    def __contains__(self, name: str) -> bool:
        """Whether anything is known of a data type."""
        with self._lock:
            return self._entries.get(name) is not None

    @property
    def forgotten(self) -> int:
        """How many data types were forgotten because there were too many."""
        return self._entries.forgotten

    def names(self, search: str = "") -> list[str]:
        """The data types whose name contains the text, upper and lower case taken as equal, sorted."""
        wanted = search.casefold()
        with self._lock:
            names = self._entries.sorted_names()
        return [name for name in names if wanted in name.casefold()] if wanted else list(names)

    def serving_names(self) -> list[str]:
        """The data types that a model serves, sorted."""
        with self._lock:
            if self._serving_names is None:
                names = self._entries.sorted_names()
                self._serving_names = [name for name in names if self._serves(name)]
            return list(self._serving_names)

    def data_types(
        self,
        search: str = "",
        *,
        order: Order = Order.NAME,
        descending: bool = False,
        offset: int = 0,
        limit: int = 100,
    ) -> Page:
        """A part of the sorted list of the data types that :meth:`names` finds; equal ones are by name.

        Meanwhile messages are folded: the answers are of one time each, not all of the same.
        """
        found = self.names(search)
        if order is not Order.NAME:
            found = ranked(found, self._ranks(found, order), order, descending=descending)
        elif descending:
            found.reverse()
        return Page(len(found), offset, tuple(self._answers(found[offset : offset + limit])))

    def data_type(self, name: str) -> DataType | None:
        """What is known of a data type; None if nothing is."""
        with self._lock:
            return self._answer(name)

    def versions(self, name: str) -> tuple[Version, ...]:
        """Every version that served a data type, with its statistics: what serves is the first one."""
        with self._lock:
            entry = self._entries.get(name)
            if entry is None:
                return ()
            return versions_of(
                name, entry.statuses.standing(), entry.statistics, self._clock(), self._counted
            )

    def figures(self, name: str) -> tuple[Figures, ...]:
        """The figures of each version of a data type."""
        with self._lock:
            entry = self._entries.get(name)
            if entry is None:
                return ()
            drift_of = partial(self._drift, name)
            return figures_of(name, entry.statuses.standing(), entry.statistics, drift_of)

    def _drift(self, name: str, version: str) -> Drift:
        with self._lock:
            entry = self._entries.get(name)
            counts = None if entry is None else entry.statistics.versions.get(version)
            if counts is None:
                return None, None
            return self._counted.drift(name, version, counts, self._clock())

    def series(self, name: str) -> Series:
        """The course of a data type over the last ten minutes, and the changes in that time."""
        with self._lock:
            now_ms = self._clock()
            begin = now_ms - 1000 * WINDOW_S
            changes = self.standing(name).changes
            swaps = tuple(Swap(change.since, change) for change in changes if change.since >= begin)
            return Series(name, self._courses.interval_s, self._courses.points(name, now_ms), swaps)

    def standing(self, name: str) -> Standing:
        """The models that served a data type, and those that were rejected."""
        with self._lock:
            entry = self._entries.get(name)
            return Standing() if entry is None else entry.statuses.standing()

    def dead_letters(self, limit: int = 100, data_type: str | None = None) -> tuple[Letter, ...]:
        """The newest dead letters, the newest first: of all data types, or of one; of none if it is empty."""
        with self._lock:
            letters = self._letters_of(data_type)
            return () if letters is None else letters.newest(limit)

    def letters_of_types(self) -> dict[str, dict[str, int]]:
        """How many dead letters there are of each reason, by data type, where there are any."""
        return self._told(lambda entry: entry.letters.counts)

    def waiting(self) -> dict[str, int]:
        """How many records wait for a model, by data type, where there are any."""
        return self._told(lambda entry: entry.statuses.standing().waiting)

    def dead_letter_counts(self, data_type: str | None = None) -> dict[str, int]:
        """How many dead letters there are of each reason: see ``dead_letters`` for the data type."""
        with self._lock:
            letters = self._letters_of(data_type)
            return {} if letters is None else letters.counts

    def _letters_of(self, data_type: str | None) -> LetterFold | None:
        if not data_type:
            return self._letters if data_type is None else self._untyped
        entry = self._entries.get(data_type)
        return None if entry is None else entry.letters

    def _has_seen(self, topic: Topic, place: Place) -> bool:
        known = self._seen.get((topic, place.partition), -1)
        self._seen[topic, place.partition] = max(known, place.offset)
        return place.offset <= known

    def _settle(self, data_type: str, entry: Entry) -> None:
        for name, dropped in self._entries.settle(data_type, entry):
            self._serving_names = None
            self._kept_reports -= len(dropped.statuses)
            self._kept_letters -= len(dropped.letters)
            self._kept_sources -= len(dropped.statistics)
            self._courses.forget(name)
        while self._kept_reports > self._limits.all_status_reports and self._reports_limit > 1:
            self._reports_limit //= 2
            self._kept_reports += sum(one.statuses.trim(self._reports_limit) for one in self._entries)
        while self._kept_sources > self._limits.all_sources and self._sources_limit > 1:
            self._sources_limit //= 2
            self._kept_sources += sum(one.statistics.settle(self._sources_limit) for one in self._entries)
        while self._kept_letters > self._limits.all_letters and self._letters_limit > 1:
            self._letters_limit //= 2
            self._kept_letters += sum(one.letters.trim(self._letters_limit) for one in self._entries)

    def _serves(self, name: str) -> bool:
        now = self.standing(name).now
        return now is not None and now.state == "ACTIVE"

    def _ranks(self, names: Sequence[str], order: Order) -> list[Rank]:
        ranks: list[Rank] = []
        for some in _parts(names):
            with self._lock:
                now_ms = self._clock()
                ranks += [rank_of(self._entries.get(name), order, now_ms) for name in some]
        return ranks

    def _told(self, tell: Callable[[Entry], _Told]) -> dict[str, _Told]:
        """What is told of each data type, without those of which nothing is."""
        told: dict[str, _Told] = {}
        for some in _parts(self.names()):
            with self._lock:
                told |= {name: tell(entry) for name in some if (entry := self._entries.get(name)) is not None}
        return {name: one for name, one in told.items() if one}

    def _answers(self, names: Sequence[str]) -> list[DataType]:
        answers: list[DataType | None] = []
        for some in _parts(names):
            with self._lock:
                answers += map(self._answer, some)
        return [answer for answer in answers if answer is not None]

    def _answer(self, name: str) -> DataType | None:
        entry = self._entries.get(name)
        if entry is None:
            return None
        if entry.answer is None:
            standing = entry.statuses.standing()
            entry.answer = data_type_of(name, standing, entry.statistics, entry.letters.counts)
        throughput = entry.statistics.rate_at(self._clock())
        if throughput != entry.answer.throughput:
            entry.answer = dataclasses.replace(entry.answer, throughput=throughput)
        return entry.answer


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[begin : begin + _AT_ONCE] for begin in range(0, len(names), _AT_ONCE))


def _serving(entry: Entry) -> str:
    now = entry.statuses.standing().now
    return "" if now is None else now.version
