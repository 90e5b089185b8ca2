"""The messages of the output topics, byte by byte from the field numbers."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_serving.core.batches import ScoredBatch
from model_serving.core.engine import Scores
from model_serving.core.letters import NAME_BYTES, TEXTS_BYTES
from model_serving.core.messages import (
    DeadLetter,
    ModelState,
    ModelStatus,
    ModelToServe,
    ModelType,
    Reason,
)
from model_serving.protos.deadletter_pb2 import DeadLetter as DeadLetterMessage
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus as ModelStatusMessage
from model_serving.protos.servingresult_pb2 import ServingResult
from model_serving.wire import encode_dead_letter, encode_results, encode_status, fitted_result
from model_serving.wire.messages import fitted_results

MODEL = ModelToServe("wine", "forest", ModelType.PMML, "v1", "sha", b"")


def scored(
    timestamps: list[int],
    results: list[float],
    labels: list[str] | None = None,
    outputs: dict[str, list[float]] | None = None,
    *,
    model: ModelToServe = MODEL,
    scoring_ns: int = 300,
    served_ts: int = 1_007,
) -> ScoredBatch:
    scores = Scores(
        np.array(results, dtype=np.float64),
        labels,
        {name: np.array(values, dtype=np.float64) for name, values in (outputs or {}).items()},
    )
    submission_ts = np.array(timestamps, dtype=np.int64)
    return ScoredBatch(model.data_type, model, submission_ts, scores, scoring_ns, served_ts)


def test_a_result() -> None:
    assert encode_results(scored([1_000], [6.5], ["good"], {"p": [0.75]})) == [
        b"".join(
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
        )
    ]  # fmt: skip


@pytest.mark.parametrize("times", [1, 4])
def test_results_are_written_as_protobuf_writes_them(times: int) -> None:
    """Few and many results. No number is 0, and there is only one output, because maps have no order."""
    timestamps = [1, 127, 128, 16_383, 16_384, 2**35, 1_700_000_000_123, 2**63 - 1, -1, -(2**63)] * times
    labels = ["é", "", "good", "bad" * 50, "x" * 127, "x" * 128, "good", "good", "", "ω"] * times
    values = [0.5, math.nan, math.inf, -0.0, 1e-300, math.nan, 2.0, 3.0, 4.0, 5.0] * times
    results = [float(place + 1) for place in range(10 * times)]
    batch = scored(timestamps, results, labels, {"p(é)": values}, served_ts=1_700_000_000_200)
    assert encode_results(batch) == [
        ServingResult(
            name="forest",
            dataType="wine",
            submissionTs=timestamp,
            result=result,
            version="v1",
            modeltype=ModelDescriptor.PMML,
            scoring_ns=300,
            served_ts=1_700_000_000_200,
            latency_ms=1_700_000_000_200.0 - float(timestamp),
            outputs={} if math.isnan(value) else {"p(é)": value},
            label=label,
        ).SerializeToString()
        for timestamp, result, label, value in zip(timestamps, results, labels, values, strict=True)
    ]


def test_a_record_from_a_clock_ahead_has_a_negative_latency() -> None:
    early = scored(
        [1_010], [0.0], model=ModelToServe("wine", "m", ModelType.ONNX, "v", "", b""), scoring_ns=0
    )
    (encoded,) = encode_results(early)
    assert ServingResult.FromString(encoded) == ServingResult(
        name="m",
        dataType="wine",
        submissionTs=1_010,
        version="v",
        modeltype=ModelDescriptor.ONNX,
        served_ts=1_007,
        latency_ms=-3.0,
    )


@pytest.mark.parametrize(
    ("timestamp", "latency"),
    [
        (0, 1_007.0),
        (1_006, 1.0),
        (1_007, 0.0),
        (-5, 1_012.0),
        (-(2**63), 2.0**63),
        (2**63 - 1, 1_024 - 2.0**63),
    ],
)
def test_latency_is_the_time_from_the_sender_s_clock(timestamp: int, latency: float) -> None:
    alone, beside = (
        encode_results(scored(times, [1.0] * len(times))) for times in ([timestamp], [3, timestamp])
    )
    assert [ServingResult.FromString(encoded).latency_ms for encoded in (alone[0], beside[1])] == [
        latency
    ] * 2


TIMES = st.sampled_from([0, 1, -1, 127, 128, 2**14, 2**63 - 1, -(2**63)]) | st.integers(-(2**63), 2**63 - 1)
NUMBERS = st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@st.composite
def batches(draw: Callable[..., Any]) -> ScoredBatch:
    n = draw(st.integers(1, 8) | st.integers(17, 24))

    def some(values: st.SearchStrategy[Any]) -> list[Any]:
        return list(draw(st.lists(values, min_size=n, max_size=n)))

    names = draw(st.lists(TEXTS, max_size=3, unique=True))
    few_labels = st.sampled_from(draw(st.lists(TEXTS, min_size=1, max_size=3)))
    near = draw(st.integers(0, 2**41))
    return scored(
        some(TIMES) if draw(st.booleans()) else some(st.integers(near, near + 300)),
        some(NUMBERS),
        some(few_labels) if draw(st.booleans()) else None,
        {name: some(NUMBERS | st.just(math.nan)) for name in names},
        model=ModelToServe(draw(TEXTS), draw(TEXTS), draw(st.sampled_from(ModelType)), draw(TEXTS), "", b""),
        scoring_ns=draw(st.integers(0, 2**63 - 1)),
        served_ts=draw(st.integers(0, 2**50)),
    )


@given(batches())
def test_readers_get_every_row_of_any_batch(batch: ScoredBatch) -> None:
    scores, model = batch.scores, batch.model
    expected = [
        ServingResult(
            name=model.name,
            dataType=model.data_type,
            submissionTs=timestamp,
            result=scores.result[place],
            version=model.version,
            modeltype=int(model.model_type),
            scoring_ns=batch.scoring_ns,
            served_ts=batch.served_ts,
            latency_ms=float(batch.served_ts) - float(timestamp),
            outputs={
                name: values[place]
                for name, values in scores.outputs.items()
                if not math.isnan(values[place])
            },
            label="" if scores.labels is None else scores.labels[place],
        )
        for place, timestamp in enumerate(batch.submission_ts.tolist())
    ]
    # Compared as bytes, in which 0 and -0 differ.
    assert [
        ServingResult.FromString(encoded).SerializeToString(deterministic=True)
        for encoded in encode_results(batch)
    ] == [message.SerializeToString(deterministic=True) for message in expected]


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


def test_the_texts_of_a_status_are_short() -> None:
    long = "x" * 2_000_000
    status = ModelStatus(long, long, long, ModelState.REJECTED, 300, long, long)
    assert len(encode_status(status)) < TEXTS_BYTES - 1000


def test_a_result_that_its_topic_does_not_take_comes_without_its_outputs() -> None:
    result = ServingResult(name="forest", dataType="wine", result=5.0, outputs={"a" * 50_000: 1.0}, label="l")
    message = result.SerializeToString()
    assert fitted_result(message, None) == fitted_result(message, 100_000) == message
    cut = ServingResult.FromString(fitted_result(message, 50_000))
    assert cut == ServingResult(name="forest", dataType="wine", result=5.0, label="l")
    result.label = "b" * 50_000
    together = fitted_results([b"small", message], 50_000)
    assert together == [b"small", fitted_result(message, 50_000)]
    assert fitted_results([b"small"], 50_000) == [b"small"]
    assert fitted_results([], 50_000) == []
    short = ServingResult.FromString(fitted_result(result.SerializeToString(), 50_000))
    assert (short.label[:1], len(short.label.encode())) == ("b", NAME_BYTES)


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
