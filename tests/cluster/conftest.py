"""One cluster for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.standalone_cluster import Cluster, standalone_cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One JobManager and one TaskManager, of which nothing may be left after Flink's own script has run."""
    with standalone_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running
