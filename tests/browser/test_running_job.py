"""The whole path with a running job, from first model to rollback: page, commands, curl and Prometheus."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import FilePayload, Page, expect

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.client.ports import free_port
from model_serving.messaging.sending import Sender
from model_serving.messaging.topics import TopicNames
from tests.browser.conftest import needs_chromium
from tests.job_models import SAMPLES, sample_records
from tests.job_serving import fresh_topics
from tests.jobs import MODEL_SERVING, ServerRun, eventually, server_flags
from tests.patience import patience
from tests.running_prometheus import RunningPrometheus, needs_prometheus

pytestmark = [
    pytest.mark.kafka,
    needs_chromium,
]

TOKEN = "0123456789abcdef-of-the-tests"
RECORDS = SAMPLES["glm"].path.parents[1] / "records.csv"
JOB_MS = 90_000
"""How long the job may take on a busy machine."""


@pytest.fixture
def topics(broker: EmbeddedBroker) -> TopicNames:
    return fresh_topics(broker)


@pytest.fixture
def address(broker: EmbeddedBroker, topics: TopicNames, tmp_path: Path) -> Iterator[str]:
    """The server host's dashboard. Tests name it before `visit`, so that it outlives their pages."""
    token_file, port = tmp_path / "tokens", free_port()
    token_file.write_text(TOKEN)
    flags = server_flags(broker.bootstrap_servers, topics, topics.models)
    flags += ["--http-port", str(port), "--token-file", str(token_file)]
    url = f"http://127.0.0.1:{port}"

    def is_ready() -> bool:
        try:
            return requests.get(f"{url}/readyz", timeout=10).status_code == 200
        except requests.ConnectionError:
            return False

    with ServerRun(flags, tmp_path / "server.log") as run:
        eventually(is_ready, run.printed, within_s=90)
        yield url


def sample(name: str) -> FilePayload:
    path = SAMPLES[name].path
    return {"name": path.name, "mimeType": "application/xml", "buffer": path.read_bytes()}


def run(*command: str | Path) -> str:
    """What a command prints; it has to succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=patience(60))
    assert done.returncode == 0, done.stderr
    return done.stdout


def upload(page: Page, model: FilePayload, version: str) -> None:
    form = page.get_by_role("region", name="Upload a model")
    form.get_by_label("Model file").set_input_files(model)
    form.get_by_label("Version").fill(version)
    form.get_by_role("button", name="Publish the model").click()


@needs_prometheus
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl (Debian: apt install curl)")
def test_from_the_first_model_to_a_rollback(
    address: str, visit: Callable[..., Page], broker: EmbeddedBroker, topics: TopicNames, tmp_path: Path
) -> None:
    model = SAMPLES["glm"].path
    assert "row" in run(MODEL_SERVING, "try", model, RECORDS)

    # The browser reports in its console that nothing is known of a new data type.
    page = visit(f"{address}/", allowed="the server responded with a status of")
    expect(page.get_by_text("No data type is known yet.")).to_be_visible()
    page.get_by_role("button", name="Upload for a new data type").click()
    page.keyboard.type("wine")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing is known of this data type.")).to_be_visible()
    upload(page, sample("glm"), "first")
    dialog = page.get_by_role("dialog", name="Token for commands")
    dialog.get_by_label("Token", exact=True).fill(TOKEN)
    dialog.get_by_role("button", name="Use token").click()
    serving = page.locator(".serving")
    expect(serving).to_contain_text("first", timeout=JOB_MS)

    records = sample_records("wine", 300, first_ts=time.time_ns() // 1_000_000)
    with Sender(broker.kafka, topics.data) as sender:
        for record in records:
            sender.send(record.SerializeToString())
    expect(page.locator(".tile", has_text="Scored")).to_contain_text("300", timeout=JOB_MS)
    expect(page.get_by_role("img", name="Histogram of the results of version first")).to_be_visible()
    drift = page.get_by_role("region", name="Drift by field")
    expect(drift.get_by_role("rowheader", name="alcohol")).to_be_visible()

    form = page.get_by_role("region", name="Score one record")
    expect(form.get_by_label("alcohol")).not_to_have_value("")

    def is_scored() -> bool:
        # While the model loads, the server asks to try again.
        with page.expect_response("**/score"):
            form.get_by_role("button", name="Score").click()
        return "Result" in form.get_by_role("status").inner_text()

    eventually(is_scored, form.inner_text, within_s=60)

    # A field that no record has.
    wrong = sample("glm")
    wrong["buffer"] = wrong["buffer"].replace(b"alcohol", b"caffeine")
    upload(page, wrong, "wrong")
    refused = page.get_by_role("region", name="Refused models")
    expect(refused).to_contain_text("wrong", timeout=JOB_MS)
    expect(refused).to_contain_text("caffeine")
    letters = page.get_by_role("region", name="Newest dead letters")
    expect(letters.get_by_role("listitem").first).to_contain_text("model refused")
    expect(serving).to_contain_text("first")

    upload(page, sample("linear-regression"), "second")
    expect(serving).to_contain_text("second", timeout=JOB_MS)
    expect(page.locator(".chart").first.locator(".swap")).to_have_count(2)
    page.get_by_role("button", name="Roll back to first").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(serving).to_contain_text("replaces second", timeout=JOB_MS)
    expect(page.get_by_role("region", name="Versions", exact=True).get_by_role("row")).to_have_count(3)

    # The same from the command line.
    kafka = ("--bootstrap-servers", broker.bootstrap_servers)
    run(
        *(MODEL_SERVING, "publish-models", model, "--data-type", "wine", "--version", "third", "--once"),
        *("--models-topic", topics.models, *kafka),
    )
    expect(serving).to_contain_text("third", timeout=JOB_MS)
    run(MODEL_SERVING, "rollback", "wine", "--models-topic", topics.models, *kafka)
    expect(serving).to_contain_text("replaces third", timeout=JOB_MS)
    asked = run(
        *(MODEL_SERVING, "query", "wine", "--count", "1", "--interval-s", "1", *kafka),
        *(
            "--status-topic",
            topics.status,
            "--stats-topic",
            topics.stats,
            "--dead-letter-topic",
            topics.dead_letters,
        ),
    )
    assert asked.startswith("wine"), asked
    assert '"version":"first"' in run("curl", "-sS", "--fail", f"{address}/state/wine")
    with RunningPrometheus(tmp_path, {"model-serving": [address.removeprefix("http://")]}) as prometheus:
        scored = 'model_serving_records_scored_total{data_type="wine",version="first"}'
        eventually(lambda: bool(prometheus.ask(scored)), lambda: str(prometheus.ask("up")), within_s=60)
