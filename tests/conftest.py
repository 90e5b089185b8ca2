"""What the tests in several folders share: one Kafka, and which of them may run side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from client.broker import EmbeddedBroker

_LANES = {
    "golden": "jobs",
    "kafka": "jobs",
    "minicluster": "clusters",
    "cluster": "clusters",
    "faults": "clusters",
}
"""Folder → lane. Tests of a lane run one after the other: they share a Kafka and running jobs, and more than
two of them at a time would be too much for two cores."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tells ``pytest --dist loadgroup`` what stays together; unit tests go wherever there is room."""
    for item in items:
        lane = _LANES.get(item.path.relative_to(Path(__file__).parent).parts[0])
        if lane is not None:
            item.add_marker(pytest.mark.xdist_group(lane))


@pytest.fixture(scope="session")
def broker() -> Iterator[EmbeddedBroker]:
    """A running Kafka on a free port."""
    with EmbeddedBroker() as running:
        yield running
