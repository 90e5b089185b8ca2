"""Runs one cluster for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.standalone_cluster import Cluster, standalone_cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Runs one JobManager and one TaskManager. No process may be left after Flink's scripts stop them."""
    with standalone_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running
