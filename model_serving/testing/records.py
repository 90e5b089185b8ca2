"""Records of a small type, without protobuf."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from model_serving.core.batches import RecordBatch, ScoredBatch
from model_serving.core.engine import Columns, RecordSchema
from model_serving.core.errors import InvalidRecord, UnparsableMessage
from model_serving.core.messages import ModelToServe
from model_serving.testing.clock import FakeClock

__all__ = ["POINT", "FakeFeatures", "Point", "ServedRow", "point", "points", "read_point", "served_rows"]

POINT = RecordSchema("Point", ("x", "y"), ("colour",))
"""The record type of the core's tests; its bytes are ``x,y,colour``."""


@dataclass(frozen=True, slots=True)
class Point:
    """A record of the type ``POINT``."""

    x: float
    y: float
    colour: str
    data_type: str
    ts: int

    @property
    def payload(self) -> bytes:
        """The encoded record: ``x,y,colour``."""
        return f"{self.x:g},{self.y:g},{self.colour}".encode()


def point(x: float, y: float = 0.0, colour: str = "red", *, data_type: str = "wine", ts: int = 0) -> Point:
    """A point with defaults."""
    return Point(x, y, colour, data_type, ts)


class FakeFeatures:
    """The fields of points. See ``core.batches.Features``.

    If a clock is given, reading the fields takes ``read_ns`` nanoseconds on it.
    """

    def __init__(self, points: Sequence[Point], clock: FakeClock | None = None, read_ns: int = 0) -> None:
        self._points = points
        self._clock = clock
        self._read_ns = read_ns

    def columns(self, fields: tuple[str, ...]) -> Columns:
        """See ``core.batches.Features``."""
        if self._clock is not None:
            self._clock.pass_ns(self._read_ns)
        kind = object if any(name in POINT.text for name in fields) else np.float64
        return np.array([[getattr(each, name) for name in fields] for each in self._points], dtype=kind)

    def rows(self, index: npt.NDArray[np.intp]) -> FakeFeatures:
        """See ``core.batches.Features``."""
        return FakeFeatures([self._points[place] for place in index.tolist()], self._clock, self._read_ns)


def points(*records: Point) -> RecordBatch:
    """Points of one data type as a batch."""
    (data_type,) = {record.data_type for record in records}
    return RecordBatch(
        data_type=data_type,
        payloads=[record.payload for record in records],
        submission_ts=np.array([record.ts for record in records], dtype=np.int64),
        features=FakeFeatures(records),
    )


def read_point(payload: bytes, fields: tuple[str, ...]) -> Columns:
    """The given fields of one encoded point, as one row.

    Raises:
        InvalidRecord: there are no bytes.
        UnparsableMessage: the bytes are not an encoded point.
    """
    if not payload:
        raise InvalidRecord("the Point has none of its fields set")
    try:
        x, y, colour = payload.decode().split(",")
        return FakeFeatures([point(float(x), float(y), colour)]).columns(fields)
    except ValueError:
        raise UnparsableMessage("Point", "truncated") from None


@dataclass(frozen=True, slots=True)
class ServedRow:
    """One record of a scored batch; outputs that were NaN are left out."""

    data_type: str
    model: ModelToServe
    submission_ts: int
    served_ts: int
    scoring_ns: int
    result: float
    label: str = ""
    outputs: Mapping[str, float] = field(default_factory=dict)


def served_rows(batches: Iterable[ScoredBatch]) -> list[ServedRow]:
    """The records of scored batches, one row each.

    Raises:
        AssertionError: a column does not have as many values as its batch has records.
    """
    rows = []
    for batch in batches:
        scores = batch.scores
        columns = (batch.submission_ts, scores.result, *scores.outputs.values())
        assert {column.shape for column in columns} == {(len(batch),)}
        assert batch.submission_ts.dtype == np.int64
        labels = [""] * len(batch) if scores.labels is None else scores.labels
        for place, label in zip(range(len(batch)), labels, strict=True):
            outputs = {name: float(values[place]) for name, values in scores.outputs.items()}
            rows.append(
                ServedRow(
                    data_type=batch.data_type,
                    model=batch.model,
                    submission_ts=int(batch.submission_ts[place]),
                    served_ts=batch.served_ts,
                    scoring_ns=batch.scoring_ns,
                    result=float(scores.result[place]),
                    label=label,
                    outputs={name: value for name, value in outputs.items() if value == value},
                )
            )
    return rows
