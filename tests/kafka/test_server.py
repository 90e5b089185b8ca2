"""``model-serving run`` against Kafka: bounded runs, many and large models, workers, topics of all kinds."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import NewPartitions, NewTopic  # type: ignore[attr-defined]
from google.protobuf.message import Message

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.core.admission.signing import sign
from model_serving.messaging.connection import connect
from model_serving.messaging.topics import TopicNames
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modelstatus_pb2 import ModelStatus
from tests.job_models import SAMPLES, constant_model, constant_pmml, sample_records
from tests.job_serving import fresh_topics
from tests.job_traffic import Traffic
from tests.jobs import ServerRun, eventually, marked_processes, server_flags
from tests.patience import patience
from tests.producers import CODECS, send_compressed
from tests.statistics_topic import assert_statistics_agree

pytestmark = pytest.mark.kafka

MANY_MODELS = int(os.environ.get("MODEL_SERVING_MANY_MODELS", "2000"))
KEY = b"a key of at least sixteen bytes"


def flags_of(broker: EmbeddedBroker, topics: TopicNames, *more: str) -> list[str]:
    return [*server_flags(broker.bootstrap_servers, topics, topics.models), *more]


def ended_with(run: ServerRun, *, within_s: float = 90) -> str:
    """Waits for an end without an error, and returns the printed text."""
    assert run.await_end(within_s=within_s) == 0, run.printed()
    assert run.left_over() == []
    return run.printed()


def producing(broker: EmbeddedBroker, topics: TopicNames) -> Traffic:
    """Traffic of a producer that does not wait for a server."""
    return Traffic("producer", broker.bootstrap_servers, topics, lambda: None)


def all_of(broker: EmbeddedBroker, topics: TopicNames) -> Traffic:
    """Everything that is in the output topics now."""
    with producing(broker, topics) as traffic:
        traffic.await_end()
    return traffic


def test_two_bounded_processes_share_every_record_and_end(broker: EmbeddedBroker, tmp_path: Path) -> None:
    """Models lie behind the data, in two partitions; aborted messages and every compression are among it."""
    topics = fresh_topics(broker, partitions=3, of_models=3)
    send_compressed(broker, topics)
    abort_some(broker, topics)
    bad = [b"", b"\xff"]
    with producing(broker, topics) as traffic:
        records: list[Message | bytes] = [*sample_records("glm", 900), *sample_records("orphan", 150), *bad]
        traffic.send(*records)
        traffic.offer(SAMPLES["glm"].message("glm"), constant_model("late", 2.0))
        traffic.send(*sample_records("late", 30))
    flags = flags_of(broker, topics, "--bounded", "--delivery", "exactly-once")
    with (
        ServerRun(flags, tmp_path / "one.log") as one,
        ServerRun([*flags, "--name", "two"], tmp_path / "two.log") as two,
    ):
        printed = ended_with(one) + ended_with(two)
    assert printed.count("finished") == 2
    traffic = all_of(broker, topics)
    found = {data_type: sorted(one.submissionTs for one in of) for data_type, of in traffic.results.items()}
    assert found == {
        "glm": list(range(1, 901)),
        "late": list(range(1, 31)),
        **{codec: list(range(1, 21)) for codec in CODECS},
    }
    letters = Counter((letter.reason, letter.dataType) for letter in traffic.letters)
    assert letters == {
        (DeadLetter.NO_MODEL, "orphan"): 150,
        (DeadLetter.INVALID_RECORD, ""): 1,
        (DeadLetter.UNPARSABLE, ""): 1,
    }
    assert {data_type: [one.state for one in of] for data_type, of in traffic.statuses.items()} == {
        data_type: [ModelStatus.ACTIVE] for data_type in ("glm", "late", *CODECS)
    }
    assert_statistics_agree(broker, traffic)
    sample = SAMPLES["glm"]
    first = sorted(traffic.results["glm"], key=lambda one: one.submissionTs)[: len(sample.expected)]
    assert [one.result for one in first] == pytest.approx(sample.expected, abs=sample.tolerance)


def abort_some(broker: EmbeddedBroker, topics: TopicNames) -> None:
    """Writes models and records that a transaction takes back."""
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "log_level": 0, "transactional.id": topics.data}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topics.models, constant_model("aborted", 1.0).SerializeToString())
    for record in sample_records("glm", 5, first_ts=100_000):
        producer.produce(topics.data, record.SerializeToString())
    assert producer.flush(30) == 0
    producer.abort_transaction(30)


def test_a_start_with_many_models_takes_seconds(
    broker: EmbeddedBroker, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    topics = fresh_topics(broker)
    models = [constant_model(f"type-{number}", number) for number in range(MANY_MODELS)]
    with (
        ServerRun(flags_of(broker, topics), tmp_path / "first.log") as first,
        Traffic("server", broker.bootstrap_servers, topics, first.check) as traffic,
    ):
        traffic.offer(*models)
        eventually(
            lambda: len(traffic.statuses) == MANY_MODELS,
            lambda: f"{len(traffic.statuses)} of {MANY_MODELS} models",
            within_s=60 + MANY_MODELS / 20,
        )
    start_s = time.monotonic()
    with (
        ServerRun(flags_of(broker, topics), tmp_path / "second.log") as second,
        Traffic("server", broker.bootstrap_servers, topics, second.check) as traffic,
    ):
        took_s = time.monotonic() - start_s
        memory = psutil.Process(second.process.pid).memory_info().rss
        traffic.send(
            *(record for number in (0, MANY_MODELS - 1) for record in sample_records(f"type-{number}", 3))
        )
        for number in (0, MANY_MODELS - 1):
            results = traffic.await_results(f"type-{number}", 3)
            assert [one.result for one in results] == [float(number)] * 3
        # No model is published again, and none is confirmed again.
        assert set(map(len, traffic.statuses.values())) == {1}
    knows = re.search(rf"knows {MANY_MODELS} data types from '[^']+' \(([\d.]+) s\)", second.printed())
    assert knows is not None, second.printed()
    print(f"\n{MANY_MODELS} models: known after {knows[1]} s, served after {took_s:.1f} s, {memory >> 20} MB")
    record_property(f"start with {MANY_MODELS} models: seconds, MB", (float(knows[1]), memory >> 20))
    assert float(knows[1]) < patience(10 + MANY_MODELS / 500)
    assert memory < 300 << 20


class Workers:
    """A server of two workers; the tests of this class share it."""

    def __init__(self, run: ServerRun, traffic: Traffic) -> None:
        self.run = run
        self.traffic = traffic

    def pids(self) -> dict[str, int]:
        """The workers by name."""
        found = {}
        for line in marked_processes(self.run.mark):
            pid = int(line.split()[0])
            words = psutil.Process(pid).cmdline()
            if pid != self.run.process.pid and "--name" in words:
                found[words[-1]] = pid
        return found

    def partitions(self) -> set[int]:
        """The partitions that the workers have said last that they read."""
        line = re.compile(r"^\S+ (\S+): reads partitions (.*) of '", re.MULTILINE)
        said = dict(line.findall(self.run.printed()))
        return {int(place) for places in said.values() for place in re.findall(r"\d+", places)}


def test_workers_share_the_partitions_and_are_started_again_and_end(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    topics = fresh_topics(broker, partitions=4)
    flags = flags_of(
        broker, topics, "--workers", "2", "--delivery", "exactly-once",
        "--partition-discovery-interval-ms", "1000",
    )  # fmt: skip
    with (
        ServerRun(flags, tmp_path / "job.log") as run,
        Traffic("server", broker.bootstrap_servers, topics, run.check) as traffic,
    ):
        workers = Workers(run, traffic)
        eventually(lambda: workers.partitions() == {0, 1, 2, 3}, run.printed, within_s=60)
        traffic.serve(SAMPLES["glm"].message("wine"))
        traffic.send(*sample_records("wine", 400))
        traffic.await_results("wine", 400)

        before = workers.pids()
        assert sorted(before) == ["one-0", "one-1"]
        os.kill(before["one-1"], signal.SIGKILL)
        traffic.send(*sample_records("wine", 400, first_ts=401))
        traffic.await_results("wine", 800, within_s=90)
        eventually(
            lambda: workers.pids().get("one-1", before["one-1"]) != before["one-1"], run.printed, within_s=60
        )
        traffic.serve(constant_model("wine", 7.0))

        # The topic gains partitions, which are read within a few looks.
        admin = connect(broker.kafka)
        admin.create_partitions([NewPartitions(topics.data, 6)])[topics.data].result(30)
        eventually(lambda: workers.partitions() == set(range(6)), run.printed, within_s=60)
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
        for partition in (4, 5):
            for record in sample_records("wine", 10, first_ts=801 + 10 * (partition - 4)):
                producer.produce(topics.data, record.SerializeToString(), partition=partition)
        assert producer.flush(30) == 0
        results = traffic.await_results("wine", 820)
        assert sorted(one.submissionTs for one in results) == list(range(1, 821))
        assert {one.version for one in results if one.submissionTs > 800} == {"v7"}
        start_s = time.monotonic()
        assert run.stop() == 0
        print(f"\ntwo workers ended in {time.monotonic() - start_s:.1f} s")
        assert run.left_over() == []

    # Workers whose parent is killed end by themselves.
    with ServerRun(flags, tmp_path / "killed.log") as run:
        run.process.kill()
        run.await_end(within_s=10)
        eventually(lambda: run.left_over() == [], lambda: f"left: {run.left_over()}", within_s=60)


@pytest.fixture(scope="module")
def odd_topics(broker: EmbeddedBroker) -> TopicNames:
    """Topics with Kafka's default sizes, but for models; those have two partitions, and records lie there."""
    names = TopicNames().prefixed(f"s{uuid4().hex[:8]}-")
    wanted = [
        NewTopic(
            topic,
            num_partitions=2 if topic == names.models else 1,
            replication_factor=1,
            config={"max.message.bytes": str(34 << 20 if topic == names.models else 1_048_588)},
        )
        for topic in names.all()
    ]
    admin = connect(broker.kafka)
    for made in admin.create_topics(wanted).values():
        made.result(timeout=30)
    with producing(broker, names) as traffic:
        traffic.send(*sample_records("wine", 5, first_ts=1_000))
        traffic.offer(constant_model("before", 1.0), constant_model("before", 2.0))
    return names


@pytest.fixture(scope="module")
def odd(
    broker: EmbeddedBroker, odd_topics: TopicNames, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Traffic]:
    """A server that starts at the end of the topics, takes signed models only, and finds no Java."""
    folder = tmp_path_factory.mktemp("odd")
    key_file = folder / "keys"
    key_file.write_text(KEY.hex() + "\n")
    empty = folder / "bin"
    empty.mkdir()
    flags = flags_of(
        broker, odd_topics, "--starting-offsets", "latest", "--model-key-file", str(key_file),
        "--log-format", "text",
    )  # fmt: skip
    environ = {"PATH": str(empty), "JAVA_HOME": ""}
    with (
        ServerRun(flags, folder / "job.log", environ=environ) as run,
        Traffic("server", broker.bootstrap_servers, odd_topics, run.check) as traffic,
    ):
        yield traffic


def signed(model: Message) -> bytes:
    return sign(model.SerializeToString(), KEY)


def serve_signed(traffic: Traffic, model: Message) -> ModelStatus:
    data_type = str(getattr(model, "dataType"))  # noqa: B009 - as in Traffic.serve
    before = len(traffic.statuses[data_type])
    traffic.offer(signed(model))
    status = traffic.await_statuses(data_type, before + 1)[-1]
    assert status.state == ModelStatus.ACTIVE, status
    return status


def test_what_lay_there_before_is_not_read_with_latest(odd: Traffic) -> None:
    serve_signed(odd, constant_model("wine", 3.0))
    odd.send(*sample_records("wine", 5))
    assert sorted(one.submissionTs for one in odd.await_results("wine", 5)) == [1, 2, 3, 4, 5]
    assert odd.statuses["before"] == []


def test_models_come_from_every_partition_and_only_signed_ones(odd: Traffic) -> None:
    for number in range(8):
        serve_signed(odd, constant_model("spread", float(number)))
    odd.offer(constant_model("unsigned", 1.0))
    # Nothing in a message without a signature is believed, its data type neither.
    (status,) = odd.await_statuses("", 1)
    assert status.state == ModelStatus.REJECTED
    assert status.detail == "the model message is not signed: publish it with --model-key-file"


@pytest.mark.parametrize("key", ["glm", "forest", "onnx"])
def test_samples_are_served_without_java(odd: Traffic, key: str) -> None:
    found = [name for name in SAMPLES if key in name]
    assert found, f"a sample named {key}: {sorted(SAMPLES)}"
    sample = SAMPLES[found[0]]
    serve_signed(odd, sample.message(f"sample-{key}"))
    odd.send(*sample_records(f"sample-{key}", len(sample.expected)))
    results = odd.await_results(f"sample-{key}", len(sample.expected))
    assert [one.result for one in results] == pytest.approx(sample.expected, abs=sample.tolerance)


@pytest.mark.parametrize("how", ["location", "message"])
def test_a_large_model_by_location_and_by_message(odd: Traffic, tmp_path: Path, how: str) -> None:
    """Its content lies in the state topic in parts, because that takes messages of a megabyte."""
    content = constant_pmml(5.0, padding=20 << 20)
    data_type = f"large-{how}"
    if how == "location":
        (tmp_path / "large.pmml").write_bytes(content)
        place: dict[str, Any] = {"location": str(tmp_path / "large.pmml")}
    else:
        place = {"data": content}
    # A signed message with a location must name the content.
    model = constant_model(data_type, 5.0, sha256=hashlib.sha256(content).hexdigest())
    model.ClearField("data")
    model.MergeFrom(type(model)(**place))
    status = serve_signed(odd, model)
    assert (status.size, status.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    odd.send(*sample_records(data_type, 2))
    assert [one.result for one in odd.await_results(data_type, 2)] == [5.0, 5.0]


def test_letters_that_their_topic_does_not_take_are_cut(odd: Traffic) -> None:
    bad = signed(constant_model("cut", 2.0, data=b"<" + b"x" * 2_000_000))
    odd.offer(bad)
    odd.await_statuses("cut", 1)
    (letter,) = odd.await_letters_of("cut", 1)
    assert letter.reason == DeadLetter.MODEL_REJECTED
    assert bad.startswith(letter.payload)
    assert f"the payload is cut: {len(letter.payload)} of {len(bad)} bytes" in letter.detail


def test_a_state_topic_with_other_partitions_is_refused_in_one_line(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    topics = fresh_topics(broker)
    state = f"{topics.models}-state"
    admin = connect(broker.kafka)
    admin.create_topics([NewTopic(state, num_partitions=3)])[state].result(30)
    run = ServerRun(flags_of(broker, topics), tmp_path / "job.log")
    with pytest.raises(AssertionError), run:
        pass
    assert run.process.returncode == 1
    assert run.printed().splitlines()[-1] == (
        f"model-serving run: the topic '{state}' has 3 partitions and a state topic has 2: name another one "
        "(--state-topic), which is created if it does not exist"
    )
