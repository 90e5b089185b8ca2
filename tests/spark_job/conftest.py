"""Runs each Spark job, which all tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from tests.job_serving import answering
from tests.job_traffic import Traffic
from tests.jobs import SPARK_VARIANTS
from tests.result_sources import assert_results_name_their_records
from tests.statistics_topic import await_statistics_agree


@pytest.fixture(scope="session", params=SPARK_VARIANTS)
def job(
    request: pytest.FixtureRequest, broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Traffic]:
    """Runs each Spark job, for all tests that use only their own data types.

    The flags are the default ones, but for the time that a model may take to load: each of Spark's processes
    imports TensorFlow, which takes minutes on a busy machine.

    At the end, what ``answering`` says must hold, the statistics must agree with the results and the dead
    letters, and each result must name its record.
    """
    folder = tmp_path_factory.mktemp(request.param)
    with answering(request.param, broker, folder, "--load-timeout-s", "900") as traffic:
        yield traffic
        await_statistics_agree(broker, traffic)
    assert_results_name_their_records(broker, traffic.topics)
