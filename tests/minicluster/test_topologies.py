"""Both topologies without Kafka: collections are input and output, in a local minicluster."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
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


class Samples:
    """Every kind of model with its records, and something bad beside them."""

    def __init__(self) -> None:
        bad_model = ModelDescriptor(name="bad", dataType="glm", modeltype="PMML", data=b"<PMML")
        self.bad_model = bad_model.SerializeToString()
        self.models = [
            *(each.message(key).SerializeToString() for key, each in SAMPLES.items()),
            self.bad_model,
        ]
        records = {key: sample_records(key, len(sample.expected)) for key, sample in SAMPLES.items()}
        self.orphan = sample_records("orphan", 1)[0].SerializeToString()
        # A vector with a record of every data type and something bad, for each of the known records.
        self.vectors = [
            [*(of_type[number].SerializeToString() for of_type in records.values()), b"\xff", b""]
            for number in range(5)
        ] + [[self.orphan]]


@dataclass(frozen=True, slots=True)
class Served:
    """The output of one run over all that these tests send."""

    mode: str
    out: dict[str, list[bytes]]

    def letters(self, *payloads: bytes) -> list[DeadLetter]:
        """The dead letters with these payloads."""
        found = [DeadLetter.FromString(payload) for payload in self.out["dead_letters"]]
        return [letter for letter in found if letter.payload in payloads]


@pytest.fixture(
    scope="module", params=[("keyed", "process"), ("broadcast", "thread")], ids=["keyed", "broadcast"]
)
def served(request: pytest.FixtureRequest) -> Served:
    """Runs each variant once. Both execution modes are run, because each has a Python runtime of its own."""
    variant, mode = request.param
    parts = (Samples(), Framed())
    models = [model for part in parts for model in part.models]
    vectors = [vector for part in parts for vector in part.vectors]
    found = Served(mode, run(variant, mode, models, vectors))
    sent = {*models, *(record for vector in vectors for record in vector)}
    assert {letter.payload for letter in found.letters(*sent)} == {
        DeadLetter.FromString(payload).payload for payload in found.out["dead_letters"]
    }
    return found


def test_what_goes_in_comes_out(served: Served) -> None:
    out, sent = served.out, Samples()
    results: dict[str, list[ServingResult]] = defaultdict(list)
    for payload in out["results"]:
        result = ServingResult.FromString(payload)
        results[result.dataType].append(result)
    for key, sample in SAMPLES.items():
        assert [one.submissionTs for one in results[key]] == [1, 2, 3, 4, 5], key
        given = [one.result for one in results[key]]
        assert given == pytest.approx(sample.expected, abs=sample.tolerance, rel=0), key
    letters = served.letters(b"\xff", b"", *sent.models, *(one for vector in sent.vectors for one in vector))
    assert sorted((one.reason, one.payload, one.topic) for one in letters) == sorted(
        [
            *[(DeadLetter.UNPARSABLE, b"\xff", "mdata"), (DeadLetter.INVALID_RECORD, b"", "mdata")] * 5,
            (DeadLetter.NO_MODEL, sent.orphan, "mdata"),
            (DeadLetter.MODEL_REJECTED, sent.bad_model, "models"),
        ]
    )
    statuses = [ModelStatus.FromString(payload) for payload in out["statuses"]]
    assert sorted(
        (one.dataType, one.name, one.state) for one in statuses if one.dataType in SAMPLES
    ) == sorted([*((key, key, ModelStatus.ACTIVE) for key in SAMPLES), ("glm", "bad", ModelStatus.REJECTED)])
    (workers,) = out["workers"]
    assert (workers > b"\0") == (served.mode == "process")


FRAME = b"\0\0\0\0\x11\0"
"""Of a schema registry: schema 17, message [0]."""


class Framed:
    """Models and records in frames, with fields of other wire types, and of other messages."""

    def __init__(self) -> None:
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
        text = ModelDescriptor(name="text", dataType="plain", data=b"x").SerializeToString()
        self.wrong_type = text + b"\x22\x04PMML"
        self.odd = ModelDescriptor(
            name="odd", dataType="plain", modeltype="PMML", data=odd_strategy(SAMPLES["decision-tree"].path)
        ).SerializeToString()
        self.other_message = FRAME[:-1] + b"\x02\x02" + plain
        self.models = [framed, plain, self.wrong_type, self.odd, self.other_message]
        good = [
            *(FRAME + one.SerializeToString() for one in sample_records("framed", count)),
            *(one.SerializeToString() for one in sample_records("plain", count)),
        ]
        self.floats = [payload + b"\x5d" + struct.pack("<f", 9.4) for payload in good]
        self.others = [b"\0\0\0\0\x11{}", FRAME[:-1] + b"\x02\x02" + good[-1]]
        # All in one vector, and long enough for layouts to be learnt.
        pairs = [payload for several in zip(good, self.floats, strict=True) for payload in several]
        self.vectors = [pairs * 10 + self.others]


def test_other_framings_and_wire_types_cost_their_own_message(served: Served) -> None:
    sample, sent = SAMPLES["linear-regression"], Framed()
    results: dict[str, list[float]] = defaultdict(list)
    for payload in served.out["results"]:
        result = ServingResult.FromString(payload)
        results[result.dataType].append(result.result)
    for data_type in ("framed", "plain"):
        wanted = list(sample.expected) * 10
        assert results[data_type] == pytest.approx(wanted, abs=sample.tolerance, rel=0)
    letters = served.letters(*sent.floats, *sent.others)
    assert sorted((one.reason, one.payload, one.topic) for one in letters) == sorted(
        [(DeadLetter.INVALID_RECORD, payload, "mdata") for payload in sent.floats] * 10
        + [(DeadLetter.UNPARSABLE, payload, "mdata") for payload in sent.others]
    )
    (detail,) = {one.detail for one in letters if one.reason == DeadLetter.INVALID_RECORD}
    assert detail == (
        "field alcohol is sent as fixed32 (a float?), WineRecord declares double: "
        "send each field with its declared type"
    )
    rejected = {one.payload: (one.reason, one.detail) for one in served.letters(*sent.models)}
    assert rejected.keys() == {sent.wrong_type, sent.odd, sent.other_message}
    assert rejected[sent.wrong_type][0] == rejected[sent.odd][0] == DeadLetter.MODEL_REJECTED
    assert rejected[sent.wrong_type][1].startswith(
        "field modeltype is sent as length-delimited bytes (a string?), ModelDescriptor declares enum "
    )
    assert "missingValueStrategy 'guess' of TreeModel" in rejected[sent.odd][1]
    assert rejected[sent.other_message][0] == DeadLetter.UNPARSABLE


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
        # From WARN on the functions tell nothing of models on standard output, which is the messages' here.
        env={
            **flink_environment(os.environ),
            "_python_worker_execution_mode": "process",
            "ROOT_LOG_LEVEL": "WARN",
        },
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
