"""Whatever order models, commands, records and restarts come in, serving does what a naive reference does."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from functions.core.admission import Admission
from functions.core.errors import ModelRejected
from functions.core.messages import Command, ModelMessage, ModelType
from functions.core.pool import ModelPool
from functions.core.server import Server
from functions.core.state import decode_activation, decode_model, encode_activation, encode_model
from tests.fakes import (
    POINT,
    FakeClock,
    FakeEngine,
    FakeLocations,
    InMemoryKeptModels,
    Script,
    offer,
    point,
    points,
    read_point,
    served_rows,
)

KEEP = 2
POISON = 3.0
THRESHOLD = 3
SCRIPTS = {
    b"plus 100": Script(offset=100),
    b"plus 200": Script(offset=200),
    b"plus 300, but not 3": Script(offset=300, poison=POISON),
    b"nothing for 3": Script(offset=400, nothing=POISON),
    b"does not load": Script(load_error="not a model"),
    b"fails on zeros": Script(poison=0.0),
}
Answer = tuple[str, float | None] | str
"""(version, result or None when scoring failed), or that there is no model."""


class Reference:
    """What should happen, in the fewest words: kept versions as (version, content) by data type.

    ``streaks`` are failures in a row of what serves a data type; None: they do not count (any more).
    """

    def __init__(self) -> None:
        self.kept: dict[str, list[tuple[str, bytes]]] = {}
        self.streaks: dict[str, int | None] = {}

    def offer(self, message: ModelMessage) -> str:
        kept = self.kept.setdefault(message.data_type, [])
        if message.command is Command.REMOVE:
            return (
                "rejected" if not kept else f"serves nothing, not {self.kept.pop(message.data_type)[-1][0]}"
            )
        if message.command is Command.ROLLBACK:
            if len(kept) < 2 or (message.version and message.version != kept[-1][0]):
                return "rejected"
            bad, _ = kept.pop()
            self.streaks[message.data_type] = None
            return f"serves {kept[-1][0]}, not {bad}"
        content = message.data or b""
        version = message.version or hashlib.sha256(content).hexdigest()[:12]
        if content in (b"does not load", b"fails on zeros") or dict(kept).get(version, content) != content:
            return "rejected"
        before = kept[-1][0] if kept and kept[-1][0] != version else ""
        kept[:] = [*[pair for pair in kept if pair[0] != version][1 - KEEP :], (version, content)]
        self.streaks[message.data_type] = 0
        return f"serves {version}, not {before}"

    def restart(self) -> None:
        self.streaks = dict.fromkeys(self.kept, 0)

    def serve(self, data_type: str, xs: list[float]) -> tuple[list[Answer], list[str]]:
        """The answers, and the version that is to be taken back, if one is."""
        if not self.kept.get(data_type):
            return ["no model"] * len(xs), []
        version, content = self.kept[data_type][-1]
        answers: list[Answer] = []
        failing: list[str] = []
        for x in xs:
            fails = x in (SCRIPTS[content].poison, SCRIPTS[content].nothing)
            answers.append((version, None if fails else x + SCRIPTS[content].offset))
            streak = self.streaks[data_type]
            if streak is not None:
                self.streaks[data_type] = streak + 1 if fails else 0
            if self.streaks[data_type] == THRESHOLD:
                self.streaks[data_type] = None
                failing.append(version)
        return answers, failing


@dataclass
class Serving:
    """Admission and server as an operator holds them: bytes in ``kept`` and ``active`` outlive a restart."""

    engine: FakeEngine = field(default_factory=lambda: FakeEngine(FakeClock(), SCRIPTS))
    kept: dict[str, InMemoryKeptModels] = field(default_factory=dict)
    active: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        clock = self.engine.clock
        pool = ModelPool(self.engine)
        self.admission = Admission(pool, POINT, FakeLocations(), read_point, KEEP, clock)
        self.server = Server(pool, POINT, "mdata", clock, failure_threshold=THRESHOLD)

    def stop(self) -> None:
        self.admission.close()
        self.server.close()
        assert self.engine.live == []

    def offer(self, message: ModelMessage) -> str:
        kept = self.kept.setdefault(message.data_type, InMemoryKeptModels())
        try:
            offered = offer(self.admission, message, kept)
        except ModelRejected:
            return "rejected"
        activation = decode_activation(encode_activation(offered))
        if activation.model is None:
            self.server.deactivate(activation.data_type)
            del self.active[activation.data_type]
            return f"serves nothing, not {activation.previous}"
        self.server.activate(activation.model, fallback=activation.fallback)
        self.active[activation.data_type] = encode_model(activation.model)
        return f"serves {activation.model.version}, not {activation.previous}"

    def serve(self, data_type: str, xs: list[float]) -> tuple[list[Answer], list[str]]:
        if not self.server.serves(data_type):
            if data_type not in self.active:
                return ["no model"] * len(xs), []
            self.server.activate(decode_model(self.active[data_type]))
        # Each record is told by its place, which is its time and part of its bytes.
        records = [point(x, place, data_type=data_type, ts=place) for place, x in enumerate(xs)]
        outcome = self.server.serve(points(*records))
        scored = [(row.submission_ts, row.model.version, row.result) for row in served_rows(outcome.scored)]
        payloads = [record.payload for record in records]
        failed = [(payloads.index(each.payload), each.version, None) for each in outcome.dead_letters]
        assert (scored, failed) == (sorted(scored), sorted(failed))
        places, versions, results = zip(*sorted([*scored, *failed]), strict=True)
        assert places == tuple(range(len(xs)))
        return list(zip(versions, results, strict=True)), [each.version for each in outcome.failing]


DATA_TYPES = st.sampled_from(["wine", "beer"])
MESSAGES = st.builds(
    ModelMessage,
    data_type=DATA_TYPES,
    name=st.just("model"),
    model_type=st.just(ModelType.PMML),
    data=st.sampled_from(sorted(SCRIPTS)),
    version=st.sampled_from(["", "v1", "v2"]),
    command=st.sampled_from(
        [Command.DEPLOY, Command.DEPLOY, Command.DEPLOY, Command.ROLLBACK, Command.REMOVE]
    ),
)
BATCHES = st.tuples(DATA_TYPES, st.lists(st.sampled_from([1.0, 2.0, POISON]), min_size=1, max_size=4))
RESTART = st.just("restart")


@settings(max_examples=500, deadline=None)
@given(st.lists(MESSAGES | BATCHES | RESTART, max_size=20))
def test_any_interleaving_does_what_the_reference_does(
    events: list[ModelMessage | tuple[str, list[float]] | str],
) -> None:
    serving, reference = Serving(), Reference()
    for event in events:
        if isinstance(event, str):
            serving.stop()
            serving.start()
            reference.restart()
        elif isinstance(event, ModelMessage):
            assert serving.offer(event) == reference.offer(event)
        else:
            data_type, xs = event
            answers, failing = serving.serve(data_type, xs)
            assert (answers, failing) == reference.serve(data_type, xs)
            for version in failing:
                back = ModelMessage(data_type, version=version, command=Command.ROLLBACK)
                assert serving.offer(back) == reference.offer(back)
        kept = {name: kept.versions for name, kept in serving.kept.items() if kept.versions}
        assert kept == {
            name: [v for v, _ in versions] for name, versions in reference.kept.items() if versions
        }
        alive = {content.decode() for versions in reference.kept.values() for _, content in versions}
        live = serving.engine.live
        assert len(live) == len(set(live))
        assert set(live) <= alive
    serving.stop()
