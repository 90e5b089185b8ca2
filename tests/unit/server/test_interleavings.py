"""Members of a server serve as one, for any order of models, records, kills and moves of partitions."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_serving.core.state import decode_activation
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.protos.servingresult_pb2 import ServingResult
from model_serving.protos.winerecord_pb2 import WineRecord
from model_serving.server.entries import Kind
from model_serving.testing import FakeClock, FakeEngine, Script
from tests.interleavings import examples
from tests.unit.server.cluster import DATA_PARTITIONS, TOPICS, Cluster, clusters

NAMES = ("one", "two", "three")
NAME = st.sampled_from(NAMES)
DATA_TYPE = st.sampled_from(["wine", "beer"])
KILL_POINTS = ("before offsets", "before a commit", "after a commit", "while output is held")
COMMANDS = st.sampled_from(["DEPLOY"] * 6 + ["DOES NOT LOAD", "REMOVE", "ROLLBACK"])


@dataclass(frozen=True)
class Do:
    """Calls a method of the cluster."""

    what: str
    who: str = ""


@dataclass(frozen=True)
class Model:
    """Publishes a model message."""

    data_type: str
    command: str


@dataclass(frozen=True)
class Records:
    """Writes records, each with the number of the next."""

    data_type: str
    partition: int
    count: int


@dataclass(frozen=True)
class Share:
    """Moves the partitions."""

    owners: tuple[str, ...]


Event = Do | Model | Records | Share
STEPS = st.builds(
    Do, st.sampled_from(["follow", "follow a little", "serve", "serve", "commit", "admit", "admit"]), NAME
)
CHANGES = st.builds(
    Do,
    st.sampled_from(["start", "kill", "expire", "elect", "lose", "tick", *KILL_POINTS]),
    NAME,
)
MODELS = st.builds(Model, DATA_TYPE, COMMANDS)
RECORDS = st.builds(Records, DATA_TYPE, st.integers(0, DATA_PARTITIONS - 1), st.integers(1, 3))
SHARES = st.builds(Share, st.tuples(*[NAME] * DATA_PARTITIONS))
ROUND = Do("a round of all")
BURSTS = st.one_of(
    st.tuples(STEPS | CHANGES | MODELS | RECORDS | SHARES | st.just(ROUND)),
    st.tuples(MODELS, st.just(ROUND), STEPS),
    # Something happens while a transaction is open.
    st.tuples(RECORDS, st.just(ROUND), CHANGES | SHARES),
    st.tuples(RECORDS, st.just(ROUND), NAME.map(lambda name: Do("lose", name))),
    # It happens while a transaction is being committed and more records are scored.
    st.tuples(
        RECORDS, st.just(ROUND), RECORDS, st.just(ROUND), RECORDS, st.just(ROUND), STEPS | CHANGES | SHARES
    ),
    # A process that has read nothing yet takes office.
    NAME.map(lambda name: (Do("start", name), Do("elect", name), Do("admit"))),
)
HISTORIES = st.lists(BURSTS, min_size=5, max_size=30).map(
    lambda bursts: [each for burst in bursts for each in burst]
)


class Run:
    """A cluster, and what was sent to it."""

    def __init__(self, cluster: Cluster, engine: FakeEngine) -> None:
        self.cluster = cluster
        self._engine = engine
        self.sent: list[tuple[int, str, int]] = []
        self.models: Counter[str] = Counter()
        cluster.start("one")
        cluster.elect("one")
        cluster.start("two")
        for _ in range(2):
            self.happen(ROUND)
        self.happen(Share(("one", "two", "two")))
        self.happen(ROUND)

    def happen(self, event: Event) -> None:
        kafka, cluster = self.cluster.kafka, self.cluster
        if isinstance(event, Model):
            self.models[event.data_type] += 1
            kafka.append((TOPICS.models, 0), None, self._message(event).SerializeToString())
        elif isinstance(event, Records):
            for _ in range(event.count):
                number = len(self.sent) + 1
                self.sent.append((number, event.data_type, event.partition))
                record = WineRecord(dataType=event.data_type, ts=number, alcohol=1.0)
                kafka.append((TOPICS.data, event.partition), None, record.SerializeToString())
        elif isinstance(event, Share):
            cluster.share(event.owners)
        else:
            self._do(event)

    def _do(self, event: Do) -> None:
        cluster, who = self.cluster, event.who
        if event.what in KILL_POINTS:
            cluster.kill_at = event.what
        elif event.what == "tick":
            cluster.seconds.now += 1
        elif event.what == "follow a little":
            cluster.follow(who, 1)
        elif event.what == "a round of all":
            cluster.seconds.now += 1
            cluster.admit()
            for name in list(cluster.processes):
                cluster.follow(name)
                cluster.serve(name)
        elif event.what in ("expire", "admit"):
            getattr(cluster, event.what)()
        else:
            getattr(cluster, event.what)(who)

    def _message(self, event: Model) -> ModelDescriptor:
        number = sum(self.models.values())
        if event.command in ("REMOVE", "ROLLBACK"):
            return ModelDescriptor(dataType=event.data_type, command=event.command)
        content = f"{event.command} {number}".encode()
        broken = "not a model" if event.command != "DEPLOY" else ""
        self._engine.scripts[content] = Script(fields=("alcohol",), x="alcohol", load_error=broken)
        return ModelDescriptor(
            name="model", dataType=event.data_type, modeltype="PMML", version=f"v{number}", data=content
        )

    def check_records(self, *, exactly_once: bool) -> None:
        """Each record is answered, or waits for a model that its data type does not have."""
        kafka = self.cluster.kafka
        results = [ServingResult.FromString(one.value() or b"") for one in kafka.committed(TOPICS.results)]
        answers = Counter(one.submissionTs for one in results)
        serving = {
            data_type: decode_activation(value).model is not None
            for _, data_type, value in self.cluster.entries(Kind.ACTIVATION)
            if value
        }
        expected = {number for number, data_type, _ in self.sent if serving.get(data_type)}
        unanswered = [number for number in expected if not answers[number]]
        assert unanswered == [], "records without a result"
        if exactly_once:
            assert [number for number, times in answers.items() if times > 1] == [], "doubled"
            self._check_order(results)
        letters = [DeadLetter.FromString(one.value() or b"") for one in kafka.committed(TOPICS.dead_letters)]
        assert [letter for letter in letters if letter.topic == TOPICS.data] == []

    def _check_order(self, results: list[ServingResult]) -> None:
        """Records of a partition and data type are answered in their order."""
        places = {number: (data_type, partition) for number, data_type, partition in self.sent}
        last: dict[tuple[str, int], int] = defaultdict(int)
        for result in results:
            place = places[result.submissionTs]
            assert result.submissionTs > last[place], f"{place} is out of order"
            last[place] = result.submissionTs

    def check_models(self, *, repeated: bool) -> None:
        """Each message has one status, ACTIVE in order; no result is older than a status, or too new.

        ``repeated``: results may have been written again later, because a rebalance overtook their commit. So
        it is the record that must not be sent after the status.
        """
        kafka = self.cluster.kafka
        activations: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
        for number, data_type, value in self.cluster.entries(Kind.ACTIVATION):
            order = decode_activation(value or b"")
            activations[data_type].append(
                (number, order.sequence, order.model.version if order.model else "")
            )
        said: dict[str, list[tuple[int, ModelStatus]]] = defaultdict(list)
        for message in kafka.committed(TOPICS.status):
            status = ModelStatus.FromString(message.value() or b"")
            if not status.waiting:
                said[status.dataType].append((message.number, status))
        assert {data_type: len(statuses) for data_type, statuses in said.items()} == dict(self.models)
        for data_type, orders in activations.items():
            swaps = [pair for pair in said[data_type] if pair[1].state != ModelStatus.REJECTED]
            shown = [status.version if status.state == ModelStatus.ACTIVE else "" for _, status in swaps]
            assert shown == [version for _, _, version in orders]
            for result_number, sent, version in self._results(data_type):
                before = sum(number < (sent if repeated else result_number) for number, _ in swaps)
                known = sum(number < result_number for number, _, _ in orders)
                allowed = [version for _, _, version in orders[max(0, before - 1) : known]]
                assert version in allowed, f"{data_type}: {version} of {allowed}"

    def _results(self, data_type: str) -> list[tuple[int, int, str]]:
        """The numbers of the messages of each result and of its record, and the version."""
        kafka = self.cluster.kafka
        sent = {
            WineRecord.FromString(one.payload or b"").ts: one.number for one in kafka.committed(TOPICS.data)
        }
        found = [
            (message.number, ServingResult.FromString(message.value() or b""))
            for message in kafka.committed(TOPICS.results)
        ]
        return [
            (number, sent[one.submissionTs], one.version)
            for number, one in found
            if one.dataType == data_type
        ]


@pytest.mark.parametrize("exactly_once", [True, False], ids=["exactly-once", "at-least-once"])
@settings(max_examples=examples(80), deadline=None)
@given(events=HISTORIES, hold_at=st.sampled_from(["before offsets", "before a commit"]))
def test_any_interleaving_serves_as_one(exactly_once: bool, events: list[Event], hold_at: str) -> None:
    engine = FakeEngine(FakeClock())
    with clusters(engine, exactly_once=exactly_once) as cluster:
        cluster.hold_at = hold_at
        run = Run(cluster, engine)
        for event in events:
            run.happen(event)
        cluster.drain()
        run.check_records(exactly_once=exactly_once)
        run.check_models(repeated=hold_at == "before offsets")
