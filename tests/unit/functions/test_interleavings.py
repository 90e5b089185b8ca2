"""Both variants behave as a reference does, for any order of models, commands, records, crashes and restores.

The operators are those of the jobs. The channels between them deliver in a random order, and each delivery is
compared with a reference that has neither Flink's state nor channels.
"""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyflink.common import Row

from functions import keyed
from functions.types import ACTIVATIONS, DEAD_LETTERS, ROLLBACKS, UNMATCHED
from model_serving.core.messages import Command, ModelMessage
from model_serving.core.state import decode_activation
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.protos.servingresult_pb2 import ServingResult
from model_serving.settings import ServingSettings
from model_serving.testing import FakeEngine
from model_serving.wire import RecordCodec, parse_descriptor, read_model
from tests.interleavings import (
    DATA_TYPES,
    GOOD_MODELS,
    KEEP,
    MESSAGES,
    POISON,
    SCRIPTS,
    THRESHOLD,
    XS,
    Answer,
    ReferenceAdmission,
    ReferenceServing,
    examples,
)
from tests.protos.sensorreading_pb2 import SensorReading
from tests.unit.functions.fake_job import PARTITIONS, Delivery, FakeJob, tag_of

LIMIT = 3
SOURCES = frozenset(range(PARTITIONS + 1))
"""The choices that read a topic: the models, and each partition of the records."""

JUNK = b"\xff"
_CODEC = RecordCodec("tests.protos.sensorreading_pb2:SensorReading")


@dataclass(frozen=True)
class Send:
    """Records to one partition, as one vector; None stands for a message that is not a record."""

    partition: int
    records: list[tuple[str, float] | None]


@dataclass(frozen=True)
class Crash:
    """All processes end, and come back with ``parallelism`` instances."""

    parallelism: int


CHECKPOINT, AWAY, BACK, RETRY = "checkpoint", "away", "back", "retry"
"""A checkpoint; the models go out of reach as if a server scored them, and come back; timers fire."""

Event = ModelMessage | Send | Crash | str
RECORDS = st.lists(st.tuples(DATA_TYPES, XS) | st.none(), min_size=1, max_size=5)
FAILING_RECORDS = st.tuples(DATA_TYPES, st.just(POISON)).map(lambda record: [record] * THRESHOLD)
SENDS = st.builds(Send, st.integers(0, PARTITIONS - 1), RECORDS | FAILING_RECORDS)
PARALLELISM = st.integers(1, 3)
OTHERS = st.just(CHECKPOINT) | st.sampled_from([AWAY, BACK, RETRY])
EVENTS = st.tuples(
    # Good models are frequent, because without an active model most events have no effect.
    GOOD_MODELS | MESSAGES | SENDS | SENDS | st.builds(Crash, PARALLELISM) | OTHERS,
    # The sources and channels that deliver afterwards; sometimes enough to deliver everything.
    st.lists(st.integers(0, 30), max_size=8) | st.just([0, 1, 2] * 70),
)
HISTORIES = st.lists(EVENTS) | st.lists(EVENTS, min_size=15, max_size=40)


@dataclass
class Expected:
    """What the operators should know: admission, the keyed serving operator, and broadcast instances."""

    admission: ReferenceAdmission = field(default_factory=ReferenceAdmission)
    by_key: ReferenceServing = field(default_factory=lambda: ReferenceServing(LIMIT))
    spread: list[ReferenceServing] = field(default_factory=list)
    swaps: list[str] = field(default_factory=list)

    def restarted(self, parallelism: int) -> Expected:
        """The same after a restore. Broadcast instances agree at a checkpoint, so their number may change."""
        again = copy.deepcopy(self)
        again.spread = [copy.deepcopy(again.spread[0]) for _ in range(parallelism)]
        for serving in (again.by_key, *again.spread):
            serving.restart()
        return again


class Run:
    """A job and its expected behaviour, step by step."""

    def __init__(self, job_settings: ServingSettings, engine: FakeEngine, variant: str, start: int) -> None:
        self.job = FakeJob(job_settings, variant, start)
        self.engine = engine
        self.variant = variant
        self.sent: dict[int, bytes] = {}
        self.expected = Expected(spread=[ReferenceServing() for _ in range(start)])
        self.saved = copy.deepcopy(self.expected)

    def happen(self, what: Event) -> None:
        """Carries out an event."""
        if isinstance(what, ModelMessage):
            self.job.models.append(_descriptor(what))
        elif isinstance(what, Send):
            self.job.records[what.partition].append(tuple(map(self._record, what.records)))
        elif isinstance(what, Crash):
            self.job.crash(what.parallelism)
            self.expected = self.saved.restarted(what.parallelism)
            self._tell_reference()
        elif what in (AWAY, BACK):
            (self.engine.goes_away if what == AWAY else self.engine.comes_back)()
            self._tell_reference()
        elif what == RETRY:
            for delivery in self.job.fire_retries():
                self._compare(delivery)
        else:
            self.drain(sources=False)
            self.job.checkpoint()
            self.saved = copy.deepcopy(self.expected)

    def _tell_reference(self) -> None:
        expected = self.expected
        expected.admission.away = self.engine.is_away
        for serving in (expected.by_key, *expected.spread):
            serving.away = self.engine.is_away

    def step(self, choice: int) -> bool:
        """Reads a message or delivers an element; False if there is nothing to do."""
        if choice <= PARTITIONS and (self.job.read_records(choice - 1) if choice else self.job.read_models()):
            return True
        delivery = self.job.deliver(choice)
        if delivery is not None:
            self._compare(delivery)
        return delivery is not None

    def steps(self, choices: list[int]) -> None:
        """Makes these steps, but for those at the end for which there is nothing left to do."""
        in_vain: set[int] = set()
        for choice in choices:
            if self.step(choice):
                in_vain.clear()
            else:
                in_vain.add(choice)
            if in_vain >= SOURCES:
                return

    def drain(self, *, sources: bool) -> None:
        """Delivers until all channels are empty; with ``sources``, until the topics are read, too."""
        while (sources and any(self.step(choice) for choice in SOURCES)) or self.step(99):
            pass

    def check_models(self) -> None:
        """Checks that each loaded model is kept or serves somewhere, and is loaded once."""
        alive = {content for versions in self.expected.admission.kept.values() for _, content in versions}
        for serving in (self.expected.by_key, *self.expected.spread):
            alive |= {content for _, content in serving.active.values()}
        live = self.engine.live
        assert len(live) == len(set(live))
        assert set(live) <= {content.decode() for content in alive}

    def check_whole(self) -> None:
        """Checks, after a last drain, that each record has one outcome or waits, and each swap one status."""
        outcomes = Counter(number for by, what in self.job.wrote for number in _answered(by, what))
        waiting = [number for rest in self.expected.by_key.waiting.values() for number, _ in rest]
        sent = [number for records in self.job.records for vector in records for number in _numbers(vector)]
        assert outcomes + Counter(waiting) == Counter(sent)
        said = [ModelStatus.FromString(what) for by, what in self.job.wrote if by == "confirm"]
        confirmed = Counter(
            _swap(each.state, each.dataType, each.version, each.previous)
            for each in said
            if each.state != ModelStatus.UNSPECIFIED
        )
        left = {data_type for data_type, rest in self.expected.by_key.waiting.items() if rest}
        assert not left & self.expected.by_key.active.keys(), "they waited for models that are back"
        assert confirmed == Counter(self.expected.swaps)

    def _record(self, record: tuple[str, float] | None) -> bytes:
        if record is None:
            return JUNK
        data_type, x = record
        number = len(self.sent) + 1
        reading = SensorReading(dataType=data_type, ts=number, temperature=x).SerializeToString()
        self.sent[number] = reading
        return reading

    def _compare(self, delivery: Delivery) -> None:
        operator, index = delivery.receiver
        by = delivery.sender.operator
        if operator == "admit":
            self._compare_admission(delivery)
        if operator not in ("serve", "wait"):
            return
        serving = self.expected.by_key
        if self.variant == "broadcast" and operator == "serve":
            serving = self.expected.spread[index]
        if by == "admit":
            order = decode_activation(delivery.element[1])
            model = None if order.model is None else (order.model.version, order.model.content)
            self._compare_served(delivery, *serving.activate(order.data_type, model, fallback=order.fallback))
            return
        if delivery.sender == delivery.receiver:
            self._compare_served(delivery, *serving.retry(delivery.element))
            return
        payloads = _payloads(delivery.element)
        answers: list[Answer] = [(-1, "no record")] * payloads.count(JUNK)
        failing: list[str] = []
        unmatched: list[bytes] = []
        for data_type, records in _by_data_type(payloads).items():
            if serving in self.expected.spread and (serving.away or data_type not in serving.active):
                unmatched += [self.sent[number] for number, _ in records]
                continue
            more, bad = serving.serve(data_type, records)
            answers += more
            failing += bad
        for data_type in _by_data_type(payloads):
            if serving.is_full(data_type):
                # The operator looks at once whether it still has to hold back.
                more, bad = serving.retry(data_type)
                answers += more
                failing += bad
        self._compare_served(delivery, answers, failing)
        handed_on = [each[1] for each in delivery.emitted if tag_of(each) is UNMATCHED]
        assert sorted(unmatched) == sorted(payload for row in handed_on for payload in _payloads(row))

    def _compare_admission(self, delivery: Delivery) -> None:
        message = read_model(parse_descriptor(delivery.element[1][0]))
        said = self.expected.admission.offer(message)
        if said == "rejected":
            assert [tag_of(each) for each in delivery.emitted] == [DEAD_LETTERS, None]
            return
        ((tag, (data_type, order)),) = delivery.emitted
        activation = decode_activation(order)
        serves = "nothing" if activation.model is None else activation.model.version
        assert (tag, data_type) == (ACTIVATIONS, message.data_type)
        assert f"serves {serves}, not {activation.previous}" == said
        assert activation.fallback == (message.command is Command.ROLLBACK)
        state = ModelStatus.REMOVED if activation.model is None else ModelStatus.ACTIVE
        version = activation.previous if activation.model is None else serves
        previous = "" if activation.model is None else activation.previous
        self.expected.swaps.append(_swap(state, data_type, version, previous))

    def _compare_served(self, delivery: Delivery, answers: list[Answer], failing: list[str]) -> None:
        results = [(each.submissionTs, f"{each.version}: {each.result:g}") for each in _results(delivery)]
        assert results == [answer for answer in answers if ":" in answer[1]]
        letters = [_told(DeadLetter.FromString(each[1])) for each in _tagged(delivery, DEAD_LETTERS)]
        assert sorted(letters) == sorted(answer for answer in answers if ":" not in answer[1])
        rollbacks = [ModelDescriptor.FromString(each[1]) for each in _tagged(delivery, ROLLBACKS)]
        assert all(each.command == ModelDescriptor.ROLLBACK for each in rollbacks)
        assert [each.version for each in rollbacks] == failing


def _answered(operator: str, wrote: Any) -> list[int]:
    """The numbers of the records that an emitted element is the outcome of."""
    if tag_of(wrote) is DEAD_LETTERS:
        letter = DeadLetter.FromString(wrote[1])
        return [] if letter.topic == "models" else [_told(letter)[0]]
    return [ServingResult.FromString(wrote).submissionTs] if operator in ("serve", "wait") else []


def _results(delivery: Delivery) -> list[ServingResult]:
    return [ServingResult.FromString(each) for each in delivery.emitted if isinstance(each, bytes)]


def _tagged(delivery: Delivery, tag: Any) -> list[Any]:
    return [each for each in delivery.emitted if tag_of(each) is tag]


def _told(letter: DeadLetter) -> Answer:
    if letter.reason == DeadLetter.UNPARSABLE:
        assert letter.payload == JUNK
        return -1, "no record"
    number = SensorReading.FromString(letter.payload).ts
    if letter.reason == DeadLetter.NO_MODEL:
        return number, "no model"
    assert letter.reason == DeadLetter.SCORING_FAILED
    return number, f"{letter.version} fails"


def _payloads(element: Any) -> list[bytes]:
    """The records of a vector, or of a row for keying."""
    if isinstance(element, Row):
        return [payload for batch in _CODEC.unpack(element[1]) for payload in batch.payloads]
    return list(element[0])


def _numbers(vector: tuple[bytes, ...]) -> list[int]:
    return [-1 if payload == JUNK else SensorReading.FromString(payload).ts for payload in vector]


def _by_data_type(payloads: list[bytes]) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for payload in payloads:
        if payload != JUNK:
            reading = SensorReading.FromString(payload)
            found.setdefault(reading.dataType, []).append((reading.ts, reading.temperature))
    return found


def _swap(state: Any, data_type: str, version: str, previous: str) -> str:
    return f"{ModelStatus.State.Name(state)} {data_type} {version} after {previous}"


def _descriptor(message: ModelMessage) -> bytes:
    deploys = message.command is Command.DEPLOY
    return ModelDescriptor(
        name=message.name,
        dataType=message.data_type,
        version=message.version,
        command=message.command.name,
        modeltype=ModelDescriptor.PMML,
        data=message.data if deploys else b"",
    ).SerializeToString()


@pytest.mark.parametrize("variant", ["keyed", "broadcast"])
@settings(
    max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(start=PARALLELISM, events=HISTORIES)
def test_any_interleaving_does_what_the_reference_does(
    settings: ServingSettings,
    monkeypatch: pytest.MonkeyPatch,
    engine: FakeEngine,
    variant: str,
    start: int,
    events: list[tuple[Event, list[int]]],
) -> None:
    engine.comes_back()
    monkeypatch.setattr(keyed, "_HOLD_BACK_S", 0.0)
    for content, script in SCRIPTS.items():
        engine.scripts[content] = replace(script, fields=("temperature",), x="temperature")
    waiting = replace(settings.waiting, limit=LIMIT)
    run = Run(
        replace(settings, keep_versions=KEEP, failure_threshold=THRESHOLD, waiting=waiting),
        engine,
        variant,
        start,
    )
    try:
        for what, choices in events:
            run.happen(what)
            run.steps(choices)
            run.check_models()
        run.drain(sources=True)
        run.happen(BACK)
        run.happen(RETRY)
        run.drain(sources=True)
        run.check_whole()
    finally:
        run.job.close()
    assert engine.live == []
