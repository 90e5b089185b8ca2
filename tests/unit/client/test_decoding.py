"""Messages as JSON values and as lines."""

from __future__ import annotations

import json
import math

import pytest

from model_serving.client.decoding import Kind, as_json_value, as_line, kind_of_topic, parse
from model_serving.messaging.topics import TopicNames
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.protos.servingresult_pb2 import ServingResult
from model_serving.protos.statistics_pb2 import Distribution, ModelStatistics
from model_serving.protos.winerecord_pb2 import WineRecord

RESULT = ServingResult(
    name="tree",
    dataType="wine",
    submissionTs=1_700_000_000_000,
    result=5.0,
    version="abc",
    modeltype=ModelDescriptor.PMML,
    scoring_ns=12_500,
    served_ts=1_700_000_000_007,
    latency_ms=7.0,
    outputs={"probability(6)": 0.25, "probability(5)": 0.75},
    label="5",
)


def test_a_result_as_json_has_every_field_by_its_name() -> None:
    assert as_json_value(RESULT) == {
        "name": "tree",
        "dataType": "wine",
        "submissionTs": 1_700_000_000_000,
        "result": 5.0,
        "version": "abc",
        "modeltype": "PMML",
        "scoring_ns": 12_500,
        "served_ts": 1_700_000_000_007,
        "latency_ms": 7.0,
        "outputs": {"probability(5)": 0.75, "probability(6)": 0.25},
        "label": "5",
    }


def test_bytes_are_base64_enums_have_names_and_of_a_oneof_only_what_is_set_appears() -> None:
    message = ModelDescriptor(
        name="m",
        dataType="wine",
        modeltype=ModelDescriptor.ONNX,
        data=b"\x00\xff",
        examples=[ModelDescriptor.Example(record=b"r", expected=math.nan, tolerance=-math.inf)],
    )
    message.MergeFromString(b"\x48\x09")  # command = 9, which has no name
    assert as_json_value(message) == {
        "name": "m",
        "description": "",
        "dataType": "wine",
        "modeltype": "ONNX",
        "data": "AP8=",
        "version": "",
        "sha256": "",
        "command": 9,
        "inputs": [],
        "output": "AUTO",
        "examples": [{"record": "cg==", "expected": "NaN", "tolerance": "-Infinity"}],
        "signature": "",
        "signature_name": "",
        "result_output": "",
    }
    json.dumps(as_json_value(message), allow_nan=False)


@pytest.mark.parametrize(
    ("kind", "message", "line"),
    [
        (
            Kind.MODELS,
            ModelDescriptor(
                dataType="wine",
                name="m",
                location="s3://models/m",
                modeltype=ModelDescriptor.TENSORFLOWSAVED,
                inputs=["pH", "alcohol"],
                output=ModelDescriptor.ARGMAX,
                result_output="scores",
                signature_name="predict",
            ),
            (
                "wine         TENSORFLOWSAVED m (at s3://models/m) inputs pH,alcohol output ARGMAX "
                "result from scores signature predict"
            ),
        ),
        (
            Kind.RESULTS,
            RESULT,
            (
                "wine                  5  by tree abc (PMML) scoring 12.5 µs, latency 7 ms label=5"
                " probability(5)=0.75 probability(6)=0.25"
            ),
        ),
        (
            Kind.MODELS,
            ModelDescriptor(
                name="m", dataType="wine", modeltype=ModelDescriptor.PMML, data=b"abc", version="v"
            ),
            "wine         PMML            m version v (3 bytes, sha256 ba7816bf8f01)",
        ),
        (
            Kind.MODELS,
            ModelDescriptor(
                name="m", dataType="wine", modeltype=ModelDescriptor.TENSORFLOWSAVED, location="/m/1"
            ),
            "wine         TENSORFLOWSAVED m (at /m/1)",
        ),
        (
            Kind.MODELS,
            ModelDescriptor(dataType="wine", command=ModelDescriptor.ROLLBACK),
            "wine         ROLLBACK",
        ),
        (Kind.DATA, parse(WineRecord, b"\x62\x04wine\x68\x07"), None),
        (
            Kind.DEAD_LETTERS,
            DeadLetter(reason=DeadLetter.UNPARSABLE, detail="truncated", payload=b"x", topic="mdata"),
            "-            UNPARSABLE      1 bytes from mdata: truncated",
        ),
        (
            Kind.STATUS,
            ModelStatus(
                dataType="wine",
                name="m",
                version="v2",
                state=ModelStatus.ACTIVE,
                previous="v1",
                load_ms=12.4,
                subtask=1,
            ),
            "wine         ACTIVE    m v2, replaces v1, loaded in 12 ms (subtask 1)",
        ),
        (
            Kind.STATISTICS,
            ModelStatistics(
                run="r1",
                instance="0",
                host="keyed",
                dataType="wine",
                name="m",
                version="v2",
                scored=1200,
                failed=3,
                until=7,
                scoring=Distribution(count=1200, sum=60),
                latency=Distribution(count=1200, sum=6000),
            ),
            (
                "wine         m v2: 1,200 scored, 3 failed, in the model 0.05 ms on average, "
                "latency 5 ms on average (keyed 0 of run r1, ended)"
            ),
        ),
        (
            Kind.STATISTICS,
            ModelStatistics(
                run="r1", instance="0", host="server", withoutModel=2, deadLetters={"NO_MODEL": 2}
            ),
            (
                "-             no version: 0 scored, 0 failed, 2 without a model, NO_MODEL 2 "
                "(server 0 of run r1)"
            ),
        ),
    ],
)
def test_a_line_shows_what_matters(kind: Kind, message: ModelStatus, line: str | None) -> None:
    if line is None:
        assert as_line(kind, message).startswith("wine         ts=7 fixed_acidity=0 ")
    else:
        assert as_line(kind, message) == line


def test_bytes_of_another_kind_are_no_message() -> None:
    assert parse(WineRecord, b"\x09\x00") is None


def test_topics_have_their_kind_by_configured_name() -> None:
    names = TopicNames(models="m", data="d", results="r", dead_letters="x", status="s", stats="t")
    assert [kind_of_topic(topic, names) for topic in ("m", "d", "r", "x", "s", "t")] == list(Kind)
    assert kind_of_topic("results", names) is None
