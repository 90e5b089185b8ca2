"""Topics of its own for each test of the client, and a running job of each variant."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from client.broker import EmbeddedBroker
from client.connection import connect, create_topics
from client.topics import TopicNames
from tests.job_traffic import Traffic
from tests.jobs import VARIANTS
from tests.kafka.job_serving import serving


@pytest.fixture
def topic_prefix() -> str:
    """What a test puts before the names of its topics and consumer groups to be alone with them."""
    return f"t{uuid4().hex[:8]}-"


@pytest.fixture
def topics(broker: EmbeddedBroker, topic_prefix: str) -> TopicNames:
    """Fresh topics, one partition each, ready to use."""
    names = TopicNames().prefixed(topic_prefix)
    create_topics(connect(broker.kafka), names, partitions=1)
    return names


@pytest.fixture(scope="session", params=VARIANTS)
def job(
    request: pytest.FixtureRequest, broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Traffic]:
    """A job of each variant with the default flags, for all tests that keep to data types of their own.

    At its end every record that any of them has sent must have come back once, every model message too.
    """
    with serving(request.param, broker, tmp_path_factory.mktemp(request.param)) as traffic:
        yield traffic
        traffic.await_all_accounted()
