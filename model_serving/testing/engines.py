"""An engine whose models do what a script says."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from model_serving.core.engine import Columns, ModelDescription, RecordSchema, Scores
from model_serving.core.errors import ModelRejected, ScoringFailed, Unavailable
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.testing.clock import FakeClock

__all__ = ["FakeEngine", "FakeModel", "Script"]


@dataclass(frozen=True, slots=True)
class Script:
    """The behaviour of the model of one content. By default its result is the field ``x`` + ``offset``.

    ``poison``: an x that makes its batch fail. ``nothing``: an x without a result, and ``why`` the text
    that says why, with the record's place after it. A fault is an exception
    that an engine does not document. Loading takes ``load_ns`` and scoring ``score_ns`` on the engine's
    clock. Loading waits until ``gate`` is set, if there is one.
    """

    offset: float = 0.0
    fields: tuple[str, ...] = ("x", "y")
    x: str = "x"
    load_error: str = ""
    load_fault: BaseException | None = None
    load_ns: int = 0
    findings: str = ""
    gate: threading.Event | None = None
    score_ns: int = 0
    poison: float | None = None
    nothing: float | None = None
    why: str = ""
    score_fault: BaseException | None = None
    close_fault: Exception | None = None
    extra_results: int = 0
    labels: Sequence[str] | None = None
    outputs: Mapping[str, Sequence[float]] = field(default_factory=dict)
    description: ModelDescription = field(default_factory=ModelDescription)


class FakeModel:
    """A loaded model that follows its script.

    See ``core.engine.LoadedModel``. ``scored`` are the columns of all calls of ``score``. Calls of ``score``
    or ``close`` after ``close`` raise AssertionError.
    """

    def __init__(self, name: str, script: Script, engine: FakeEngine) -> None:
        self.name = name
        self._script = script
        self._engine = engine
        self._closed = False
        self.scored: list[Columns] = []

    @property
    def fields(self) -> tuple[str, ...]:
        """See ``core.engine.LoadedModel``."""
        return self._script.fields

    @property
    def findings(self) -> str:
        """See ``core.engine.LoadedModel``."""
        return self._script.findings

    @property
    def description(self) -> ModelDescription:
        """See ``core.engine.description_of``."""
        return self._script.description

    def score(self, columns: Columns) -> Scores:
        """See ``core.engine.LoadedModel``."""
        assert not self._closed, f"{self.name} was used after close"
        script = self._script
        self.scored.append(columns)
        self._engine.answer()
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
            why=(lambda place: f"{script.why} {place}") if script.why else None,
        )

    def reach(self) -> None:
        """See ``core.engine.LoadedModel``."""
        assert not self._closed, f"{self.name} was used after close"
        if self._engine.is_away:
            raise Unavailable("it is away", self._engine.retry_ms)

    def close(self) -> None:
        """See ``core.engine.LoadedModel``."""
        assert not self._closed, f"{self.name} was closed twice"
        self._closed = True
        self._engine.note("close", self)
        if self._script.close_fault is not None:
            raise self._script.close_fault


class FakeEngine:
    """An engine whose models follow the scripts of their contents. See ``core.engine.Engine``.

    ``scripts`` maps a content to its script. ``events`` are the loads and closes, in order; ``findings`` are
    the findings that each load was given.

    The models are out of reach after ``goes_away`` and until ``comes_back``, as if a server scored them.
    """

    retry_ms = 100
    """In how many milliseconds models that are away want to be asked again."""

    def __init__(self, clock: FakeClock, scripts: Mapping[bytes, Script] | None = None) -> None:
        self.clock = clock
        self.scripts = dict(scripts or {})
        self.events: list[str] = []
        self.findings: list[str] = []
        self.models: list[FakeModel] = []
        self._lock = threading.Lock()
        self._live: list[str] = []
        self._answers: int | None = None

    @property
    def is_away(self) -> bool:
        """Whether the models are out of reach."""
        return self._answers == 0

    def goes_away(self, after: int = 0) -> None:
        """From now on, or after so many more calls of ``score``, the models are out of reach."""
        self._answers = after

    def comes_back(self) -> None:
        """The models can be asked again."""
        self._answers = None

    def answer(self) -> None:
        """Raises Unavailable while the models are away; counts the calls until they go."""
        if self._answers == 0:
            raise Unavailable("it is away", self.retry_ms)
        if self._answers is not None:
            self._answers -= 1

    def __call__(self, model_type: ModelType, limits: object = None) -> FakeEngine:
        """This engine, for every model type: what a pool or ``assembly.build`` asks for."""
        return self

    def load(self, model: ModelToServe, schema: RecordSchema) -> FakeModel:
        """See ``core.engine.Engine``."""
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
        """Adds an event, ``load`` or ``close``, of a model."""
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
