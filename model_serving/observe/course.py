"""The course of data types over the last minutes, in points of equal intervals."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from model_serving.core.statistics.distribution import Distribution
from model_serving.core.statistics.sketch import Sketch
from model_serving.observe.answers import Point
from model_serving.observe.packing import packed, unpacked
from model_serving.observe.sources import CLOCKS_APART_MS, Delta

__all__ = ["WINDOW_S", "Course", "Courses"]

WINDOW_S = 600
"""How far back the points go, in seconds."""

_INTERVALS_S = (1, 5, 15, 60)
"""The intervals of a point: the longer ones where very many data types are active."""

_REPORT_MS = 1_000
"""Instances report so often. Their reports about an interval come up to so long after each other."""

_QUIET_MS = 5_000
"""An interval that ended so long ago is not waited for any more: no instance had more to report."""

_PARTS = 1_000_000
"""Records are shared out to intervals in millionths, as whole numbers: no order of adding them matters."""

_BUCKETS = 512
"""Buckets of a point's sketch: numbers 28,000 times smaller than the greatest one share the lowest bucket."""


@dataclass(frozen=True, slots=True)
class _Sum:
    """What an interval has; there are tens of thousands of them, so the latencies are packed."""

    scored: int
    failed: int
    latency: bytes


Course = dict[int, _Sum]
"""The sums of a data type by interval: number of the interval since the epoch → sum."""


class Courses:
    """The courses of all data types: they share the interval of a point, and the limit of points."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._courses: dict[str, Course] = {}
        self._ends: dict[str, int] = {}
        self._points = 0
        self._step = 0

    @property
    def interval_s(self) -> int:
        """How long the interval of a point is, in seconds."""
        return _INTERVALS_S[self._step]

    def add(self, data_type: str, delta: Delta, now_ms: int) -> None:
        """Shares out what was counted to the intervals in which it may have been."""
        if not (delta.scored or delta.failed):
            return
        course = self._courses.setdefault(data_type, {})
        self._ends[data_type] = max(delta.end, self._ends.get(data_type, 0))
        before = len(course)
        width = self.interval_s * 1000
        oldest, newest = self._oldest(now_ms), (now_ms + CLOCKS_APART_MS) // width
        first, last = delta.begin // width, max(delta.end - 1, delta.begin) // width
        limits = [delta.begin, *(number * width for number in range(first + 1, last + 1)), delta.end]
        whole = max(delta.end - delta.begin, 1)
        for number, (begin, end) in enumerate(pairwise(limits), start=first):
            if not oldest <= number <= newest:
                continue
            share = _PARTS * max(end - begin, 1) / whole
            scored, failed = round(delta.scored * share), round(delta.failed * share)
            _put(course, number, scored, failed, delta.latency)
        self._points += len(course) - before
        if not course:
            del self._courses[data_type], self._ends[data_type]
        if self._points > self._limit:
            self._shrink(now_ms)

    def points(self, data_type: str, now_ms: int) -> tuple[Point, ...]:
        """The points of the last ten minutes, the oldest first.

        An interval about which reports are still to come has no point: it would look like a fall.
        """
        oldest = self._oldest(now_ms)
        course = self._courses.get(data_type, {})
        width = self.interval_s
        complete_ms = max(self._ends.get(data_type, 0) - _REPORT_MS, now_ms - max(_QUIET_MS, 1000 * width))
        return tuple(
            Point(
                number * width * 1000,
                one.scored / _PARTS / width,
                one.failed / _PARTS / width,
                *_percentiles(unpacked(one.latency)),
            )
            for number, one in sorted(course.items())
            if number >= oldest and (number + 1) * width * 1000 <= complete_ms
        )

    def forget(self, data_type: str) -> None:
        """Forgets the course of a data type."""
        self._points -= len(self._courses.pop(data_type, {}))
        self._ends.pop(data_type, None)

    def _oldest(self, now_ms: int) -> int:
        return (now_ms // 1000 - WINDOW_S) // self.interval_s

    def _shrink(self, now_ms: int) -> None:
        """Forgets what is too old; if that is not enough, makes intervals longer, then courses shorter."""
        oldest = self._oldest(now_ms)
        self._keep({name: _after(course, oldest) for name, course in self._courses.items()})
        while self._points > self._limit // 2 and self._step + 1 < len(_INTERVALS_S):
            factor = _INTERVALS_S[self._step + 1] // _INTERVALS_S[self._step]
            self._step += 1
            self._keep({name: _coarser(course, factor) for name, course in self._courses.items()})
        if self._points > self._limit:
            newest = sorted(number for course in self._courses.values() for number in course)
            oldest = newest[-self._limit // 2]
            self._keep({name: _after(course, oldest + 1) for name, course in self._courses.items()})

    def _keep(self, courses: dict[str, Course]) -> None:
        self._courses = {name: course for name, course in courses.items() if course}
        self._ends = {name: self._ends[name] for name in self._courses}
        self._points = sum(map(len, self._courses.values()))


def _after(course: Course, oldest: int) -> Course:
    return {number: one for number, one in course.items() if number >= oldest}


def _coarser(course: Course, factor: int) -> Course:
    coarse: Course = {}
    for number, one in course.items():
        _put(coarse, number // factor, one.scored, one.failed, unpacked(one.latency))
    return coarse


def _put(course: Course, number: int, scored: int, failed: int, latency: Distribution) -> None:
    total = Distribution(sketch=Sketch(most=_BUCKETS))
    if (known := course.get(number)) is not None:
        scored, failed = scored + known.scored, failed + known.failed
        total.merge(unpacked(known.latency))
    total.merge(latency)
    course[number] = _Sum(scored, failed, packed(total))


def _percentiles(latency: Distribution) -> tuple[float, float]:
    if not latency.count:
        return 0.0, 0.0
    p50, p99 = latency.quantiles((0.5, 0.99))
    return p50, p99
