"""Both topologies without Kafka: collections in, what comes out collected, in a local minicluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.protos.servingresult_pb2 import ServingResult
from model_serving.runtime.environment import flink_environment
from tests.job_models import SAMPLES, sample_records
from tests.patience import patience

pytestmark = pytest.mark.minicluster

SCRIPT = Path(__file__).with_name("serve_collections.py")


@pytest.mark.parametrize(("variant", "mode"), [("keyed", "process"), ("broadcast", "thread")])
def test_what_goes_in_comes_out(variant: str, mode: str) -> None:
    models = [sample.message(key) for key, sample in SAMPLES.items()]
    bad_model = ModelDescriptor(name="bad", dataType="glm", modeltype="PMML", data=b"<PMML")
    records = {key: sample_records(key, len(sample.expected)) for key, sample in SAMPLES.items()}
    orphan = sample_records("orphan", 1)[0].SerializeToString()
    # A vector with a record of every data type and something bad, for each of the known records.
    vectors = [
        [*(of_type[number].SerializeToString() for of_type in records.values()), b"\xff", b""]
        for number in range(5)
    ] + [[orphan]]
    out = run(variant, mode, [*models, bad_model], vectors)

    results: dict[str, list[ServingResult]] = defaultdict(list)
    for payload in out["results"]:
        result = ServingResult.FromString(payload)
        results[result.dataType].append(result)
    for key, sample in SAMPLES.items():
        assert [one.submissionTs for one in results[key]] == [1, 2, 3, 4, 5], key
        given = [one.result for one in results[key]]
        assert given == pytest.approx(sample.expected, abs=sample.tolerance, rel=0), key
    letters = [DeadLetter.FromString(payload) for payload in out["dead_letters"]]
    assert sorted((one.reason, one.payload, one.topic) for one in letters) == sorted(
        [
            *[(DeadLetter.UNPARSABLE, b"\xff", "mdata"), (DeadLetter.INVALID_RECORD, b"", "mdata")] * 5,
            (DeadLetter.NO_MODEL, orphan, "mdata"),
            (DeadLetter.MODEL_REJECTED, bad_model.SerializeToString(), "models"),
        ]
    )
    statuses = [ModelStatus.FromString(payload) for payload in out["statuses"]]
    assert sorted((one.dataType, one.name, one.state) for one in statuses) == sorted(
        [*((key, key, ModelStatus.ACTIVE) for key in SAMPLES), ("glm", "bad", ModelStatus.REJECTED)]
    )
    (workers,) = out["workers"]
    assert (workers > b"\0") == (mode == "process")


def run(
    variant: str, mode: str, models: list[ModelDescriptor], vectors: list[list[bytes]]
) -> dict[str, list[bytes]]:
    messages = {
        "models": [model.SerializeToString().hex() for model in models],
        "vectors": [[record.hex() for record in vector] for vector in vectors],
    }
    done = subprocess.run(
        [sys.executable, str(SCRIPT), variant, mode],
        input=json.dumps(messages),
        # Flink would otherwise run process mode's Python code in the client, and hide what a worker lacks.
        env={**flink_environment(os.environ), "_python_worker_execution_mode": "process"},
        capture_output=True,
        text=True,
        timeout=patience(150),
    )
    assert done.returncode == 0, done.stderr[-4000:]
    out: dict[str, list[bytes]] = defaultdict(list)
    for line in done.stdout.splitlines():
        for name, value in json.loads(line).items():
            out[name].append(bytes.fromhex(value))
    return out
