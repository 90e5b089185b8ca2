"""The client against a real Kafka: what is published is what is read."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Producer

from model_serving.client import cli
from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.client.demo.run import DemoRun
from model_serving.client.demo.screen import choose_screen
from model_serving.client.model_messages import models_at, models_of_samples
from model_serving.client.ports import free_port, is_free
from model_serving.client.record_files import (
    DEFAULT_RECORD_TYPE,
    load_record_type,
    read_record_file,
    read_records,
)
from model_serving.client.samples import sample_records
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import connect
from model_serving.messaging.receiving import Start, TopicReader
from model_serving.messaging.sending import Sender
from model_serving.messaging.sources import SOURCE_HEADER
from model_serving.messaging.topics import TopicNames
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.servingresult_pb2 import ServingResult
from model_serving.protos.winerecord_pb2 import WineRecord
from tests.kafka.fake_job import FakeJob
from tests.patience import Patience

pytestmark = pytest.mark.kafka

ROOT = Path(cli.__file__).parents[2]

Command = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def command(
    broker: EmbeddedBroker,
    topics: TopicNames,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Command:
    """Runs ``model-serving`` in this process on the test's own topics; gives status and printed lines."""
    monkeypatch.setattr("signal.signal", lambda *_: None)
    for name, value in environment(broker, topics).items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> tuple[int, list[str]]:
        status = cli.main(arguments)
        return status, capsys.readouterr().out.splitlines()

    return run


def environment(broker: EmbeddedBroker, topics: TopicNames) -> dict[str, str]:
    return {
        "MODEL_SERVING_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "MODEL_SERVING_MODELS_TOPIC": topics.models,
        "MODEL_SERVING_DATA_TOPIC": topics.data,
        "MODEL_SERVING_RESULTS_TOPIC": topics.results,
        "MODEL_SERVING_DEAD_LETTER_TOPIC": topics.dead_letters,
        "MODEL_SERVING_STATUS_TOPIC": topics.status,
    }


def started(arguments: list[str], environ: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "model_serving.client.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_model_of_20_mb_arrives_whole(command: Command, topics: TopicNames, tmp_path: Path) -> None:
    content = b"<PMML version='4.3'><!--" + os.urandom(10_000_000).hex().encode() + b"--></PMML>"
    file = tmp_path / "large.pmml"
    file.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    assert command("publish-models", "--once", str(file)) == (
        0,
        [f"published large as PMML for 'wine', {len(content):,} bytes, version {digest[:12]}"],
    )
    status, lines = command("read", topics.models, "--from-beginning", "--count", "1", "--json")
    assert (status, len(lines)) == (0, 1)
    value = json.loads(lines[0])
    assert base64.b64decode(value["data"]) == content
    assert (value["modeltype"], value["sha256"], value["kafka"]["offset"]) == ("PMML", digest, 0)


def test_records_arrive_in_order_each_with_its_time(
    command: Command, broker: EmbeddedBroker, topics: TopicNames
) -> None:
    before = time.time_ns() // 1_000_000
    assert command("publish-data", "--rate", "200", "--count", "100") == (
        0,
        [f"sent 100 records to '{topics.data}'"],
    )
    after = time.time_ns() // 1_000_000
    with TopicReader(broker.kafka, [topics.data], start=Start.BEGINNING) as reader:
        records = [WineRecord.FromString(one.payload) for one in reader.until_end()]
    times = [record.ts for record in records]
    assert times == sorted(times)
    assert before <= times[0]
    assert times[-1] <= after
    # The last of 100 at 200 a second is due after 495 ms.
    assert times[-1] - times[0] >= 480
    for record in records:
        record.ClearField("ts")
    wanted = read_records(sample_records(), load_record_type(DEFAULT_RECORD_TYPE), "wine")[:100]
    assert [record.SerializeToString() for record in records] == wanted


def test_a_high_rate_is_kept(command: Command, broker: EmbeddedBroker, topics: TopicNames) -> None:
    assert command("publish-data", "--rate", "20000", "--count", "40000", "--loop")[0] == 0
    with TopicReader(broker.kafka, [topics.data], start=Start.BEGINNING) as reader:
        times = [WineRecord.FromString(one.payload).ts for one in reader.until_end()]
    assert len(times) == 40_000
    assert 1_900 <= times[-1] - times[0] <= 4_000


def test_reading_shows_what_comes_after_its_start_and_joins_no_group(
    command: Command, broker: EmbeddedBroker, topics: TopicNames
) -> None:
    command("publish-data", "--count", "1")
    reader = started(["read", topics.data, "--json"], environment(broker, topics))
    try:
        assert reader.stderr is not None
        assert reader.stdout is not None
        assert reader.stderr.readline() == f"reading '{topics.data}' from now on; Ctrl-C stops\n"
        command("publish-data", "--count", "2", "--rate", "1000")
        assert [json.loads(reader.stdout.readline())["kafka"]["offset"] for _ in range(2)] == [1, 2]
        # The client needs a name, because an admin client that is collected never answers.
        admin = connect(broker.kafka)
        groups = admin.list_consumer_groups().result(timeout=10)
        assert [group.group_id for group in groups.valid if "model-serving-read" in group.group_id] == []
        reader.send_signal(signal.SIGINT)
        assert (reader.wait(20), reader.stdout.read(), reader.stderr.read()) == (0, "", "")
    finally:
        reader.kill()
        reader.communicate()


def test_a_result_that_was_written_twice_is_read_once(
    command: Command, broker: EmbeddedBroker, topics: TopicNames
) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    written = [("mdata/0/7", 7), ("mdata/0/5", 5), ("mdata/0/7", 7), ("mdata/1/7", 17), (None, 1), (None, 1)]
    for source, result in written:
        headers: dict[str, str | bytes | None] = {} if source is None else {SOURCE_HEADER: source}
        producer.produce(topics.results, ServingResult(result=result).SerializeToString(), headers=headers)
    assert producer.flush(30) == 0
    reading = ("read", topics.results, "--from-beginning", "--json", "--count")
    status, lines = command(*reading, "5", "--distinct")
    found = [json.loads(line) for line in lines]
    # Results that do not say which record they belong to are never left out.
    assert (status, [one["result"] for one in found]) == (0, [7, 5, 17, 1, 1])
    assert [one["kafka"].get("source") for one in found] == [
        "mdata/0/7",
        "mdata/0/5",
        "mdata/1/7",
        None,
        None,
    ]
    status, lines = command(*reading, "6")
    assert [json.loads(line)["result"] for line in lines] == [result for _, result in written]


def test_what_is_no_message_of_the_topic_is_shown_as_such(
    command: Command, broker: EmbeddedBroker, topics: TopicNames
) -> None:
    with Sender(broker.kafka, topics.results) as sender:
        sender.send(b"\xff\x00")
    status, lines = command("read", topics.results, "--from-beginning", "--count", "1", "--json")
    value = json.loads(lines[0])
    assert (status, len(lines)) == (0, 1)
    assert (value["error"], base64.b64decode(value["payload"])) == ("not a ServingResult", b"\xff\x00")
    status, lines = command("read", topics.results, "--from-beginning", "--count", "1")
    assert (status, lines) == (0, ["(partition 0, offset 0: 2 bytes of another kind)"])


def test_commands_and_locations_are_published(
    command: Command, broker: EmbeddedBroker, topics: TopicNames, tmp_path: Path
) -> None:
    file = tmp_path / "m.pmml"
    file.write_bytes(b"<PMML/>")
    assert command("publish-models", "--once", "--by-location", str(file))[0] == 0
    assert command("rollback", "beer")[0] == 0
    assert command("remove", "wine")[0] == 0
    with TopicReader(broker.kafka, [topics.models], start=Start.BEGINNING) as reader:
        sent = [ModelDescriptor.FromString(one.payload) for one in reader.until_end()]
    assert [(one.dataType, one.command, one.location) for one in sent] == [
        ("wine", ModelDescriptor.DEPLOY, str(file)),
        ("beer", ModelDescriptor.ROLLBACK, ""),
        ("wine", ModelDescriptor.REMOVE, ""),
    ]


def test_status_shows_what_serves_and_what_it_replaced(
    command: Command, broker: EmbeddedBroker, topics: TopicNames, tmp_path: Path
) -> None:
    assert command("status") == (
        0,
        ["no job has reported a model yet: publish one (`model-serving publish-models`)"],
    )
    assert command("status", "wine") == (1, [])
    digests = []
    for name in ("one", "two", "bad"):
        (tmp_path / f"{name}.pmml").write_bytes(f"<PMML id='{name}'/>".encode())
        digests.append(hashlib.sha256((tmp_path / f"{name}.pmml").read_bytes()).hexdigest()[:12])
        command("publish-models", "--once", str(tmp_path / f"{name}.pmml"))
    with (
        TopicReader(broker.kafka, [topics.status], start=Start.BEGINNING) as statuses,
        FakeJob(broker.kafka, topics),
    ):
        seen, wait = 0, Patience(30)
        while seen < 3 and not wait.is_over:
            seen += len(statuses.poll(0.1))
    assert seen == 3
    status, lines = command("status", "wine", "--json")
    shown = json.loads(lines[0])
    assert (status, len(lines)) == (0, 1)
    assert (shown["state"], shown["name"], shown["version"], shown["previous"]) == (
        "ACTIVE",
        "two",
        digests[1],
        digests[0],
    )
    assert (shown["rejected"]["name"], shown["rejected"]["detail"]) == ("bad", "it is bad")
    status, lines = command("status")
    assert (status, len(lines)) == (0, 1)
    assert f"model=two  version={digests[1]}  replaced={digests[0]}" in lines[0]


def test_the_demo_counts_every_record_and_every_model(
    broker: EmbeddedBroker, topics: TopicNames, capsys: pytest.CaptureFixture[str]
) -> None:
    models = models_of_samples("wine")
    record_type = load_record_type(DEFAULT_RECORD_TYPE)
    records = itertools.cycle(read_record_file(sample_records(), record_type, "wine").records)
    screen = choose_screen()
    with (
        FakeJob(broker.kafka, topics),
        DemoRun(broker.kafka, topics, "wine", screen, check=lambda: None) as run,
    ):
        run.prepare(models)
        run.stream(models, records, record_type, rate=200, seconds=4)
    assert run.failures(models) == []
    assert run.sent == run.tally.results
    assert run.sent >= 600
    assert [swap.name for swap in run.tally.swaps] == [model.name for model in models]
    screen.summarize(run.tally, sent=run.sent)
    shown = capsys.readouterr().out
    assert f"{run.sent:,} records sent = {run.sent:,} results + 0 dead letters; {len(models)} models" in shown
    assert all(f"now serving {model.name} " in shown for model in models)


def test_the_demo_notices_what_does_not_come_back(
    broker: EmbeddedBroker, topics: TopicNames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_serving.client.demo.run._DRAIN_SILENCE_S", 1.0)
    for name in ("one", "bad"):
        (tmp_path / f"{name}.pmml").write_bytes(f"<PMML id='{name}'/>".encode())
    models = models_at([tmp_path / "one.pmml", tmp_path / "bad.pmml"])
    record_type = load_record_type(DEFAULT_RECORD_TYPE)
    records = itertools.cycle(read_record_file(sample_records(), record_type, "wine").records)
    with (
        FakeJob(broker.kafka, topics, lose_every=10),
        DemoRun(broker.kafka, topics, "wine", choose_screen(), check=lambda: None) as run,
    ):
        run.stream(models, records, record_type, rate=100, seconds=1)
    lost = run.sent // 10
    assert run.failures(models) == [
        "1 models were rejected, the first: it is bad",
        f"{run.sent:,} records were sent and {run.sent - lost:,} came back",
        "no result came from bad",
    ]


def test_the_broker_command_runs_until_it_is_told_to_end_and_leaves_nothing(tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / "kafka"
    running = started(["broker", "--port", str(port), "--data-dir", str(folder)], {})
    family: list[psutil.Process] = []
    try:
        assert running.stdout is not None
        assert f"Kafka runs at 127.0.0.1:{port}" in running.stdout.readline()
        family = psutil.Process(running.pid).children(recursive=True)
        assert sorted(connect(KafkaAccess(f"127.0.0.1:{port}")).list_topics(timeout=10).topics) == sorted(
            TopicNames().all()
        )
        second = started(["broker", "--port", str(port)], {})
        out, err = second.communicate(timeout=30)
        assert (second.returncode, out, err.count("\n")) == (1, "", 1)
        assert f"port {port} is taken by another program" in err
        running.send_signal(signal.SIGINT)
        assert (running.wait(40), running.stderr.read() if running.stderr else None) == (0, "")
    finally:
        running.kill()
        running.communicate()
    assert [process.pid for process in family if process.is_running()] == []
    assert not folder.exists()
    assert is_free(port)


def test_a_kept_broker_still_has_its_messages(tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / "kafka"
    names = TopicNames()
    environ = {"MODEL_SERVING_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}"}
    for sent in (1, 2):
        running = started(["broker", "--data-dir", str(folder), "--keep"], environ)
        try:
            assert running.stdout is not None
            assert f"127.0.0.1:{port}" in running.stdout.readline()
            command = started(["publish-data", "--count", "1"], environ)
            assert command.communicate(timeout=30) == ("sent 1 records to 'mdata'\n", "")
            with TopicReader(KafkaAccess(f"127.0.0.1:{port}"), [names.data], start=Start.BEGINNING) as reader:
                assert len(list(reader.until_end())) == sent
            running.send_signal(signal.SIGTERM)
            assert running.wait(40) == 0
        finally:
            running.kill()
            running.communicate()
