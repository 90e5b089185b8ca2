"""Bounded runs read what is there, give every record its result or its dead letter, and end by themselves.

One run of each job reads everything that the tests of this file look at, because the start of a job takes
longer than all else here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import Producer

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.messaging.topics import TopicNames
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.protos.servingresult_pb2 import ServingResult
from tests.job_models import SAMPLES, regression_pmml
from tests.job_serving import fresh_topics
from tests.job_traffic import Traffic
from tests.jobs import VARIANTS, FlinkRun, job_flags
from tests.kafka.bounded_input import COMMITTED, EACH, FRAMED, filled, letters_of_the_rest
from tests.producers import CODECS
from tests.protos.sensorreading_pb2 import SensorReading
from tests.statistics_topic import assert_statistics_agree

pytestmark = pytest.mark.kafka

PARALLELISM = dict(zip(VARIANTS, ("1", "2"), strict=True))


@dataclass(frozen=True, slots=True)
class Ran:
    """A run that has ended: what it printed, and everything in its topics."""

    printed: str
    traffic: Traffic

    def letters(self, *payloads: bytes) -> list[DeadLetter]:
        """The dead letters with these payloads."""
        return [letter for letter in self.traffic.letters if letter.payload in payloads]


def run_bounded(
    variant: str,
    broker: EmbeddedBroker,
    topics: TopicNames,
    folder: Path,
    *flags: str,
    unfinished: Producer | None = None,
) -> Ran:
    """Runs to the end. The transaction of ``unfinished`` is open at the start, and is then committed."""
    all_flags = [
        *job_flags(broker.bootstrap_servers, topics, folder / "checkpoints", topics.results),
        "--bounded",
        *flags,
    ]
    with FlinkRun(variant, all_flags, folder / "job.log") as job:
        if unfinished is not None:
            unfinished.commit_transaction(30)
        assert job.await_end(within_s=90) == 0, job.printed()
        assert job.left_over() == []
    # The end of the run comes after everything is written: what is read from here to the end is all there is.
    with Traffic(variant, broker.bootstrap_servers, topics, lambda: None) as traffic:
        traffic.await_end()
    return Ran(job.printed(), traffic)


@pytest.fixture(scope="module")
def ran(broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Ran]:
    """Returns the one run of a variant over the whole input."""

    @cache
    def run(variant: str) -> Ran:
        with filled(broker) as (topics, unfinished):
            flags = ("--parallelism", PARALLELISM[variant], "--buffer-limit", "100")
            folder = tmp_path_factory.mktemp(variant)
            return run_bounded(variant, broker, topics, folder, *flags, unfinished=unfinished)

    return run


@dataclass(frozen=True)
class WhatCounts:
    """Results without their times, in a fixed order; ``numbers`` are results and outputs."""

    texts: list[tuple[object, ...]]
    numbers: list[float]

    @classmethod
    def of(cls, results: dict[str, list[ServingResult]]) -> WhatCounts:
        every = sorted(
            (one for of_type in results.values() for one in of_type),
            key=lambda one: (one.dataType, one.submissionTs),
        )
        return cls(
            [
                (
                    one.dataType,
                    one.submissionTs,
                    one.name,
                    one.version,
                    one.modeltype,
                    one.label,
                    *sorted(one.outputs),
                )
                for one in every
            ],
            [
                number
                for one in every
                for number in (one.result, *(one.outputs[name] for name in sorted(one.outputs)))
            ],
        )


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_record_is_accounted_for(
    ran: Callable[[str], Ran], broker: EmbeddedBroker, variant: str
) -> None:
    printed, traffic = ran(variant).printed, ran(variant).traffic
    assert printed.splitlines()[-1] == f"{variant}.py: finished"
    assert traffic.results.keys() == {*SAMPLES, *CODECS, "wine", "framed", "plain"}
    for key, sample in SAMPLES.items():
        results = sorted(traffic.results[key], key=lambda one: one.submissionTs)
        assert [one.submissionTs for one in results] == list(range(1, EACH + 1)), key
        known = [one.result for one in results[: len(sample.expected)]]
        assert known == pytest.approx(sample.expected, abs=sample.tolerance), key
    of_framed = {*FRAMED.models, *FRAMED.records}
    roles = {traffic.topics.models: "models", traffic.topics.data: "data"}
    assert letters_of_the_rest() == Counter(
        (one.reason, one.payload, roles[one.topic]) for one in traffic.letters if one.payload not in of_framed
    )
    states = {key: sorted(one.state for one in of_type) for key, of_type in traffic.statuses.items()}
    for key in SAMPLES:
        refused = [ModelStatus.REJECTED] if key == "glm" else []
        assert states[key] == [ModelStatus.ACTIVE, *refused], key
    # A message that cannot be parsed has no data type.
    assert states.keys() - {"plain", ""} == {*SAMPLES, *CODECS, "wine", "framed"}
    assert_statistics_agree(broker, traffic)


def test_both_jobs_agree(ran: Callable[[str], Ran]) -> None:
    keyed, broadcast = (WhatCounts.of(ran(variant).traffic.results) for variant in VARIANTS)
    assert keyed.texts == broadcast.texts
    # TensorFlow rounds a float32 differently in batches of different lengths.
    np.testing.assert_allclose(keyed.numbers, broadcast.numbers, rtol=0, atol=2e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_batches_of_every_compression_are_read(ran: Callable[[str], Ran], variant: str) -> None:
    traffic = ran(variant).traffic
    for codec in CODECS:
        assert [one.state for one in traffic.statuses[codec]] == [ModelStatus.ACTIVE], codec
        assert sorted(one.submissionTs for one in traffic.results[codec]) == list(range(1, 21)), codec


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_a_transaction_took_back_is_neither_scored_nor_deployed(
    ran: Callable[[str], Ran], variant: str
) -> None:
    """Also a transaction that is open at the start is waited for."""
    traffic = ran(variant).traffic
    assert [one.state for one in traffic.statuses["wine"]] == [ModelStatus.ACTIVE]
    assert sorted((one.submissionTs, one.result) for one in traffic.results["wine"]) == [
        (ts, 1.0) for ts in COMMITTED
    ]


@pytest.mark.parametrize("variant", VARIANTS)
def test_other_framings_and_wire_types_cost_their_own_message(
    ran: Callable[[str], Ran], variant: str
) -> None:
    found, sample = ran(variant), SAMPLES["linear-regression"]
    data = found.traffic.topics.data
    for data_type in ("framed", "plain"):
        results = sorted(found.traffic.results[data_type], key=lambda one: one.submissionTs)
        wanted = [result for result in sample.expected for _ in range(10)]
        assert [one.result for one in results] == pytest.approx(wanted, abs=sample.tolerance, rel=0)
    letters = found.letters(*FRAMED.floats, *FRAMED.others)
    assert sorted((one.reason, one.payload, one.topic) for one in letters) == sorted(
        [(DeadLetter.INVALID_RECORD, payload, data) for payload in FRAMED.floats] * 10
        + [(DeadLetter.UNPARSABLE, payload, data) for payload in FRAMED.others]
    )
    (detail,) = {one.detail for one in letters if one.reason == DeadLetter.INVALID_RECORD}
    assert detail == (
        "field alcohol is sent as fixed32 (a float?), WineRecord declares double: "
        "send each field with its declared type"
    )
    rejected = {one.payload: (one.reason, one.detail) for one in found.letters(*FRAMED.models)}
    assert rejected.keys() == {FRAMED.wrong_type, FRAMED.odd, FRAMED.other_message}
    assert rejected[FRAMED.wrong_type][0] == rejected[FRAMED.odd][0] == DeadLetter.MODEL_REJECTED
    assert rejected[FRAMED.wrong_type][1].startswith(
        "field modeltype is sent as length-delimited bytes (a string?), ModelDescriptor declares enum "
    )
    assert "missingValueStrategy 'guess' of TreeModel" in rejected[FRAMED.odd][1]
    assert rejected[FRAMED.other_message][0] == DeadLetter.UNPARSABLE


def test_another_record_type_needs_no_change(broker: EmbeddedBroker, tmp_path: Path) -> None:
    """The broadcast job: it holds the keyed one's operator too, which scores what came before its model."""
    model = ModelDescriptor(
        name="comfort",
        dataType="office",
        modeltype="PMML",
        data=regression_pmml(
            1.0,
            {"Temperature": 2.0, "people": 3.0, "window-open": 10.0},
            categories={("room", "cellar"): 100.0, ("room", "attic"): 200.0},
            integers=["people"],
        ),
    )
    wine_model = SAMPLES["glm"].message("office")
    readings = [
        SensorReading(dataType="office", ts=1, temperature=20.5, people=2, window_open=True, room="cellar"),
        SensorReading(dataType="office", ts=2, temperature=-4.0, room="attic"),
        SensorReading(dataType="office", ts=3, people=1, room="hall"),
    ]
    no_reading = SensorReading(dataType="office", ts=4, grade="CALIBRATED", raw=b"x", past=[1.0])
    topics = fresh_topics(broker)
    with Traffic("producer", broker.bootstrap_servers, topics, lambda: None) as producer:
        producer.send(*readings, no_reading)
        producer.offer(model, wine_model)
    traffic = run_bounded(
        "broadcast", broker, topics, tmp_path,
        "--record-type", "tests.protos.sensorreading_pb2:SensorReading",
    ).traffic  # fmt: skip
    results = sorted(traffic.results["office"], key=lambda one: one.submissionTs)
    assert [(one.submissionTs, one.result, one.name) for one in results] == [
        (1, 1 + 41 + 6 + 10 + 100, "comfort"),
        (2, 1 - 8 + 200, "comfort"),
        (3, 1 + 3, "comfort"),
    ]
    assert sorted((one.reason, one.payload, one.topic) for one in traffic.letters) == [
        (DeadLetter.INVALID_RECORD, no_reading.SerializeToString(), topics.data),
        (DeadLetter.MODEL_REJECTED, wine_model.SerializeToString(), topics.models),
    ]
