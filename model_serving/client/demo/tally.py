"""Counts the messages of the output topics for the demo. Pure."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from model_serving.client.decoding import Kind, parse
from model_serving.core.messages import ModelType, Reason
from model_serving.messaging.topics import TopicNames
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.protos.servingresult_pb2 import ServingResult

__all__ = ["Swap", "Tally", "VersionTally", "quantile"]

_RECENT_S = 3.0


@dataclass(frozen=True, slots=True)
class Swap:
    """A model that began to serve, or was rejected, ``at_s`` seconds after the stream began."""

    at_s: float
    name: str
    version: str
    previous: str
    load_ms: float
    rejected: str = ""


@dataclass(slots=True)
class VersionTally:
    """The results of one version of a model. Latencies are milliseconds."""

    name: str
    version: str
    kind: str
    scoring_ns: int = 0
    result_sum: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def records(self) -> int:
        """The number of records that it scored."""
        return len(self.latencies)

    @property
    def mean_scoring_us(self) -> float:
        """The mean time in the model for a record, microseconds."""
        return self.scoring_ns / self.records / 1000

    @property
    def mean_result(self) -> float:
        """The mean of the results."""
        return self.result_sum / self.records


@dataclass(slots=True)
class Tally:
    """Everything that came back for one data type."""

    data_type: str
    topics: TopicNames
    versions: dict[tuple[str, str], VersionTally] = field(default_factory=dict)
    swaps: list[Swap] = field(default_factory=list)
    dead_records: Counter[str] = field(default_factory=Counter)
    dead_models: Counter[str] = field(default_factory=Counter)
    last_results: deque[ServingResult] = field(default_factory=lambda: deque(maxlen=6))
    _recent: deque[tuple[float, float]] = field(default_factory=deque)

    @property
    def results(self) -> int:
        """The number of results so far."""
        return sum(version.records for version in self.versions.values())

    @property
    def names(self) -> set[str]:
        """The models that have scored a record."""
        return {version.name for version in self.versions.values()}

    @property
    def settled(self) -> int:
        """The number of records that came back, as a result or as a dead letter."""
        return self.results + self.dead_records.total()

    @property
    def serving(self) -> Swap | None:
        """The latest model that began to serve."""
        return next((swap for swap in reversed(self.swaps) if not swap.rejected), None)

    def add(self, kind: Kind, payload: bytes, *, at_s: float) -> None:
        """Counts a message of a topic. Only results, dead letters and statuses are counted."""
        if kind is Kind.RESULTS and isinstance(result := parse(ServingResult, payload), ServingResult):
            self._add_result(result, at_s)
        elif kind is Kind.DEAD_LETTERS and isinstance(letter := parse(DeadLetter, payload), DeadLetter):
            dead = self.dead_records if letter.topic == self.topics.data else self.dead_models
            dead[_name_of(Reason, letter.reason)] += 1
        elif kind is Kind.STATUS and isinstance(status := parse(ModelStatus, payload), ModelStatus):
            self._add_status(status, at_s)

    def recent(self, at_s: float) -> tuple[float, float, float]:
        """Returns results a second, median and 99th percentile of latency (ms), shortly before ``at_s``."""
        while self._recent and self._recent[0][0] < at_s - _RECENT_S:
            self._recent.popleft()
        latencies = sorted(latency for _, latency in self._recent)
        rate = len(latencies) / min(max(at_s, 0.1), _RECENT_S)
        return rate, quantile(latencies, 0.5), quantile(latencies, 0.99)

    def _add_result(self, result: ServingResult, at_s: float) -> None:
        if result.dataType != self.data_type:
            return
        key = (result.name, result.version)
        if key not in self.versions:
            self.versions[key] = VersionTally(*key, _name_of(ModelType, result.modeltype))
        version = self.versions[key]
        version.scoring_ns += result.scoring_ns
        version.result_sum += result.result
        version.latencies.append(result.latency_ms)
        self.last_results.append(result)
        self._recent.append((at_s, result.latency_ms))

    def _add_status(self, status: ModelStatus, at_s: float) -> None:
        if status.dataType != self.data_type or status.state not in {
            ModelStatus.ACTIVE,
            ModelStatus.REJECTED,
        }:
            return
        rejected = (status.detail or "no reason given") if status.state == ModelStatus.REJECTED else ""
        swap = Swap(at_s, status.name, status.version, status.previous, status.load_ms, rejected)
        self.swaps.append(swap)


def _name_of(kinds: type[IntEnum], number: int) -> str:
    """Returns the name of a number on the wire, or the number if this software does not know it."""
    return kinds(number).name if number in set(kinds) else str(number)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Returns the nearest-rank quantile of values in ascending order; NaN when there are none."""
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
