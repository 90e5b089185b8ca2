"""What the tests in several folders share: one Kafka for all of a run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from client.broker import EmbeddedBroker


@pytest.fixture(scope="session")
def broker() -> Iterator[EmbeddedBroker]:
    """A running Kafka on a free port."""
    with EmbeddedBroker() as running:
        yield running
