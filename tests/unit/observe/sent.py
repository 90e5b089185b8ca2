"""Messages as the hosts send them, for the tests of a board."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from model_serving.core.statistics.distribution import Distribution
from model_serving.core.statistics.report import VersionStatistics
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.wire.statistics import encode_statistics


def active(ts: int, version: str, previous: str = "", **fields: Any) -> ModelStatus:
    named = {"dataType": "wine", "name": "m"} | fields
    return ModelStatus(version=version, state=ModelStatus.ACTIVE, ts=ts, previous=previous, **named)


def rejected(ts: int, version: str, **fields: Any) -> ModelStatus:
    named = {"dataType": "wine", "name": "m", "detail": "no such field"} | fields
    return ModelStatus(version=version, state=ModelStatus.REJECTED, ts=ts, **named)


def removed(ts: int, **fields: Any) -> ModelStatus:
    named: dict[str, Any] = {"dataType": "wine"} | fields
    return ModelStatus(state=ModelStatus.REMOVED, ts=ts, **named)


def waiting(ts: int, count: int, **fields: Any) -> ModelStatus:
    named: dict[str, Any] = {"dataType": "wine"} | fields
    return ModelStatus(waiting=count, ts=ts, **named)


def letter(ts: int, reason: Any = DeadLetter.NO_MODEL, **fields: Any) -> DeadLetter:
    named = {"dataType": "wine", "detail": "why", "payload": b"abc", "topic": "mdata"} | fields
    return DeadLetter(reason=reason, ts=ts, **named)


def times(*milliseconds: float) -> Distribution:
    """The distribution of these times."""
    one = Distribution()
    one.add(np.array(milliseconds, np.float64))
    return one


def report(ts: int, latencies: Sequence[float] = (), **fields: Any) -> VersionStatistics:
    """A report about records with these latencies; a tenth of each is time in the model."""
    named: dict[str, Any] = {"data_type": "wine", "name": "m", "version": "v1", "run": "r", "instance": "0"}
    scoring = times(*(one / 10 for one in latencies))
    named |= {"scored": len(latencies), "latency": times(*latencies), "scoring": scoring}
    return VersionStatistics(ts=ts, **(named | fields))


def statistics(ts: int, latencies: Sequence[float] = (), **fields: Any) -> bytes:
    """The same as a message."""
    return encode_statistics(report(ts, latencies, **fields))
