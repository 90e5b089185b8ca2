"""Both topologies without Kafka: collections are input and output, in a local minicluster."""

from __future__ import annotations

import json
import os
import struct
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
    out = run(variant, mode, [model.SerializeToString() for model in [*models, bad_model]], vectors)

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


FRAME = b"\0\0\0\0\x11\0"
"""Of a schema registry: schema 17, message [0]."""


@pytest.mark.parametrize(("variant", "mode"), [("keyed", "thread"), ("broadcast", "process")])
def test_other_framings_and_wire_types_cost_their_own_message(variant: str, mode: str) -> None:
    sample = SAMPLES["linear-regression"]
    count = len(sample.expected)
    (record,) = sample_records("framed", 1)
    # The model must give the first record's answer, and the record is framed too.
    example = {
        "record": FRAME + record.SerializeToString(),
        "expected": sample.expected[0],
        "tolerance": 1e-6,
    }
    framed = FRAME + sample.message("framed", examples=[example]).SerializeToString()
    plain = sample.message("plain").SerializeToString()
    # modeltype as a text; a document with a value that PMML does not have.
    wrong_type = (
        ModelDescriptor(name="text", dataType="plain", data=b"x").SerializeToString() + b"\x22\x04PMML"
    )
    odd = ModelDescriptor(
        name="odd", dataType="plain", modeltype="PMML", data=odd_strategy(SAMPLES["decision-tree"].path)
    ).SerializeToString()
    other_message = FRAME[:-1] + b"\x02\x02" + plain
    good = [
        *(FRAME + one.SerializeToString() for one in sample_records("framed", count)),
        *(one.SerializeToString() for one in sample_records("plain", count)),
    ]
    floats = [payload + b"\x5d" + struct.pack("<f", 9.4) for payload in good]
    others = [b"\0\0\0\0\x11{}", FRAME[:-1] + b"\x02\x02" + good[-1]]
    # All in one vector, and long enough for layouts to be learnt.
    vector = [payload for several in zip(good, floats, strict=True) for payload in several] * 10 + others
    models = [framed, plain, wrong_type, odd, other_message]
    out = run(variant, mode, models, [vector])

    results: dict[str, list[float]] = defaultdict(list)
    for payload in out["results"]:
        result = ServingResult.FromString(payload)
        results[result.dataType].append(result.result)
    for data_type in ("framed", "plain"):
        wanted = list(sample.expected) * 10
        assert results[data_type] == pytest.approx(wanted, abs=sample.tolerance, rel=0)
    letters = [DeadLetter.FromString(payload) for payload in out["dead_letters"]]
    records = [(one.reason, one.payload) for one in letters if one.topic == "mdata"]
    assert sorted(records) == sorted(
        [(DeadLetter.INVALID_RECORD, payload) for payload in floats] * 10
        + [(DeadLetter.UNPARSABLE, payload) for payload in others]
    )
    (detail,) = {one.detail for one in letters if one.reason == DeadLetter.INVALID_RECORD}
    assert detail == (
        "field alcohol is sent as fixed32 (a float?), WineRecord declares double: "
        "send each field with its declared type"
    )
    rejected = {one.payload: (one.reason, one.detail) for one in letters if one.topic == "models"}
    assert rejected.keys() == {wrong_type, odd, other_message}
    assert rejected[wrong_type][0] == rejected[odd][0] == DeadLetter.MODEL_REJECTED
    assert rejected[wrong_type][1].startswith(
        "field modeltype is sent as length-delimited bytes (a string?), ModelDescriptor declares enum "
    )
    assert "missingValueStrategy 'guess' of TreeModel" in rejected[odd][1]
    assert rejected[other_message][0] == DeadLetter.UNPARSABLE


def odd_strategy(tree: Path) -> bytes:
    """Returns the decision tree with a strategy for missing values that PMML does not have."""
    return tree.read_bytes().replace(b"<TreeModel ", b'<TreeModel missingValueStrategy="guess" ', 1)


def run(variant: str, mode: str, models: list[bytes], vectors: list[list[bytes]]) -> dict[str, list[bytes]]:
    messages = {
        "models": [model.hex() for model in models],
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
