"""Runs each Spark job, which all tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from tests.job_serving import serving
from tests.job_traffic import Traffic
from tests.jobs import SPARK_VARIANTS


@pytest.fixture(scope="session", params=SPARK_VARIANTS)
def job(
    request: pytest.FixtureRequest, broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Traffic]:
    """Runs each Spark job with the default flags, for all tests that use only their own data types.

    At the end, every record and every model message that any test has sent must have been answered once.
    """
    with serving(request.param, broker, tmp_path_factory.mktemp(request.param)) as traffic:
        yield traffic
        traffic.await_all_accounted()
