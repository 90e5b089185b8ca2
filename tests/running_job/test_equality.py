"""Every host gives, for one input, what the core gives in this process: so all hosts give the same."""

from __future__ import annotations

import hashlib
from functools import cache

import pytest

from model_serving import assembly
from model_serving.core.clock import SystemClock
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.protos.servingresult_pb2 import ServingResult
from model_serving.settings import ServingSettings
from model_serving.wire import TopicEncoder
from tests.job_models import SAMPLES, sample_records
from tests.job_traffic import Traffic

pytestmark = pytest.mark.kafka

_RECORDS = 40
# TensorFlow takes seconds to load in this process; the golden values compare its models.
_MODELS = {key: sample for key, sample in SAMPLES.items() if sample.kind in {"PMML", "ONNX"}}
_TIMES = ("scoring_ns", "served_ts", "latency_ms")
"""The fields of a result that are measured."""


def data_type_of(key: str) -> str:
    return f"equal {key}"


def untimed(message: bytes) -> ServingResult:
    result = ServingResult.FromString(message)
    for name in _TIMES:
        result.ClearField(name)
    return result


@cache
def answers_of_the_core() -> dict[str, list[ServingResult]]:
    """Data type → the results of its records, in their order."""
    settings = ServingSettings(
        record_type="model_serving.protos.winerecord_pb2:WineRecord",
        models_topic="models",
        data_topic="mdata",
        waiting=WaitingPolicy(NoModelPolicy.DROP, 0, bounded=False),
        keep_versions=1,
        base_dir="/",
        model_size_limit=1 << 30,
    )
    parts = assembly.build(settings, SystemClock(), assembly.new_pool())
    server, encoder, answers = parts.server(), TopicEncoder(None, None), {}
    try:
        for key, sample in _MODELS.items():
            data_type, content = data_type_of(key), sample.path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            server.activate(
                ModelToServe(data_type, key, ModelType[sample.kind], digest[:12], digest, content)
            )
            records = [one.SerializeToString() for one in sample_records(data_type, _RECORDS)]
            (batch,) = parts.codec.decode(records).batches
            (scored,) = server.serve(batch).scored
            answers[data_type] = [untimed(one) for one in encoder.results(scored)]
    finally:
        server.close()
    return answers


def test_a_host_answers_as_the_core_does_in_every_field(job: Traffic) -> None:
    expected = answers_of_the_core()
    for key, sample in _MODELS.items():
        job.offer(sample.message(data_type_of(key)))
    for data_type in expected:
        (status,) = job.await_statuses(data_type, 1)
        assert status.state == ModelStatus.ACTIVE, status
    # One record of each data type after the other, so that no batch of a host has one data type alone.
    records = (sample_records(data_type, _RECORDS) for data_type in expected)
    job.send(*(one for turn in zip(*records, strict=True) for one in turn))
    for data_type, answers in expected.items():
        results = [untimed(one.SerializeToString()) for one in job.await_results(data_type, _RECORDS)]
        for result, answer in zip(results, answers, strict=True):
            assert dict(result.outputs) == pytest.approx(dict(answer.outputs), rel=1e-6, abs=1e-9)
            assert result.result == pytest.approx(answer.result, rel=1e-6, abs=1e-9)
            assert _exact(result) == _exact(answer)


def _exact(result: ServingResult) -> ServingResult:
    """The fields that are equal to the last bit, on whatever version of numpy."""
    exact = ServingResult.FromString(result.SerializeToString())
    exact.ClearField("outputs")
    exact.ClearField("result")
    return exact
