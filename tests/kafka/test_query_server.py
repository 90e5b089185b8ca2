"""The query server on a real Kafka: in a server's own process, and by itself."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.client.ports import free_port
from model_serving.core.admission.signing import check_signature
from model_serving.messaging.receiving import Start, TopicReader
from model_serving.messaging.sending import Sender
from model_serving.messaging.topics import TopicNames
from tests.job_models import SAMPLES, sample_records
from tests.job_serving import fresh_topics
from tests.jobs import MODEL_SERVING, ServerRun, ends_with_this_process, eventually, server_flags
from tests.patience import patience

pytestmark = pytest.mark.kafka

TOKEN = "0123456789abcdef0123456789abcdef"
KEY = b"a key of at least sixteen bytes"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Events:
    """What a stream of events has sent: pairs of kind and content."""

    def __init__(self, url: str) -> None:
        self.found: list[tuple[str, dict[str, Any]]] = []
        self._answer = requests.get(f"{url}/api/v1/events", stream=True, timeout=60)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def has(self, kind: str, **content: Any) -> bool:
        return any(of == kind and content.items() <= found.items() for of, found in self.found)

    def await_end(self, within_s: float) -> bool:
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _read(self) -> None:
        kind = ""
        for line in self._answer.iter_lines(chunk_size=1):
            name, _, value = line.decode().partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                self.found.append((kind, json.loads(value)))


@pytest.fixture(scope="module")
def topics(broker: EmbeddedBroker) -> TopicNames:
    return fresh_topics(broker)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Flags that name a token file and a key file."""
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "tokens").write_text(f"{TOKEN}\n")
    (folder / "keys").write_text(f"{KEY.hex()}\n")
    return ["--token-file", str(folder / "tokens"), "--model-key-file", str(folder / "keys")]


@pytest.fixture(scope="module")
def url(
    broker: EmbeddedBroker, topics: TopicNames, files: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A server that takes signed models, has served two of them, and has had a bad record."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    flags = [*server_flags(broker.bootstrap_servers, topics, topics.models), *files]
    log = tmp_path_factory.mktemp("server") / "server.log"
    with ServerRun([*flags, "--http-port", str(port)], log) as run:
        eventually(lambda: is_ready(url), run.printed, within_s=90)
        yield url


def get(url: str, path: str) -> Any:
    answer = requests.get(url + path, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def state(url: str, data_type: str) -> dict[str, Any]:
    answer = requests.get(f"{url}/state/{data_type}", timeout=30)
    return answer.json() if answer.status_code == 200 else {}


def send(broker: EmbeddedBroker, topic: str, *payloads: bytes) -> None:
    with Sender(broker.kafka, topic) as sender:
        for payload in payloads:
            sender.send(payload)


def upload(url: str, name: str, data_type: str, **query: str) -> dict[str, Any]:
    path = SAMPLES[name].path
    answer = requests.post(
        f"{url}/api/v1/data-types/{data_type}/models",
        params=query,
        headers=BEARER,
        files={"model": (path.name, path.read_bytes())},
        timeout=60,
    )
    assert answer.status_code == 202, answer.text
    published: dict[str, Any] = answer.json()["published"]
    return published


def test_from_an_upload_to_a_rollback(
    url: str, broker: EmbeddedBroker, topics: TopicNames, files: list[str]
) -> None:
    assert requests.get(f"{url}/readyz", timeout=30).text == "ok\n"
    events = Events(url)
    first = upload(url, "glm", "wine", description="größer")
    assert (first["dataType"], first["signed"]) == ("wine", True)
    eventually(
        lambda: state(url, "wine").get("version") == first["version"],
        lambda: str(state(url, "wine")),
        within_s=60,
    )
    found = state(url, "wine")
    assert (found["name"], found["description"], found["sha256"]) == (
        first["name"],
        "größer",
        first["sha256"],
    )
    with TopicReader(broker.kafka, [topics.models], start=Start.BEGINNING) as reader:
        (message,) = reader.until_end()
    check_signature(message.payload, [KEY])

    # Records are counted, and the version gives here what it gives there.
    records = sample_records("wine", 300, first_ts=time.time_ns() // 1_000_000)
    send(broker, topics.data, *(record.SerializeToString() for record in records), b"\xff")
    eventually(lambda: state(url, "wine")["usage"] == 300, lambda: str(state(url, "wine")), within_s=60)
    (version,) = get(url, "/api/v1/data-types/wine/versions")["versions"]
    assert (version["scored"], version["scoring"]["count"], version["latency"]["count"]) == (300, 300, 300)
    assert version["results"]["numbers"]["count"] == 300
    assert 0 < version["scoring"]["p50"] <= version["scoring"]["p999"]
    values = {
        field.name: value for field, value in records[0].ListFields() if field.name not in ("dataType", "ts")
    }
    answers = []

    def scored() -> bool:
        answers.append(requests.post(f"{url}/api/v1/data-types/wine/score", json=values, timeout=60))
        # While the model loads, the server asks to try again.
        return answers[-1].status_code not in (503, 504)

    eventually(scored, lambda: answers[-1].text, within_s=90)
    answer = answers[-1].json()
    assert answer["version"] == first["version"]
    assert answer["result"] == pytest.approx(SAMPLES["glm"].expected[0], abs=SAMPLES["glm"].tolerance)

    # What was refused is there with its first bytes.
    eventually(lambda: get(url, "/api/v1/dead-letters")["items"] != [], lambda: "no dead letter", within_s=60)
    (letter,) = get(url, "/api/v1/dead-letters")["items"]
    assert (letter["reason"], letter["payload"], letter["size"]) == ("UNPARSABLE", "/w==", 1)
    metrics = requests.get(f"{url}/metrics", timeout=60).text
    labels = f'data_type="wine",model="{first["name"]}",version="{first["version"]}"'
    assert f"model_serving_records_scored_total{{{labels}}} 300" in metrics
    assert f'model_serving_latency_seconds_bucket{{{labels},le="+Inf"}} 300' in metrics

    # A second version, and back.
    second = upload(url, "linear-regression", "wine", version="2")
    eventually(lambda: state(url, "wine")["version"] == "2", lambda: str(state(url, "wine")), within_s=60)
    back = requests.post(f"{url}/api/v1/data-types/wine/rollback", headers=BEARER, timeout=60)
    assert back.status_code == 202
    eventually(
        lambda: state(url, "wine")["version"] == first["version"],
        lambda: str(state(url, "wine")),
        within_s=60,
    )
    assert state(url, "wine")["previous"] == second["version"]
    assert (
        'model_serving_rollbacks_total{data_type="wine"} 1' in requests.get(f"{url}/metrics", timeout=60).text
    )
    eventually(lambda: events.has("statistics", dataType="wine"), lambda: str(events.found), within_s=60)
    assert events.has("dead-letter", reason="UNPARSABLE")
    assert events.has("status", dataType="wine")


def test_a_server_by_itself_answers_the_same_and_ends_soon(
    url: str, broker: EmbeddedBroker, topics: TopicNames, tmp_path: Path
) -> None:
    upload(url, "linear-regression", "other")
    eventually(lambda: bool(state(url, "other")), lambda: "no status", within_s=60)
    port = free_port()
    alone = f"http://127.0.0.1:{port}"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(str(MODEL_SERVING), "serve", "--port", str(port)),
                *("--bootstrap-servers", broker.bootstrap_servers),
                *("--models-topic", topics.models, "--status-topic", topics.status),
                *("--dead-letter-topic", topics.dead_letters, "--stats-topic", topics.stats),
            ],
            stdout=log,
            stderr=log,
            preexec_fn=ends_with_this_process(),  # noqa: PLW1509 - see there
        )
    try:
        eventually(lambda: is_ready(alone), (tmp_path / "log").read_text, within_s=60)
        eventually(
            lambda: state(alone, "other") == state(url, "other"),
            lambda: str(state(alone, "other")),
            within_s=30,
        )
        assert get(alone, "/processors") == get(url, "/processors")
        refused = requests.post(f"{alone}/api/v1/data-types/other/rollback", headers=BEARER, timeout=30)
        assert refused.status_code == 403
        events = Events(alone)
        eventually(lambda: events.has("status", dataType="other"), lambda: str(events.found), within_s=30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(patience(5)) == 0
        assert events.await_end(5)
    finally:
        process.kill()
        process.wait()


def is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=10).status_code == 200
    except requests.ConnectionError:
        return False
