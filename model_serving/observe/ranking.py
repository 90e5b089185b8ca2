"""What a list of data types is sorted by: one number of each, without the rest of its answer.

A percentile takes a hundred times longer than every other number. So only what it is computed from is taken
while no message may be folded, and it is computed afterwards, once for each report.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from model_serving.observe.entries import Entry, Percentiles
from model_serving.observe.sources import VersionFold
from model_serving.observe.summaries import serving_counts

__all__ = ["Order", "Rank", "rank_of", "ranked"]


class Order(StrEnum):
    """What a list of data types is sorted by."""

    NAME = "name"
    SINCE = "since"
    THROUGHPUT = "throughput"
    SCORED = "scored"
    FAILED = "failed"
    DEAD_LETTERS = "dead-letters"
    WAITING = "waiting"
    P50 = "p50"
    P99 = "p99"


Rank = float | Percentiles
"""The number that a data type is sorted by, or what it is computed from."""


def rank_of(entry: Entry | None, order: Order, now_ms: int) -> Rank:
    """Returns the rank of a data type, 0 of an unknown one. Not for ``Order.NAME``, which has no numbers."""
    return 0.0 if entry is None else _RANKS[order](entry, now_ms)


def ranked(names: list[str], ranks: list[Rank], order: Order, *, descending: bool) -> list[str]:
    """Returns the names sorted by their ranks; equal ones stay as they are. It may compute percentiles."""
    place = int(order is Order.P99)
    numbers = [one.values()[place] if isinstance(one, Percentiles) else one for one in ranks]
    places = sorted(range(len(names)), key=numbers.__getitem__, reverse=descending)
    return [names[at] for at in places]


def _since(entry: Entry, _now_ms: int) -> float:
    now = entry.statuses.standing().now
    return 0 if now is None else now.since


def _counts(entry: Entry) -> VersionFold | None:
    return serving_counts(entry.statuses.standing(), entry.statistics)


def _scored(entry: Entry, _now_ms: int) -> float:
    counts = _counts(entry)
    return 0 if counts is None else counts.scored()


def _failed(entry: Entry, _now_ms: int) -> float:
    counts = _counts(entry)
    return 0 if counts is None else counts.failed()


def _latency(entry: Entry, _now_ms: int) -> Percentiles:
    if entry.latency is None:
        counts = _counts(entry)
        entry.latency = Percentiles([] if counts is None else counts.latencies())
    return entry.latency


_RANKS: dict[Order, Callable[[Entry, int], Rank]] = {
    Order.SINCE: _since,
    Order.THROUGHPUT: lambda entry, now_ms: entry.statistics.rate_at(now_ms),
    Order.SCORED: _scored,
    Order.FAILED: _failed,
    Order.DEAD_LETTERS: lambda entry, _now_ms: entry.letters.total,
    Order.WAITING: lambda entry, _now_ms: entry.statuses.standing().waiting,
    Order.P50: _latency,
    Order.P99: _latency,
}
