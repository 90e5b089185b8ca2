"""A running job with topics, groups and checkpoints of its own, and the traffic through it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.messaging.connection import connect, create_topics
from model_serving.messaging.topics import TopicNames
from tests.job_traffic import Traffic
from tests.jobs import FlinkRun, job_flags

__all__ = ["fresh_topics", "serving"]


def fresh_topics(broker: EmbeddedBroker, *, partitions: int = 1) -> TopicNames:
    """Returns topics that no other test uses."""
    names = TopicNames().prefixed(f"j{uuid4().hex[:8]}-")
    create_topics(connect(broker.kafka), names, partitions=partitions)
    return names


@contextmanager
def serving(
    variant: str,
    broker: EmbeddedBroker,
    folder: Path,
    *flags: str,
    topics: TopicNames | None = None,
) -> Iterator[Traffic]:
    """Runs a job and gives its traffic. ``folder`` is for its log and checkpoints."""
    topics = topics or fresh_topics(broker)
    all_flags = job_flags(broker.bootstrap_servers, topics, folder / "checkpoints", topics.models)
    log = folder / "job.log"
    with (
        FlinkRun(variant, [*all_flags, *flags], log) as job,
        Traffic(variant, broker.bootstrap_servers, topics, job.check) as traffic,
    ):
        yield traffic
