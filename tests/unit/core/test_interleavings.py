"""Serving does the same as a naive reference, for any order of models, commands, records and restarts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from model_serving.core.admission.admission import Admission
from model_serving.core.admission.loads import BackgroundLoads
from model_serving.core.admission.preparation import Prepared
from model_serving.core.admission.queue import ModelQueue
from model_serving.core.admission.rejections import Rejections
from model_serving.core.batches import Decoded
from model_serving.core.channels import Channel
from model_serving.core.messages import Command, ModelMessage
from model_serving.core.pool import ModelPool
from model_serving.core.scoring.desk import Place, ServingDesk
from model_serving.core.scoring.refusals import Refusals
from model_serving.core.scoring.server import Server
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.core.state import decode_activation
from model_serving.testing import (
    POINT,
    FakeClock,
    FakeEngine,
    FakeLocations,
    FakeMessages,
    InMemoryActiveModels,
    InMemoryKeptModels,
    InMemoryPendingModels,
    InMemoryWaitingRecords,
    read_point,
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

LIMIT = 3
"""How many records of a data type may wait for a model."""


@dataclass
class Serving:
    """A queue and a desk, with state that survives a restart and messages that are values."""

    engine: FakeEngine = field(default_factory=lambda: FakeEngine(FakeClock(), SCRIPTS))
    kept: InMemoryKeptModels = field(default_factory=InMemoryKeptModels)
    pending: InMemoryPendingModels = field(default_factory=InMemoryPendingModels)
    active: InMemoryActiveModels = field(default_factory=InMemoryActiveModels)
    waiting: InMemoryWaitingRecords = field(default_factory=InMemoryWaitingRecords)
    messages: FakeMessages = field(default_factory=FakeMessages)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        clock, messages, pool = self.engine.clock, self.messages, ModelPool(self.engine)
        loads: BackgroundLoads[Prepared] = BackgroundLoads(1, 60, clock)
        admission = Admission(pool, POINT, FakeLocations(), read_point, KEEP, clock)
        rejections = Rejections(messages, "models", 0, clock)
        self.queue = ModelQueue(
            admission, loads, messages, rejections, self.kept, self.pending, clock, patient=True
        )
        self.desk = ServingDesk(
            Server(pool, POINT, "mdata", clock, failure_threshold=THRESHOLD),
            messages,
            messages,
            Refusals(messages, "mdata", clock),
            self.active,
            self.waiting,
            WaitingPolicy(NoModelPolicy.BUFFER, LIMIT, bounded=False),
            Place("desk", 0),
            clock,
        )

    def stop(self) -> None:
        self.queue.close()
        self.desk.close()
        assert self.engine.live == []

    def offer(self, message: ModelMessage) -> tuple[str, list[Answer], list[str]]:
        """The outcome of a message, the outcomes of the records that waited, and the versions taken back."""
        emitted = self.queue.offer(message.data_type, self.messages.write(message))
        if not emitted.activations:
            assert [channel for channel, _ in emitted.side] == [Channel.DEAD_LETTERS, Channel.STATUSES]
            return "rejected", [], []
        ((data_type, order),) = emitted.activations
        assert data_type == message.data_type
        activation = decode_activation(order)
        serves = "nothing" if activation.model is None else activation.model.version
        answers: list[Answer] = []
        failing: list[str] = []
        for emitted in self.desk.carry_out(order):
            answers += self.messages.answers(emitted)
            failing += self.messages.failing(emitted)
        return f"serves {serves}, not {activation.previous}", sorted(answers), failing

    def serve(self, data_type: str, records: Sequence[tuple[int, float]]) -> tuple[list[Answer], list[str]]:
        emitted = self.desk.take(Decoded([self.messages.batch(data_type, records)], []))
        return sorted(self.messages.answers(emitted)), self.messages.failing(emitted)


BATCHES = st.tuples(DATA_TYPES, st.lists(XS, min_size=1, max_size=4))
RESTART = st.just("restart")


@settings(max_examples=500, deadline=None)
@given(st.lists(MESSAGES | BATCHES | RESTART, max_size=20))
def test_any_interleaving_does_what_the_reference_does(
    events: list[ModelMessage | tuple[str, list[float]] | str],
) -> None:
    serving, admission, reference = Serving(), ReferenceAdmission(), ReferenceServing(LIMIT)
    numbers = 0

    def offer_both(message: ModelMessage) -> None:
        said = admission.offer(message)
        answers: list[Answer] = []
        failing: list[str] = []
        if said != "rejected":
            kept = admission.kept.get(message.data_type)
            back = message.command is Command.ROLLBACK
            answers, failing = reference.activate(
                message.data_type, kept[-1] if kept else None, fallback=back
            )
        assert serving.offer(message) == (said, sorted(answers), failing)
        take_back(message.data_type, failing)

    def take_back(data_type: str, failing: list[str]) -> None:
        for version in failing:
            offer_both(ModelMessage(data_type, version=version, command=Command.ROLLBACK))

    for event in events:
        if isinstance(event, str):
            serving.stop()
            serving.start()
            reference.restart()
        elif isinstance(event, ModelMessage):
            offer_both(event)
        else:
            data_type, xs = event
            records = list(enumerate(xs, start=numbers))
            numbers += len(xs)
            answers, failing = serving.serve(data_type, records)
            expected, expected_failing = reference.serve(data_type, records)
            assert (answers, failing) == (sorted(expected), expected_failing)
            take_back(data_type, failing)
        kept = {name: serving.kept.versions(name) for name in serving.kept.histories}
        assert {name: versions for name, versions in kept.items() if versions} == {
            name: [v for v, _ in versions] for name, versions in admission.kept.items() if versions
        }
        alive = {content.decode() for versions in admission.kept.values() for _, content in versions}
        live = serving.engine.live
        assert len(live) == len(set(live))
        assert set(live) <= alive
    serving.stop()
