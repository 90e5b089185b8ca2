"""Topics of its own for each test of the client."""

from __future__ import annotations

from uuid import uuid4

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.messaging.connection import connect, create_topics
from model_serving.messaging.topics import TopicNames


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
