"""All services of docker/compose.yaml except Kafka's own image, as processes of this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.messaging.connection import connect
from model_serving.messaging.topics import TopicNames
from model_serving.protos.modelstatus_pb2 import ModelStatus
from tests.compose_services import Composed
from tests.job_traffic import Traffic
from tests.jobs import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

OUTPUTS = {
    "keyed": TopicNames(),
    "broadcast": TopicNames(
        results="broadcast-results",
        dead_letters="broadcast-dead-letters",
        status="broadcast-model-status",
        stats="broadcast-model-stats",
    ),
}


def test_both_jobs_serve_what_the_publishers_send(tmp_path: Path) -> None:
    # The broker makes topics of its own when it starts: those of the jobs are left to the service `topics`.
    with (
        EmbeddedBroker(topics=TopicNames().prefixed("unused-")) as kafka,
        Composed(kafka.bootstrap_servers, tmp_path) as composed,
    ):
        assert composed.names == [
            "topics",
            "jobmanager",
            "taskmanager",
            "keyed-job",
            "broadcast-job",
            "publish-models",
            "publish-data",
        ]
        made = set(connect(kafka.kafka).list_topics(timeout=30).topics)
        assert {name for names in OUTPUTS.values() for name in names.all()} <= made
        for variant, topics in OUTPUTS.items():
            with Traffic(variant, kafka.bootstrap_servers, topics, composed.check) as traffic:
                _await_served(traffic)
        composed.stop()


def test_the_server_serves_what_its_publishers_send(tmp_path: Path) -> None:
    topics = TopicNames(
        results="server-results",
        dead_letters="server-dead-letters",
        status="server-model-status",
        stats="server-model-stats",
    )
    with (
        EmbeddedBroker(topics=TopicNames().prefixed("unused-")) as kafka,
        Composed(kafka.bootstrap_servers, tmp_path, profile="server") as composed,
    ):
        assert composed.names == ["server", "server-models", "server-records"]
        with Traffic("server", kafka.bootstrap_servers, topics, composed.check) as traffic:
            _await_served(traffic)
        composed.stop()


def _await_served(traffic: Traffic) -> None:
    def served() -> bool:
        traffic.check()
        active = any(status.state == ModelStatus.ACTIVE for status in traffic.statuses["wine"])
        return active and len(traffic.results["wine"]) >= 100

    def found() -> str:
        return json.dumps(
            {
                "variant": traffic.variant,
                "statuses": [str(status) for status in traffic.statuses["wine"]],
                "results": len(traffic.results["wine"]),
                "dead letters": [letter.detail for letter in traffic.letters[:3]],
            }
        )

    eventually(served, found, within_s=240)
    assert [letter.detail for letter in traffic.letters] == []
