"""A model server goes away under a running server of this project and comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from tests.job_serving import serving
from tests.kafka.outage import OUTAGE_FLAGS, records_wait_for_their_model_server

pytestmark = pytest.mark.kafka


def test_records_wait_for_their_model_server(broker: EmbeddedBroker, tmp_path: Path) -> None:
    with serving("server", broker, tmp_path, "--delivery", "exactly-once", *OUTAGE_FLAGS) as job:
        records_wait_for_their_model_server(job, in_order=False)
        job.await_all_accounted()
