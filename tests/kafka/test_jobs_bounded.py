"""Bounded runs read what is there, give every record its result or its dead letter, and end by themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.message import Message

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.messaging.topics import TopicNames
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.protos.servingresult_pb2 import ServingResult
from tests.job_models import SAMPLES, regression_pmml, sample_records
from tests.job_serving import fresh_topics
from tests.job_traffic import Traffic
from tests.jobs import VARIANTS, FlinkRun, job_flags
from tests.protos.sensorreading_pb2 import SensorReading
from tests.statistics_topic import assert_statistics_agree

pytestmark = pytest.mark.kafka


def outputs_of(topics: TopicNames, broker: EmbeddedBroker) -> TopicNames:
    """Returns topics with the same inputs and new outputs."""
    fresh = fresh_topics(broker)
    return TopicNames(
        topics.models, topics.data, fresh.results, fresh.dead_letters, fresh.status, fresh.stats
    )


@contextmanager
def filled(
    broker: EmbeddedBroker, models: list[Message], records: list[Message | bytes], *, partitions: int
) -> Iterator[TopicNames]:
    """Gives topics with everything that a bounded run must read."""
    topics = fresh_topics(broker, partitions=partitions)
    with Traffic("producer", broker.bootstrap_servers, topics, lambda: None) as traffic:
        traffic.send(*records)
        traffic.offer(*models)
        yield topics


def run_bounded(
    variant: str, broker: EmbeddedBroker, topics: TopicNames, folder: Path, *flags: str
) -> tuple[str, Traffic]:
    """Runs to the end, and returns the printed text and the messages."""
    folder.mkdir()
    written = outputs_of(topics, broker)
    all_flags = [
        *job_flags(broker.bootstrap_servers, written, folder / "checkpoints", written.results),
        "--bounded",
        *flags,
    ]
    with FlinkRun(variant, all_flags, folder / "job.log") as job:
        assert job.await_end(within_s=90) == 0, job.printed()
        assert job.left_over() == []
    # The end of the run comes after everything is written: what is read from here to the end is all there is.
    with Traffic(variant, broker.bootstrap_servers, written, lambda: None) as traffic:
        traffic.await_end()
    return job.printed(), traffic


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


def test_every_record_is_accounted_for_and_both_jobs_agree(broker: EmbeddedBroker, tmp_path: Path) -> None:
    models: list[Message] = [sample.message(key) for key, sample in SAMPLES.items()]
    # More than one vector of each partition, and more than may wait without a bound.
    records: list[Message | bytes] = [record for key in SAMPLES for record in sample_records(key, 1500)]
    orphans = sample_records("orphan", 700)
    bad = [b"", b"\xff", b"\x61"]
    records[4000:4000] = orphans[:350]
    records = [*records, *orphans[350:], *bad]
    wanted = sorted((key, ts) for key in SAMPLES for ts in range(1, 1501))
    with filled(broker, models, records, partitions=3) as topics:
        outcome = {}
        for variant, parallelism in zip(VARIANTS, ("1", "2"), strict=True):
            printed, traffic = run_bounded(
                variant,
                broker,
                topics,
                tmp_path / variant,
                "--parallelism",
                parallelism,
                "--buffer-limit",
                "100",
            )
            assert printed.splitlines()[-1] == f"{variant}.py: finished"
            outcome[variant] = WhatCounts.of(traffic.results)
            assert [one[:2] for one in outcome[variant].texts] == wanted
            assert Counter((one.payload, one.reason) for one in traffic.letters) == Counter(
                [
                    *((orphan.SerializeToString(), DeadLetter.NO_MODEL) for orphan in orphans),
                    (bad[0], DeadLetter.INVALID_RECORD),
                    (bad[1], DeadLetter.UNPARSABLE),
                    (bad[2], DeadLetter.UNPARSABLE),
                ]
            )
            assert {key: [one.state for one in of_type] for key, of_type in traffic.statuses.items()} == {
                key: [ModelStatus.ACTIVE] for key in SAMPLES
            }
            assert_statistics_agree(broker, traffic)
            for key, sample in SAMPLES.items():
                first = sorted(traffic.results[key], key=lambda one: one.submissionTs)[: len(sample.expected)]
                assert [one.result for one in first] == pytest.approx(sample.expected, abs=sample.tolerance)
    assert outcome["keyed"].texts == outcome["broadcast"].texts
    # TensorFlow rounds a float32 differently in batches of different lengths.
    np.testing.assert_allclose(outcome["keyed"].numbers, outcome["broadcast"].numbers, rtol=0, atol=2e-6)


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
    with filled(broker, [model, wine_model], [*readings, no_reading], partitions=1) as topics:
        _, traffic = run_bounded(
            "broadcast", broker, topics, tmp_path / "job",
            "--record-type", "tests.protos.sensorreading_pb2:SensorReading",
        )  # fmt: skip
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
