"""Runs each host, which all tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from tests.job_serving import answering
from tests.job_traffic import Traffic
from tests.jobs import HOSTS


@pytest.fixture(scope="session", params=HOSTS)
def job(
    request: pytest.FixtureRequest, broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Traffic]:
    """Runs each host with the default flags, for all tests that use only their own data types.

    At the end, what ``answering`` says must hold.
    """
    with answering(request.param, broker, tmp_path_factory.mktemp(request.param)) as traffic:
        yield traffic
