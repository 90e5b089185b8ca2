"""No input stops the jobs: bytes that are not a message become dead letters, good records are scored."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from google.protobuf.message import DecodeError

from model_serving.messaging.topics import MAX_MESSAGE_BYTES
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.protos.winerecord_pb2 import WineRecord
from tests.job_models import SAMPLES, constant_pmml, sample_records
from tests.job_traffic import Traffic
from tests.jobs import eventually

pytestmark = pytest.mark.kafka

RANDOM_STRINGS = 10_000
LARGEST = MAX_MESSAGE_BYTES


def random_strings(seed: int) -> list[bytes]:
    source = random.Random(seed)
    return [source.randbytes(source.choice((1, 2, 3, 8, 20, 100, 400))) for _ in range(RANDOM_STRINGS)]


def fate_of_record(payload: bytes) -> int:
    """Returns the reason why bytes on the data topic cannot be scored, UNSPECIFIED for a record."""
    try:
        record = WineRecord.FromString(payload)
    except DecodeError:
        return DeadLetter.UNPARSABLE
    features = [field for field, _ in record.ListFields() if field.name not in {"dataType", "ts"}]
    if not record.dataType or not features:
        return DeadLetter.INVALID_RECORD
    return DeadLetter.UNSPECIFIED


def fate_of_model(payload: bytes) -> int:
    """Returns the reason why bytes on the models topic that are not a model are refused."""
    try:
        ModelDescriptor.FromString(payload)
    except DecodeError:
        return DeadLetter.UNPARSABLE
    return DeadLetter.MODEL_REJECTED


def test_what_is_no_record_is_put_aside_and_the_records_between_are_scored(job: Traffic) -> None:
    job.serve(ModelDescriptor(name="m", dataType="clean", modeltype="PMML", data=constant_pmml(1)))
    good = sample_records("clean", 500)
    whole = good[0].SerializeToString()
    candidates: list[bytes] = [
        *random_strings(1),
        *(whole[:length] for length in range(len(whole))),
        b"",
        SAMPLES["linear-regression"].message("clean").SerializeToString(),
        ModelStatus(dataType="clean", version="1").SerializeToString(),
        WineRecord(dataType="clean").SerializeToString(),
        WineRecord(dataType="clean", ts=5).SerializeToString(),
        WineRecord(alcohol=9.0).SerializeToString(),
        # Text that is not UTF-8, and text that ends too early.
        whole + bytes([12 << 3 | 2, 2]) + b"\xff\xfe",
        whole + bytes([12 << 3 | 2, 100]),
    ]
    bad = [payload for payload in candidates if fate_of_record(payload)]
    assert len(bad) > 0.95 * len(candidates)
    every = len(bad) // len(good)
    # A message without a value at all counts as an empty one.
    job.stream(None)
    for number, payload in enumerate(bad):
        job.stream(payload)
        if number % every == 0 and number // every < len(good):
            job.stream(good[number // every])
    job.flush()
    results = job.await_results("clean", len(good))
    letters = job.await_letters(
        lambda letter: letter.topic == job.topics.data and not letter.dataType, len(bad) + 1
    )

    assert [(one.submissionTs, one.result) for one in results] == [(ts, 1.0) for ts in range(1, 501)]
    assert Counter((one.payload, one.reason) for one in letters) == Counter(
        (payload, fate_of_record(payload)) for payload in [*bad, b""]
    )
    assert all(letter.detail for letter in letters)


def test_what_is_no_model_is_put_aside_and_the_models_between_serve(job: Traffic) -> None:
    model = ModelDescriptor(name="m", dataType="firm", modeltype="PMML", data=constant_pmml(1))
    whole = model.SerializeToString()
    bad = [
        *random_strings(2),
        *(whole[:length] for length in range(0, len(whole), 7)),
        b"",
        sample_records("firm", 1)[0].SerializeToString(),
        ModelDescriptor(name="m", modeltype="PMML", data=constant_pmml(1)).SerializeToString(),
        ModelDescriptor(command="ROLLBACK").SerializeToString(),
    ]
    for number, payload in enumerate(bad):
        job.offer_later(payload)
        if number % 1000 == 0:
            job.offer_later(model)
    job.flush()
    wanted = set(bad)
    letters = job.await_letters(
        lambda letter: letter.topic == job.topics.models and letter.payload in wanted, len(bad)
    )
    job.send(*sample_records("firm", 2))
    assert [one.result for one in job.await_results("firm", 2)] == [1.0, 1.0]

    def active() -> int:
        return sum(one.state == ModelStatus.ACTIVE for one in job.statuses["firm"])

    offered = len(range(0, len(bad), 1000))
    eventually(lambda: active() >= offered, lambda: f"{active()} of {offered} models", within_s=60)
    assert active() == offered
    assert Counter((one.payload, one.reason) for one in letters) == Counter(
        (payload, fate_of_model(payload)) for payload in bad
    )
    assert all(letter.detail for letter in letters)


def test_numbers_that_are_none_stop_nothing(job: Traffic) -> None:
    for model in ("linear-regression", "onnx-regression", "frozen-graph", "saved-model", "decision-tree"):
        data_type = f"odd {model}"
        job.serve(SAMPLES[model].message(data_type))
        odd = [math.nan, math.inf, -math.inf, 1e308, 5e-324]
        job.send(
            *(
                WineRecord(alcohol=value, pH=3.0, dataType=data_type, ts=ts)
                for ts, value in enumerate(odd, 1)
            ),
            *sample_records(data_type, 1, first_ts=100),
        )
    job.await_all_accounted()
    for model in ("linear-regression", "onnx-regression", "frozen-graph", "saved-model", "decision-tree"):
        data_type = f"odd {model}"
        letters = [letter for letter in job.letters if letter.dataType == data_type]
        reasons = {WineRecord.FromString(letter.payload).ts: letter.reason for letter in letters}
        # Each of these models takes both fields: what is no finite number does not reach them.
        assert {ts for ts, reason in reasons.items() if reason == DeadLetter.INVALID_RECORD} == {1, 2, 3}, (
            model
        )
        assert {reasons[ts] for ts in reasons.keys() - {1, 2, 3}} <= {DeadLetter.SCORING_FAILED}, model
        assert len(letters) + len(job.results[data_type]) == 6, model
        last = job.results[data_type][-1]
        assert last.submissionTs == 100
        assert last.result == pytest.approx(SAMPLES[model].expected[0], abs=SAMPLES[model].tolerance)


def test_the_largest_message_that_is_refused_comes_back_whole(job: Traffic) -> None:
    """A dead letter is larger than the message in it, and still fits."""
    payload = ModelDescriptor(
        name="too much", dataType="heavy", modeltype="PMML", data=bytes(LARGEST - 200)
    ).SerializeToString()
    job.offer(payload)
    (letter,) = job.await_letters_of("heavy", 1)
    assert letter.payload == payload
    assert letter.reason == DeadLetter.MODEL_REJECTED
