"""What is written to the output topics, byte by byte from the field numbers."""

from __future__ import annotations

import struct

import pytest

from functions.core.messages import (
    DeadLetter,
    ModelState,
    ModelStatus,
    ModelType,
    Reason,
    ServingResult,
)
from functions.wire import encode_dead_letter, encode_result, encode_status
from protos.deadletter_pb2 import DeadLetter as DeadLetterMessage
from protos.modeldescriptor_pb2 import ModelDescriptor
from protos.modelstatus_pb2 import ModelStatus as ModelStatusMessage
from protos.servingresult_pb2 import ServingResult as ServingResultMessage

RESULT = ServingResult(
    data_type="wine",
    name="forest",
    version="v1",
    model_type=ModelType.PMML,
    submission_ts=1_000,
    served_ts=1_007,
    scoring_ns=300,
    result=6.5,
    label="good",
    outputs={"p": 0.75},
)


def test_a_result() -> None:
    assert encode_result(RESULT) == b"".join(
        [
            b"\x0a\x06forest",  # 1: name
            b"\x12\x04wine",  # 2: dataType
            b"\x18\xe8\x07",  # 3: submissionTs 1000
            b"\x21" + struct.pack("<d", 6.5),  # 4: result
            b"\x2a\x02v1",  # 5: version
            b"\x30\x02",  # 6: modeltype PMML
            b"\x38\xac\x02",  # 7: scoring_ns 300
            b"\x40\xef\x07",  # 8: served_ts 1007
            b"\x49" + struct.pack("<d", 7.0),  # 9: latency_ms
            b"\x52\x0c\x0a\x01p\x11" + struct.pack("<d", 0.75),  # 10: outputs, an entry of key and value
            b"\x5a\x04good",  # 11: label
        ]
    )  # fmt: skip


def test_a_record_from_a_clock_ahead_has_a_negative_latency() -> None:
    early = ServingResult("wine", "m", "v", ModelType.ONNX, 1_010, 1_007, 0, 0.0)
    assert ServingResultMessage.FromString(encode_result(early)) == ServingResultMessage(
        name="m",
        dataType="wine",
        submissionTs=1_010,
        version="v",
        modeltype=ModelDescriptor.ONNX,
        served_ts=1_007,
        latency_ms=-3.0,
    )


def test_a_dead_letter() -> None:
    letter = DeadLetter(Reason.NO_MODEL, "why", b"\x00\xff", "mdata", 300, "wine", "forest", "v1")
    assert encode_dead_letter(letter) == (
        b"\x08\x03"  # 1: reason NO_MODEL
        b"\x12\x03why"  # 2: detail
        b"\x1a\x02\x00\xff"  # 3: payload
        b"\x22\x05mdata"  # 4: topic
        b"\x2a\x04wine"  # 5: dataType
        b"\x32\x06forest"  # 6: model
        b"\x3a\x02v1"  # 7: version
        b"\x40\xac\x02"  # 8: ts
    )


def test_a_status() -> None:
    status = ModelStatus("wine", "forest", "v2", ModelState.ACTIVE, 300, "swapped", "v1", 12.5, 3)
    assert encode_status(status) == b"".join(
        [
            b"\x0a\x04wine",  # 1: dataType
            b"\x12\x06forest",  # 2: name
            b"\x1a\x02v2",  # 3: version
            b"\x20\x01",  # 4: state ACTIVE
            b"\x2a\x07swapped",  # 5: detail
            b"\x30\xac\x02",  # 6: ts
            b"\x3a\x02v1",  # 7: previous
            b"\x41" + struct.pack("<d", 12.5),  # 8: load_ms
            b"\x48\x03",  # 9: subtask
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "generated"),
    [
        (ModelType, ModelDescriptor.ModelType),
        (Reason, DeadLetterMessage.Reason),
        (ModelState, ModelStatusMessage.State),
    ],
)
def test_the_core_counts_as_the_wire_does(kind: type[ModelType], generated: object) -> None:
    assert {member.name: member.value for member in kind} == dict(generated.items())  # type: ignore[attr-defined]
