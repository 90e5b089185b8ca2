"""Finds the promises that a job broke under overload. Pure: figures in, sentences out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median

from bench.figures import Latency, drift

__all__ = ["Findings", "Phase", "Sample"]

_LONG_S = 240.0
"""The least length of an overload for a trend: the JVM and the libraries have allocated their memory then."""

_CHECKPOINTED_S = 30.0
"""The least length of an overload in which several checkpoints are due."""

_FINE_MS = {"p50": 20, "p99": 100}
"""The latency, in milliseconds, that is fine after a long overload whatever it was before."""

_FINE_MOMENT_MS = {"p50": 100, "p99": 1000}
"""The same after a short overload: in a few seconds, the machine's other work and one stall decide it.

A job that has not come back from an overload answers after seconds.
"""

_MOST_TREND = 10.0
"""Percent."""

_MOST_GROWTH_MIB = 2560.0
"""Java lets its heap grow to its maximum, a quarter of the machine's memory, before it looks for garbage."""


class Phase(Enum):
    BEFORE = "before"
    OVERLOAD = "during"
    DRAIN = "drain"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample: the records that have neither result nor dead letter, and the memory of all processes."""

    phase: Phase
    at_s: float
    lag: int
    rss_mib: float

    def __str__(self) -> str:
        return f"{self.at_s:.0f} s: lag {self.lag:,} records, RSS {self.rss_mib:,.0f} MiB"


@dataclass(frozen=True, slots=True)
class Findings:
    """The figures of a run.

    ``produced`` is what the producers sent, ``in_topic`` what is in the data topic; ``without_model`` of them
    had no model, ``waited`` of those were scored when it came, ``buffered`` were allowed to wait.
    """

    before: Latency
    after: Latency
    samples: Sequence[Sample]
    overload_s: float
    drained_s: float
    completed_checkpoints: int
    produced: int
    in_topic: int
    results: int
    letters: int
    without_model: int
    waited: int
    buffered: int
    restarts: int

    def broken(self) -> list[str]:
        """Returns a sentence for each promise that was broken."""
        return list(self._broken())

    def _broken(self) -> Iterator[str]:
        if self._served == 0 or self._most_lag < self._served / self.overload_s:
            yield f"it was no overload: never more than {self._most_lag:,} records, a second's, behind"
        if self.restarts:
            yield f"the job restarted {self.restarts} times"
        if not self.completed_checkpoints and self.overload_s >= _CHECKPOINTED_S:
            yield "no checkpoint completed during the overload"
        if not self.produced == self.in_topic == self.results + self.letters:
            yield (
                f"records are lost or doubled: {self.produced:,} sent, {self.in_topic:,} in Kafka, "
                f"{self.results:,} results + {self.letters:,} dead letters"
            )
        if (self.waited, self.letters) != (self.buffered, self.without_model - self.buffered):
            yield (
                f"of {self.without_model:,} records without a model {self.waited:,} waited and "
                f"{self.letters:,} are dead letters, but {self.buffered:,} may wait"
            )
        fine = _FINE_MOMENT_MS if self.overload_s < _CHECKPOINTED_S else _FINE_MS
        for name, fine_ms in fine.items():
            was, now = getattr(self.before, name), getattr(self.after, name)
            if now > max(was, fine_ms):
                yield f"latency is not back: {name} {was:.0f} ms before, {now:.0f} ms after"
        if self.overload_s >= _LONG_S and self._trend > _MOST_TREND:
            yield f"memory grew by {self._trend:.1f} % during the last 80 % of the overload"
        if self._growth_mib > _MOST_GROWTH_MIB:
            yield f"memory grew by {self._growth_mib:,.0f} MiB over what it was before"

    def __str__(self) -> str:
        lags = [f"{one.at_s - self._flooded[0].at_s:.0f} s: {one.lag:,}" for one in self._lag_samples()]
        memory = [f"{phase.value} {self._memory(phase)}" for phase in Phase]
        rate = self._served / (self.overload_s + self.drained_s)
        return f"""\
sent {self.in_topic:,} = {self.results:,} results + {self.letters:,} dead letters
of {self.without_model:,} without a model {self.waited:,} waited ({self.buffered:,} may)
lag, records: {", ".join(lags)}; worked off in {self.drained_s:.0f} s
{rate:,.0f} results/s until then; {self.completed_checkpoints} checkpoints during the overload
RSS, MiB (least, median, greatest): {"; ".join(memory)}
RSS over the last 80 % of the overload: {self._trend:+.1f} %
latency p50 / p99, ms: {_latency(self.before)} before, {_latency(self.after)} after"""

    @property
    def _flooded(self) -> list[Sample]:
        return self._in(Phase.OVERLOAD)

    @property
    def _served(self) -> int:
        return self.results - self.before.count - self.after.count

    @property
    def _most_lag(self) -> int:
        return max(one.lag for one in self.samples)

    @property
    def _trend(self) -> float:
        """Returns the trend of memory over the last 80 % of the overload, percent of its mean."""
        late = self._flooded[len(self._flooded) // 5 :]
        return drift([one.at_s for one in late], [one.rss_mib for one in late]).trend

    @property
    def _growth_mib(self) -> float:
        before = median(one.rss_mib for one in self._in(Phase.BEFORE))
        return max(one.rss_mib for one in self.samples) - before

    def _memory(self, phase: Phase) -> str:
        values = [one.rss_mib for one in self._in(phase)]
        return f"{min(values):,.0f} {median(values):,.0f} {max(values):,.0f}"

    def _in(self, phase: Phase) -> list[Sample]:
        return [one for one in self.samples if one.phase is phase]

    def _lag_samples(self) -> list[Sample]:
        flooded = self._flooded
        return [*flooded[:: max(1, len(flooded) // 8)], flooded[-1]]


def _latency(found: Latency) -> str:
    return f"{found.p50:.0f} / {found.p99:.0f}"
