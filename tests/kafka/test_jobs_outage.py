"""A model server goes away under a running host and comes back: nothing is lost, doubled or taken back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.testing.model_server import FakeModelServer, ServedModel
from model_serving.testing.served_model import TensorSpec
from tests.job_models import constant_model, sample_records
from tests.job_serving import serving

pytestmark = pytest.mark.kafka

LIMIT = 50


def alcohol(tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {"result": tensors["features"][:, -1:]}


SERVED = ServedModel(
    "alcohol",
    {"features": TensorSpec(np.dtype(np.float64), (-1, 11))},
    {"result": TensorSpec(np.dtype(np.float64), (-1, 1))},
    alcohol,
)


@pytest.mark.parametrize(("variant", "mode"), [("keyed", "process"), ("broadcast", "thread"), ("server", "")])
def test_records_wait_for_their_model_server(
    broker: EmbeddedBroker, tmp_path: Path, variant: str, mode: str
) -> None:
    """Both modes, because each has other timers. The broadcast job holds the keyed one's operator."""
    flags = [
        *("--delivery", "exactly-once"),
        *("--buffer-limit", str(LIMIT)),
        *("--remote-timeout-ms", "500"),
        *(("--execution-mode", mode, "--checkpoint-interval-ms", "500") if mode else ()),
    ]
    sent = sample_records("served", 4 * LIMIT)
    with FakeModelServer(SERVED) as server, serving(variant, broker, tmp_path, *flags) as job:
        job.serve(
            ModelDescriptor(
                name="alcohol",
                dataType="served",
                modeltype="TFSERVING",
                version="v1",
                location=server.tfserving("alcohol"),
            )
        )
        job.serve(constant_model("other", 5))
        job.send(*sent[:LIMIT])
        job.await_results("served", LIMIT)

        server.stop()
        job.send(*sent[LIMIT : 2 * LIMIT])
        # Readers of committed results see these only once a checkpoint that came after them is complete.
        job.send(*sample_records("other", 10))
        job.await_results("other", 10)
        job.send(*sent[2 * LIMIT :])
        assert len(job.results["served"]) == LIMIT

        server.start()
        results = job.await_results("served", len(sent))
        job.await_all_accounted()
        results = job.results["served"]
        expected = {record.ts: record.alcohol for record in sent}
        assert {result.submissionTs: result.result for result in results} == expected
        assert len(results) == len(sent), "none is doubled"
        if variant == "keyed":
            assert [result.submissionTs for result in results] == [record.ts for record in sent]
        (active,) = (one for one in job.statuses["served"] if one.state != ModelStatus.UNSPECIFIED)
        assert (active.state, active.version) == (ModelStatus.ACTIVE, "v1"), "the model is never taken back"
