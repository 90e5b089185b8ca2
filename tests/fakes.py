"""Stand-ins for what the core works with: time, engines, kept models, records."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from model_serving.core.admission.commands import Admission, KeptModels
from model_serving.core.batches import RecordBatch, ScoredBatch
from model_serving.core.engine import Columns, RecordSchema, Scores
from model_serving.core.errors import InvalidRecord, ModelRejected, ScoringFailed, UnparsableMessage
from model_serving.core.messages import ModelMessage, ModelToServe, ModelType
from model_serving.core.state import (
    Activation,
    History,
    decode_history,
    decode_model,
    encode_history,
    encode_model,
)

__all__ = [
    "POINT",
    "FakeClock",
    "FakeEngine",
    "FakeFeatures",
    "FakeLocations",
    "FakeModel",
    "InMemoryKeptModels",
    "Point",
    "Script",
    "ServedRow",
    "offer",
    "point",
    "points",
    "read_point",
    "served_rows",
]

POINT = RecordSchema("Point", ("x", "y"), ("colour",))
"""The record type of the core's tests; its bytes are ``x,y,colour``."""


class FakeClock:
    """Time that stands still until it is told to pass."""

    def __init__(self, epoch_ms: int = 1_000_000) -> None:
        self._start_ms = epoch_ms
        self._passed_ns = 0

    def pass_ns(self, nanoseconds: int) -> None:
        self._passed_ns += nanoseconds

    def monotonic_ns(self) -> int:
        return self._passed_ns

    def epoch_ms(self) -> int:
        return self._start_ms + self._passed_ns // 1_000_000


@dataclass(frozen=True, slots=True)
class Script:
    """What the model of one content does: the field ``x`` + ``offset``, unless told otherwise.

    ``poison``: an x that makes the batch fail. ``nothing``: an x without a result. A fault is no error of the
    model but of the program. Times pass on the engine's clock. Loading waits until the ``gate`` is open.
    """

    offset: float = 0.0
    fields: tuple[str, ...] = ("x", "y")
    x: str = "x"
    load_error: str = ""
    load_fault: Exception | None = None
    load_ns: int = 0
    findings: str = ""
    gate: threading.Event | None = None
    score_ns: int = 0
    poison: float | None = None
    nothing: float | None = None
    score_fault: Exception | None = None
    extra_results: int = 0
    labels: Sequence[str] | None = None
    outputs: Mapping[str, Sequence[float]] = field(default_factory=dict)


class FakeModel:
    """A loaded model that follows its script, and complains when it is used or closed after ``close``."""

    def __init__(self, name: str, script: Script, engine: FakeEngine) -> None:
        self.name = name
        self._script = script
        self._engine = engine
        self._closed = False
        self.scored: list[Columns] = []

    @property
    def fields(self) -> tuple[str, ...]:
        return self._script.fields

    @property
    def findings(self) -> str:
        return self._script.findings

    def score(self, columns: Columns) -> Scores:
        assert not self._closed, f"{self.name} was used after close"
        script = self._script
        self.scored.append(columns)
        self._engine.clock.pass_ns(script.score_ns)
        if script.score_fault is not None:
            raise script.score_fault
        x = columns[:, script.fields.index(script.x)].astype(np.float64)
        if script.poison is not None and (x == script.poison).any():
            raise ScoringFailed(f"x is {script.poison:g}")
        result = x + script.offset
        if script.nothing is not None:
            result[x == script.nothing] = np.nan
        return Scores(
            result=np.concatenate([result, np.zeros(script.extra_results)]),
            labels=script.labels,
            outputs={name: np.array(values, dtype=np.float64) for name, values in script.outputs.items()},
        )

    def close(self) -> None:
        assert not self._closed, f"{self.name} was closed twice"
        self._closed = True
        self._engine.note("close", self)


class FakeEngine:
    """Loads models whose content names a script.

    ``events`` are what was loaded and closed, in order; ``findings`` what was given to each load.
    """

    def __init__(self, clock: FakeClock, scripts: Mapping[bytes, Script] | None = None) -> None:
        self.clock = clock
        self.scripts = dict(scripts or {})
        self.events: list[str] = []
        self.findings: list[str] = []
        self.models: list[FakeModel] = []
        self._lock = threading.Lock()
        self._live: list[str] = []

    def __call__(self, model_type: ModelType) -> FakeEngine:
        """The engine for every type of model: what a pool is given."""
        return self

    def load(self, model: ModelToServe, schema: RecordSchema) -> FakeModel:
        script = self.scripts.get(model.content, Script())
        self.clock.pass_ns(script.load_ns)
        if script.gate is not None:
            assert script.gate.wait(60)
        if script.load_fault is not None:
            raise script.load_fault
        if script.load_error:
            raise ModelRejected(script.load_error)
        loaded = FakeModel(model.content.decode(), script, self)
        self.models.append(loaded)
        self.findings.append(model.findings)
        self.note("load", loaded)
        return loaded

    def note(self, event: str, model: FakeModel) -> None:
        with self._lock:
            self.events.append(f"{event} {model.name}")
            if event == "load":
                self._live.append(model.name)
            else:
                self._live.remove(model.name)

    @property
    def live(self) -> list[str]:
        """The contents of the models that are loaded and not closed, sorted."""
        with self._lock:
            return sorted(self._live)


class InMemoryKeptModels:
    """Kept models as Flink state keeps them: bytes only."""

    def __init__(self) -> None:
        self.saved_history: bytes | None = None
        self.saved_models: dict[str, bytes] = {}

    def history(self) -> History:
        return decode_history(self.saved_history)

    def save_history(self, history: History) -> None:
        self.saved_history = encode_history(history)

    def model(self, version: str) -> ModelToServe:
        return decode_model(self.saved_models[version])

    def save_model(self, model: ModelToServe) -> None:
        self.saved_models[model.version] = encode_model(model)

    def drop_model(self, version: str) -> None:
        del self.saved_models[version]

    @property
    def versions(self) -> list[str]:
        """The kept versions, oldest first; their contents are kept too, and no others."""
        versions = [kept.version for kept in self.history().kept]
        assert sorted(versions) == sorted(self.saved_models)
        return versions


def offer(admission: Admission, message: ModelMessage, kept: KeptModels) -> Activation:
    """Carries out a message in one go."""
    return admission.complete(admission.preparation(message, kept).run(), kept)


class FakeLocations:
    """Contents by location; ``asked`` are the locations that were read."""

    def __init__(self, contents: Mapping[str, bytes] | None = None) -> None:
        self.contents = dict(contents or {})
        self.asked: list[str] = []

    def __call__(self, location: str) -> bytes:
        self.asked.append(location)
        if location not in self.contents:
            raise ModelRejected(f"nothing is at {location}")
        return self.contents[location]


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
        return f"{self.x:g},{self.y:g},{self.colour}".encode()


def point(x: float, y: float = 0.0, colour: str = "red", *, data_type: str = "wine", ts: int = 0) -> Point:
    """A point with all that is not told filled in."""
    return Point(x, y, colour, data_type, ts)


class FakeFeatures:
    """The fields of points; reading them takes a while on a clock, if one is given."""

    def __init__(self, points: Sequence[Point], clock: FakeClock | None = None, read_ns: int = 0) -> None:
        self._points = points
        self._clock = clock
        self._read_ns = read_ns

    def columns(self, fields: tuple[str, ...]) -> Columns:
        if self._clock is not None:
            self._clock.pass_ns(self._read_ns)
        kind = object if any(name in POINT.text for name in fields) else np.float64
        return np.array([[getattr(each, name) for name in fields] for each in self._points], dtype=kind)

    def rows(self, index: npt.NDArray[np.intp]) -> FakeFeatures:
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
    """One point's bytes as a row."""
    if not payload:
        raise InvalidRecord("the Point has none of its fields set")
    try:
        x, y, colour = payload.decode().split(",")
        return FakeFeatures([point(float(x), float(y), colour)]).columns(fields)
    except ValueError:
        raise UnparsableMessage("Point", "truncated") from None


@dataclass(frozen=True, slots=True)
class ServedRow:
    """One record of a scored batch; an output that is NaN was not given."""

    data_type: str
    model: ModelToServe
    submission_ts: int
    served_ts: int
    scoring_ns: int
    result: float
    label: str = ""
    outputs: Mapping[str, float] = field(default_factory=dict)


def served_rows(batches: Iterable[ScoredBatch]) -> list[ServedRow]:
    """Scored batches record by record; every column has as many values as there are records."""
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
