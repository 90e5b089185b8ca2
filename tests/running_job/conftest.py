"""A running job of each variant, shared by all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from tests.job_serving import serving
from tests.job_traffic import Traffic
from tests.jobs import VARIANTS


@pytest.fixture(scope="session", params=VARIANTS)
def job(
    request: pytest.FixtureRequest, broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Traffic]:
    """A job of each variant with the default flags, for all tests that keep to data types of their own.

    At its end every record that any of them has sent must have come back once, every model message too.
    """
    with serving(request.param, broker, tmp_path_factory.mktemp(request.param)) as traffic:
        yield traffic
        traffic.await_all_accounted()
