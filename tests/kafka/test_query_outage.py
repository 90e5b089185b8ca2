"""The query server while Kafka is away, when it comes back, and when it comes back without its data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from model_serving.client.broker.embedded import EmbeddedBroker, Retention
from model_serving.client.ports import free_port
from model_serving.client.web_publishing import WebPublisher
from model_serving.messaging.sending import Sender
from model_serving.query.config import parse_config
from model_serving.query.run import open_service, topics_of
from model_serving.query.service import QueryService
from tests.jobs import eventually
from tests.unit.observe.sent import active, letter

pytestmark = pytest.mark.kafka

ROUTES = (
    "/processors",
    "/state/wine",
    "/api/v1/data-types",
    "/api/v1/data-types/wine",
    "/api/v1/data-types/wine/versions",
    "/api/v1/data-types/wine/series",
    "/api/v1/dead-letters",
)


def service_for(broker: EmbeddedBroker) -> QueryService:
    config = parse_config(["--bootstrap-servers", broker.bootstrap_servers, "--port", "0"], {})
    topics = topics_of(config.status_topic, config.stats_topic, config.dead_letter_topic)
    return open_service(config.kafka, topics, config.serving, config.http, WebPublisher)


def send(broker: EmbeddedBroker, topic: str, *payloads: bytes) -> None:
    with Sender(broker.kafka, topic) as sender:
        for payload in payloads:
            sender.send(payload)


def answers(url: str) -> dict[str, tuple[int, bytes]]:
    found = {route: requests.get(url + route, timeout=30) for route in ROUTES}
    return {route: (answer.status_code, answer.content) for route, answer in found.items()}


def wait_until(holds: Callable[[], bool], url: str) -> None:
    def seen() -> str:
        return " ".join(requests.get(url + path, timeout=30).text for path in ("/readyz", "/state/wine"))

    eventually(holds, seen, within_s=120, step_s=0.2)


def test_what_is_known_stays_and_says_how_old_it_is(tmp_path: Path) -> None:
    port = free_port()
    with EmbeddedBroker(folder=tmp_path / "kafka", retention=Retention.KEEP, port=port) as broker:
        send(broker, "model-status", active(1, "v1").SerializeToString())
        send(broker, "dead-letters", letter(2).SerializeToString())
        service = service_for(broker)
        service.start()
        url = service.url

        def ready() -> str:
            return requests.get(f"{url}/readyz", timeout=30).text

        def serves(version: str) -> bool:
            answer = requests.get(f"{url}/state/wine", timeout=30)
            return answer.status_code == 200 and answer.json()["version"] == version

        try:
            wait_until(lambda: ready() == "ok\n" and serves("v1"), url)
            before = answers(url)
            assert {status for status, _ in before.values()} == {200}

            broker.stop()
            wait_until(lambda: ready().startswith("Kafka has not answered for "), url)
            assert answers(url) == before
            age_s = [int(requests.get(url + route, timeout=30).headers["age"]) for route in ROUTES]
            assert min(age_s) >= 10
            assert requests.get(f"{url}/healthz", timeout=30).status_code == 200

            broker.start()
            send(broker, "model-status", active(3, "v2", "v1").SerializeToString())
            wait_until(lambda: ready() == "ok\n" and serves("v2"), url)
            assert int(requests.get(f"{url}/state/wine", timeout=30).headers["age"]) < 10
            assert len(json.loads(answers(url)["/api/v1/data-types/wine/versions"][1])["versions"]) == 2

            # Nothing of the Kafka before holds, although the topic has as many messages as it had there.
            broker.stop()
            with EmbeddedBroker(port=port) as other:
                send(other, "model-status", *(active(ts, f"w{ts}").SerializeToString() for ts in (1, 2)))
                wait_until(lambda: ready() == "ok\n" and serves("w2"), url)
                versions = json.loads(answers(url)["/api/v1/data-types/wine/versions"][1])["versions"]
                assert [one["version"] for one in versions] == ["w2", "w1"]
                letters = json.loads(answers(url)["/api/v1/dead-letters"][1])
                assert letters == {"items": [], "counts": {}, "withoutDataType": {}}
        finally:
            service.stop()
