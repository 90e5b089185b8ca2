"""Whatever order models, commands, records and restarts come in, serving does what a naive reference does."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from model_serving.core.admission.commands import Admission
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import Command, ModelMessage
from model_serving.core.pool import ModelPool
from model_serving.core.scoring.server import Server
from model_serving.core.state import decode_activation, decode_model, encode_activation, encode_model
from tests.fakes import (
    POINT,
    FakeClock,
    FakeEngine,
    FakeLocations,
    InMemoryKeptModels,
    offer,
    point,
    points,
    read_point,
    served_rows,
)
from tests.interleavings import (
    DATA_TYPES,
    KEEP,
    MESSAGES,
    SCRIPTS,
    THRESHOLD,
    XS,
    Answer,
    ReferenceAdmission,
    ReferenceServing,
)


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
                return [(place, "no model") for place in range(len(xs))], []
            self.server.activate(decode_model(self.active[data_type]))
        # Each record is told by its place, which is its time and part of its bytes.
        records = [point(x, place, data_type=data_type, ts=place) for place, x in enumerate(xs)]
        outcome = self.server.serve(points(*records))
        scored = [
            (row.submission_ts, f"{row.model.version}: {row.result:g}") for row in served_rows(outcome.scored)
        ]
        payloads = [record.payload for record in records]
        failed = [(payloads.index(each.payload), f"{each.version} fails") for each in outcome.dead_letters]
        assert (scored, failed) == (sorted(scored), sorted(failed))
        return sorted([*scored, *failed]), [each.version for each in outcome.failing]


BATCHES = st.tuples(DATA_TYPES, st.lists(XS, min_size=1, max_size=4))
RESTART = st.just("restart")


@settings(max_examples=500, deadline=None)
@given(st.lists(MESSAGES | BATCHES | RESTART, max_size=20))
def test_any_interleaving_does_what_the_reference_does(
    events: list[ModelMessage | tuple[str, list[float]] | str],
) -> None:
    serving, admission, reference = Serving(), ReferenceAdmission(), ReferenceServing()

    def offer_both(message: ModelMessage) -> None:
        said = admission.offer(message)
        assert serving.offer(message) == said
        if said != "rejected":
            kept = admission.kept.get(message.data_type)
            back = message.command is Command.ROLLBACK
            assert reference.activate(message.data_type, kept[-1] if kept else None, fallback=back) == (
                [],
                [],
            )

    for event in events:
        if isinstance(event, str):
            serving.stop()
            serving.start()
            reference.restart()
        elif isinstance(event, ModelMessage):
            offer_both(event)
        else:
            data_type, xs = event
            answers, failing = serving.serve(data_type, xs)
            assert (answers, failing) == reference.serve(data_type, list(enumerate(xs)))
            for version in failing:
                offer_both(ModelMessage(data_type, version=version, command=Command.ROLLBACK))
        kept = {name: kept.versions for name, kept in serving.kept.items() if kept.versions}
        assert kept == {
            name: [v for v, _ in versions] for name, versions in admission.kept.items() if versions
        }
        alive = {content.decode() for versions in admission.kept.values() for _, content in versions}
        live = serving.engine.live
        assert len(live) == len(set(live))
        assert set(live) <= alive
    serving.stop()
