"""A model server goes away under a running host and comes back: nothing is lost, doubled or taken back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.testing.model_server import FakeModelServer, ServedModel
from model_serving.testing.served_model import TensorSpec
from tests.job_models import constant_model, sample_records
from tests.job_traffic import Traffic

__all__ = ["OUTAGE_FLAGS", "records_wait_for_their_model_server"]

_LIMIT = 50

OUTAGE_FLAGS = ("--buffer-limit", str(_LIMIT), "--remote-timeout-ms", "2000")
"""The flags of a host for ``records_wait_for_their_model_server``.

The time is for the model server to answer on a busy machine, when its model is offered.
"""


def _alcohol(tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {"result": tensors["features"][:, -1:]}


_SERVED = ServedModel(
    "alcohol",
    {"features": TensorSpec(np.dtype(np.float64), (-1, 11))},
    {"result": TensorSpec(np.dtype(np.float64), (-1, 1))},
    _alcohol,
)


def records_wait_for_their_model_server(job: Traffic, *, in_order: bool) -> None:
    """Checks it with the data types ``served`` and ``beside`` of a host that runs with ``OUTAGE_FLAGS``.

    More records wait than ``--buffer-limit``. ``in_order``: the results must come in the records' order.
    """
    sent = sample_records("served", 4 * _LIMIT)
    with FakeModelServer(_SERVED) as server:
        job.serve(
            ModelDescriptor(
                name="alcohol",
                dataType="served",
                modeltype="TFSERVING",
                version="v1",
                location=server.tfserving("alcohol"),
            )
        )
        job.serve(constant_model("beside", 5))
        job.send(*sent[:_LIMIT])
        job.await_results("served", _LIMIT)

        server.stop()
        # Not yet as many as may wait: from then on the host reads nothing.
        some = 2 * _LIMIT - 10
        job.send(*sent[_LIMIT:some])
        # Readers of committed results see these only once a checkpoint that came after them is complete.
        job.send(*sample_records("beside", 10))
        job.await_results("beside", 10)
        job.send(*sent[some:])
        assert len(job.results["served"]) == _LIMIT

        server.start()
        results = job.await_results("served", len(sent))
        # None is doubled: these come later than what could have been scored again.
        job.send(*sample_records("beside", 10, first_ts=11))
        job.await_results("beside", 20)
        assert len(job.results["served"]) == len(sent)
    expected = {record.ts: record.alcohol for record in sent}
    assert {result.submissionTs: result.result for result in results} == expected
    if in_order:
        assert [result.submissionTs for result in results] == [record.ts for record in sent]
    (active,) = (one for one in job.statuses["served"] if one.state != ModelStatus.UNSPECIFIED)
    assert (active.state, active.version) == (ModelStatus.ACTIVE, "v1"), "the model is never taken back"
