"""Gives each test of the client its own topics."""

from __future__ import annotations

from uuid import uuid4

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.messaging.connection import connect, create_topics
from model_serving.messaging.topics import TopicNames


@pytest.fixture
def topic_prefix() -> str:
    """Returns a prefix for the names of a test's topics and consumer groups, which no other test has."""
    return f"t{uuid4().hex[:8]}-"


@pytest.fixture
def topics(broker: EmbeddedBroker, topic_prefix: str) -> TopicNames:
    """Fresh topics, one partition each, ready to use."""
    names = TopicNames().prefixed(topic_prefix)
    create_topics(connect(broker.kafka), names, partitions=1)
    return names


@pytest.fixture
def stats_topic(topic_prefix: str) -> str:
    """A topic that does not exist yet."""
    return f"{topic_prefix}later-model-stats"
