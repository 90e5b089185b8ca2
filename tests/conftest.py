"""What the tests in several folders share: one Kafka for all of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from client.broker import EmbeddedBroker

# Read by Flink's scripts. The tests start dozens of short-lived jobs: Java's second compiler would take a
# quarter of their processor time and never pay it back.
os.environ.setdefault("JVM_ARGS", "-XX:TieredStopAtLevel=1")


@pytest.fixture(scope="session")
def broker() -> Iterator[EmbeddedBroker]:
    """A running Kafka on a free port."""
    with EmbeddedBroker() as running:
        yield running
