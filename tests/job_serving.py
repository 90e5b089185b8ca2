"""A running job with topics, groups and checkpoints of its own, and the traffic through it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from confluent_kafka.admin import NewPartitions  # type: ignore[attr-defined]

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.messaging.connection import connect, create_topics
from model_serving.messaging.topics import TopicNames
from tests.job_traffic import Traffic
from tests.jobs import SPARK_VARIANTS, FlinkRun, ServerRun, SparkRun, job_flags, server_flags
from tests.patience import patience

__all__ = ["answering", "fresh_topics", "hosting", "serving", "widen"]


def fresh_topics(broker: EmbeddedBroker, *, partitions: int = 1, of_models: int = 1) -> TopicNames:
    """Returns topics that no other test uses. ``of_models`` are the partitions of the models topic."""
    names = TopicNames().prefixed(f"j{uuid4().hex[:8]}-")
    create_topics(connect(broker.kafka), names, partitions=partitions)
    if of_models > 1:
        widen(broker, names.models, of_models)
    return names


def widen(broker: EmbeddedBroker, topic: str, partitions: int) -> None:
    """Gives a topic more partitions: there is no order between two of them."""
    # The client has to live until the answer is there.
    admin = connect(broker.kafka)
    (done,) = admin.create_partitions([NewPartitions(topic, partitions)]).values()
    done.result(timeout=patience(30))


def hosting(
    variant: str, broker: EmbeddedBroker, folder: Path, *flags: str, topics: TopicNames, group: str = ""
) -> FlinkRun:
    """The run of a host, to be entered. ``folder`` is for its log and checkpoints."""
    group, log = group or topics.models, folder / "job.log"
    if variant == "server":
        return ServerRun([*server_flags(broker.bootstrap_servers, topics, group), *flags], log)
    own = job_flags(broker.bootstrap_servers, topics, folder / "checkpoints", group)
    if variant in SPARK_VARIANTS:
        return SparkRun(variant, [*own, *flags], log)
    return FlinkRun(variant, [*own, *flags], log)


@contextmanager
def serving(
    variant: str,
    broker: EmbeddedBroker,
    folder: Path,
    *flags: str,
    topics: TopicNames | None = None,
) -> Iterator[Traffic]:
    """Runs a host and gives its traffic. ``folder`` is for its log and checkpoints."""
    topics = topics or fresh_topics(broker)
    with (
        hosting(variant, broker, folder, *flags, topics=topics) as job,
        Traffic(variant, broker.bootstrap_servers, topics, job.check) as traffic,
    ):
        yield traffic


@contextmanager
def answering(variant: str, broker: EmbeddedBroker, folder: Path, *flags: str) -> Iterator[Traffic]:
    """Like ``serving``, for all tests of a folder.

    At the end, every record and every model message that any test has sent must have been answered once.
    """
    with serving(variant, broker, folder, *flags) as traffic:
        yield traffic
        traffic.await_all_accounted()
