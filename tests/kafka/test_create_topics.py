"""The program of the image that creates the topics, run as the container runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.messaging.connection import connect
from model_serving.messaging.topics import TopicNames, topic_settings

PROGRAM = Path(__file__).resolve().parents[2] / "docker" / "create_topics.py"
KEYED = TopicNames()
BROADCAST = TopicNames(
    results="broadcast-results",
    dead_letters="broadcast-dead-letters",
    status="broadcast-model-status",
    stats="broadcast-model-stats",
)

pytestmark = pytest.mark.kafka


def run(**environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROGRAM)],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def settings_of(admin: AdminClient, topic: str, names: list[str]) -> dict[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    (answer,) = admin.describe_configs([resource]).values()
    found = answer.result(timeout=30)
    return {name: found[name].value for name in names}


@pytest.mark.parametrize("time", ["the first time", "again"])
def test_it_makes_the_topics_of_both_jobs(broker: EmbeddedBroker, time: str) -> None:
    done = run(MODEL_SERVING_BOOTSTRAP_SERVERS=broker.bootstrap_servers)
    wanted = topic_settings(KEYED) | topic_settings(BROADCAST)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", f"topics: {', '.join(sorted(wanted))}\n"), (
        time
    )
    admin = connect(broker.kafka)
    assert {topic: settings_of(admin, topic, list(settings)) for topic, settings in wanted.items()} == wanted


def test_client_properties_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    done = run(MODEL_SERVING_KAFKA_CONFIG=str(tmp_path / "none"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"create_topics: '{tmp_path / 'none'}' cannot be read (No such file or directory)\n"


def test_a_kafka_that_refuses_the_client_is_one_line(tmp_path: Path) -> None:
    properties = tmp_path / "client.properties"
    properties.write_text("security.protocol=SASL_PLAINTEXT\n")
    done = run(MODEL_SERVING_BOOTSTRAP_SERVERS=":::", MODEL_SERVING_KAFKA_CONFIG=str(properties))
    assert done.returncode == 1
    assert done.stderr.startswith("create_topics: --bootstrap-servers ':::' cannot be used")
    assert len(done.stderr.splitlines()) == 1
