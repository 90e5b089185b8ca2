"""The dashboard of the query server itself, with messages of jobs on a real Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from confluent_kafka import Producer
from playwright.sync_api import Page, expect

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.client.model_messages import Content, build_message, models_of_samples
from model_serving.client.web_publishing import WebPublisher
from model_serving.core.statistics.fields import FieldStatistics, Reference
from model_serving.core.statistics.results import Results
from model_serving.messaging.connection import connect, create_topics
from model_serving.messaging.receiving import Start, TopicReader
from model_serving.messaging.topics import TopicNames
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.query.config import parse_config
from model_serving.query.run import open_service, topics_of
from tests.browser.conftest import needs_chromium
from tests.browser.looking import hears_events, row
from tests.unit.observe.sent import active, letter, rejected, statistics

pytestmark = [
    pytest.mark.kafka,
    needs_chromium,
]

TOKEN = "0123456789abcdef-of-the-tests"
Send = Callable[..., None]


@pytest.fixture
def topics(broker: EmbeddedBroker) -> TopicNames:
    names = TopicNames().prefixed(f"t{uuid4().hex[:8]}-")
    create_topics(connect(broker.kafka), names, partitions=1)
    return names


@pytest.fixture
def send(broker: EmbeddedBroker) -> Send:
    def send_all(topic: str, *payloads: bytes) -> None:
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        for payload in payloads:
            producer.produce(topic, payload, key=uuid4().bytes)
        assert producer.flush(30) == 0

    return send_all


@pytest.fixture
def address(broker: EmbeddedBroker, topics: TopicNames, tmp_path: Path) -> Iterator[str]:
    """Where the query server answers. Tests name it before `visit`, so that it outlives their pages."""
    token_file = tmp_path / "tokens"
    token_file.write_text(TOKEN)
    flags = {
        "--bootstrap-servers": broker.bootstrap_servers,
        "--models-topic": topics.models,
        "--status-topic": topics.status,
        "--stats-topic": topics.stats,
        "--dead-letter-topic": topics.dead_letters,
        "--port": "0",
        "--token-file": str(token_file),
    }
    config = parse_config([part for flag in flags.items() for part in flag], {})
    read = topics_of(config.status_topic, config.stats_topic, config.dead_letter_topic)
    service = open_service(config.kafka, read, config.serving, config.http, WebPublisher)
    service.start()
    try:
        yield service.url
    finally:
        service.stop()


@pytest.fixture
def forest() -> ModelDescriptor:
    """A sample model, as it is published."""
    model = next(one for one in models_of_samples("wine") if "forest" in one.name)
    message = build_message(model, data_type="wine", content=Content.DATA)
    message.version = message.sha256[:12]
    return message


def tell_of_two_versions(send: Send, topics: TopicNames, forest: ModelDescriptor) -> None:
    """What a job tells after a swap from a version 'v1' to the forest, and after it refused 'v2'."""
    now = time.time_ns() // 1_000_000
    named = {"name": forest.name, "modeltype": forest.modeltype, "sha256": forest.sha256}
    send(
        topics.status,
        active(now - 60_000, "v1").SerializeToString(),
        active(now - 20_000, forest.version, "v1", **named).SerializeToString(),
        rejected(
            now - 9_000, "v2", name="network", detail="example 3 gives 1, expected 6"
        ).SerializeToString(),
    )
    results = Results()
    results.add(np.array([5.0, 6.0, 6.0, 6.0]), ["5", "6", "6", "6"])
    reference = Reference("examples", 40, 0, 400.0, (20, 20))
    fields = [FieldStatistics("alcohol", 200, 50, 1800.0, (10.0,), (10, 140), reference)]
    send(
        topics.stats,
        statistics(now - 20_000, [2.0, 3.0], since=now - 60_000, until=now - 20_000, results=results),
        statistics(now - 10_000, [4.0] * 9, since=now - 20_000, name=forest.name, version=forest.version),
        statistics(
            now,
            [4.0] * 99 + [80.0],
            since=now - 20_000,
            name=forest.name,
            version=forest.version,
            sha256=forest.sha256,
            results=results,
            fields=fields,
        ),
    )
    send(topics.dead_letters, letter(now, detail="no model yet", payload=b"\x00hello").SerializeToString())


def test_what_a_job_tells_is_on_the_page_and_goes_on_live(
    address: str, visit: Callable[..., Page], send: Send, topics: TopicNames, forest: ModelDescriptor
) -> None:
    tell_of_two_versions(send, topics, forest)
    page = visit(f"{address}/")
    expect(row(page, "wine")).to_contain_text(f"wine random forest {forest.version}")
    expect(row(page, "wine")).to_contain_text("network")
    page.get_by_role("link", name="wine").click()
    hears_events(page)
    expect(page.locator(".tile", has_text="Scored")).to_contain_text("100")
    expect(page.get_by_role("img", name="Latency").locator(".swap")).to_have_count(2)
    expect(page.locator(".distribution")).to_have_count(2)
    expect(page.locator(".distribution").nth(0).get_by_role("row", name="6 75.0 % 3")).to_be_visible()
    drift = page.get_by_role("region", name="Drift by field")
    expect(drift.get_by_role("row", name="alcohol")).to_contain_text("changed")
    expect(drift).to_contain_text("the 40 examples of the model message")
    refused = page.get_by_role("region", name="Refused models")
    expect(refused).to_contain_text("network v2")
    expect(refused).to_contain_text("example 3 gives 1, expected 6")
    letters = page.get_by_role("region", name="Newest dead letters")
    expect(letters).to_contain_text("no model yet")
    expect(letters).to_contain_text("00 68 65 6c 6c 6f ·hello")

    now = time.time_ns() // 1_000_000
    send(topics.status, active(now, "v3", forest.version, name="wine glm").SerializeToString())
    expect(page.locator(".serving")).to_contain_text("wine glm v3")
    expect(page.locator("#announcements")).to_contain_text("wine glm, version v3, serves now.")
    send(topics.dead_letters, letter(now + 1, detail="the newest").SerializeToString())
    expect(letters.get_by_role("listitem").first).to_contain_text("the newest")


def test_a_record_is_scored_and_commands_are_published(
    address: str,
    visit: Callable[..., Page],
    broker: EmbeddedBroker,
    send: Send,
    topics: TopicNames,
    forest: ModelDescriptor,
) -> None:
    send(topics.models, forest.SerializeToString())
    tell_of_two_versions(send, topics, forest)
    page = visit(f"{address}/#/data-types/wine")
    form = page.get_by_role("region", name="Score one record")
    expect(form.get_by_label("alcohol")).to_have_value("12")
    form.get_by_role("button", name="Score").click()
    expect(form.get_by_role("status")).to_contain_text("by wine random forest", timeout=60_000)

    upload = page.get_by_role("region", name="Upload a model")
    upload.get_by_label("Model file").set_input_files(
        {"name": "forest.pmml", "mimeType": "application/xml", "buffer": forest.data}
    )
    upload.get_by_label("Version").fill("from-the-page")
    upload.get_by_role("button", name="Publish the model").click()
    dialog = page.get_by_role("dialog", name="Token for commands")
    dialog.get_by_label("Token", exact=True).fill(TOKEN)
    dialog.get_by_role("button", name="Use token").click()
    expect(upload.get_by_role("status")).to_contain_text("The model is published.")
    page.get_by_role("button", name="Roll back to v1").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.locator("#command-outcome")).to_have_text("The rollback is published.")
    page.get_by_role("button", name="Stop serving").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop serving").click()
    expect(page.locator("#command-outcome")).to_have_text("The removal is published.")
    published = messages(broker, topics.models)[1:]
    assert [(one.command, one.dataType, one.version) for one in published] == [
        (ModelDescriptor.DEPLOY, "wine", "from-the-page"),
        (ModelDescriptor.ROLLBACK, "wine", ""),
        (ModelDescriptor.REMOVE, "wine", ""),
    ]


def messages(broker: EmbeddedBroker, topic: str) -> list[ModelDescriptor]:
    with TopicReader(broker.kafka, [topic], start=Start.BEGINNING) as reader:
        return [ModelDescriptor.FromString(one.payload) for one in reader.until_end()]
