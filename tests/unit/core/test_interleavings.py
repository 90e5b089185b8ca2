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
    examples,
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
        return f"serves {serves}, not {activation.previous}", told(answers), failing

    def serve(self, data_type: str, records: Sequence[tuple[int, float]]) -> tuple[list[Answer], list[str]]:
        emitted = self.desk.take(Decoded([self.messages.batch(data_type, records)], []))
        return told(self.messages.answers(emitted)), self.messages.failing(emitted)

    def retry(self, data_type: str) -> tuple[list[Answer], list[str]]:
        answers: list[Answer] = []
        failing: list[str] = []
        for emitted in self.desk.retry(data_type):
            answers += self.messages.answers(emitted)
            failing += self.messages.failing(emitted)
        return told(answers), failing


BATCHES = st.tuples(DATA_TYPES, st.lists(XS, min_size=1, max_size=4))
OTHERS = st.sampled_from(["restart", "away", "back", "retry"])


def told(answers: Sequence[Answer]) -> list[Answer]:
    """The results in their order, and then the failures, which go another way."""
    return [each for each in answers if ":" in each[1]] + sorted(
        each for each in answers if ":" not in each[1]
    )


class Comparison:
    """Serving and its reference, event by event."""

    def __init__(self) -> None:
        self.serving, self.admission, self.reference = (
            Serving(),
            ReferenceAdmission(),
            ReferenceServing(LIMIT),
        )
        self._numbers = 0

    def happen(self, event: ModelMessage | tuple[str, list[float]] | str) -> None:
        """Carries out an event and compares the outcomes."""
        if isinstance(event, ModelMessage):
            self._offer(event)
        elif not isinstance(event, str):
            self._serve(*event)
        elif event == "restart":
            self.serving.stop()
            self.serving.start()
            self.reference.restart()
        elif event == "retry":
            for data_type in ("wine", "beer"):
                self._retry(data_type)
        else:
            self.admission.away = self.reference.away = event == "away"
            engine = self.serving.engine
            (engine.goes_away if event == "away" else engine.comes_back)()

    def check_models(self) -> None:
        """Checks that the versions are kept, and that each loaded model is one of them and loaded once."""
        kept = {name: self.serving.kept.versions(name) for name in self.serving.kept.histories}
        assert {name: versions for name, versions in kept.items() if versions} == {
            name: [v for v, _ in versions] for name, versions in self.admission.kept.items() if versions
        }
        alive = {content.decode() for versions in self.admission.kept.values() for _, content in versions}
        live = self.serving.engine.live
        assert len(live) == len(set(live))
        assert set(live) <= alive

    def check_waiting(self) -> None:
        """Checks that the same records wait, and, once the models are back, only those without a model."""
        left = {name: len(records) for name, records in self.reference.waiting.items() if records}
        assert self.serving.waiting.counts == left
        assert self.reference.away or not left.keys() & self.reference.active.keys()

    def _offer(self, message: ModelMessage) -> None:
        said = self.admission.offer(message)
        answers: list[Answer] = []
        failing: list[str] = []
        if said != "rejected":
            kept = self.admission.kept.get(message.data_type)
            back = message.command is Command.ROLLBACK
            answers, failing = self.reference.activate(
                message.data_type, kept[-1] if kept else None, fallback=back
            )
        assert self.serving.offer(message) == (said, told(answers), failing)
        self._take_back(message.data_type, failing)

    def _serve(self, data_type: str, xs: list[float]) -> None:
        records = list(enumerate(xs, start=self._numbers))
        self._numbers += len(xs)
        answers, failing = self.reference.serve(data_type, records)
        assert self.serving.serve(data_type, records) == (told(answers), failing)
        self._take_back(data_type, failing)

    def _retry(self, data_type: str) -> None:
        answers, failing = self.reference.retry(data_type)
        assert self.serving.retry(data_type) == (told(answers), failing)
        self._take_back(data_type, failing)

    def _take_back(self, data_type: str, failing: list[str]) -> None:
        for version in failing:
            self._offer(ModelMessage(data_type, version=version, command=Command.ROLLBACK))


@settings(max_examples=examples(500), deadline=None)
@given(st.lists(MESSAGES | BATCHES | OTHERS, max_size=20))
def test_any_interleaving_does_what_the_reference_does(
    events: list[ModelMessage | tuple[str, list[float]] | str],
) -> None:
    comparison = Comparison()
    for event in [*events, "back", "retry"]:
        comparison.happen(event)
        comparison.check_models()
    comparison.check_waiting()
    comparison.serving.stop()
