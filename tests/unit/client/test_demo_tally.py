"""The counts of the demo, and its settings."""

from __future__ import annotations

import math

import pytest

from model_serving.client.decoding import Kind
from model_serving.client.demo.__main__ import DemoSettings, read_settings
from model_serving.client.demo.tally import Swap, Tally, VersionTally, quantile
from model_serving.client.errors import WrongCall
from model_serving.messaging.topics import TopicNames
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.protos.servingresult_pb2 import ServingResult


def result(version: str, latency_ms: float, data_type: str = "wine") -> bytes:
    return ServingResult(
        name="m",
        version=version,
        dataType=data_type,
        modeltype=ModelDescriptor.PMML,
        result=6.0,
        scoring_ns=2_000,
        latency_ms=latency_ms,
    ).SerializeToString()


def test_results_dead_letters_and_swaps_are_counted() -> None:
    tally = Tally("wine", TopicNames())
    tally.add(
        Kind.STATUS,
        ModelStatus(
            dataType="wine", name="m", version="v1", state=ModelStatus.ACTIVE, load_ms=3
        ).SerializeToString(),
        at_s=0.5,
    )
    tally.add(
        Kind.STATUS,
        ModelStatus(dataType="other", name="m", version="v9", state=ModelStatus.ACTIVE).SerializeToString(),
        at_s=0.6,
    )
    tally.add(Kind.RESULTS, result("v1", 5), at_s=1)
    tally.add(Kind.RESULTS, result("v1", 7), at_s=1)
    tally.add(Kind.RESULTS, result("v1", 7, data_type="other"), at_s=1)
    tally.add(
        Kind.DEAD_LETTERS, DeadLetter(reason=DeadLetter.NO_MODEL, topic="mdata").SerializeToString(), at_s=2
    )
    tally.add(
        Kind.DEAD_LETTERS,
        DeadLetter(reason=DeadLetter.MODEL_REJECTED, topic="models").SerializeToString(),
        at_s=2,
    )
    assert tally.versions == {("m", "v1"): VersionTally("m", "v1", "PMML", 4_000, 12.0, [5.0, 7.0])}
    assert tally.swaps == [Swap(0.5, "m", "v1", "", 3.0)]
    assert (tally.results, tally.settled, tally.serving) == (2, 3, tally.swaps[0])
    assert (dict(tally.dead_records), dict(tally.dead_models)) == ({"NO_MODEL": 1}, {"MODEL_REJECTED": 1})
    version = tally.versions["m", "v1"]
    assert (version.records, version.mean_scoring_us, version.mean_result) == (2, 2.0, 6.0)


def test_the_recent_rate_forgets_what_is_older_than_three_seconds() -> None:
    tally = Tally("wine", TopicNames())
    for second in range(10):
        tally.add(Kind.RESULTS, result("v1", float(second)), at_s=second)
    assert tally.recent(9.5) == (1.0, 8.0, 9.0)


def test_quantiles_are_nearest_rank() -> None:
    ordered = [float(value) for value in range(1, 101)]
    assert (quantile(ordered, 0.5), quantile(ordered, 0.99), quantile([4.0], 0.99)) == (50.0, 99.0, 4.0)
    assert math.isnan(quantile([], 0.5))


def test_settings_come_from_the_environment() -> None:
    assert read_settings({}) == DemoSettings(60.0, "keyed")
    assert read_settings({"DEMO_SECONDS": "5", "JOB": "broadcast"}) == DemoSettings(5.0, "broadcast")


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"DEMO_SECONDS": "0"}, "from 1 up"),
        ({"DEMO_SECONDS": "x"}, "from 1 up"),
        ({"JOB": "x"}, "keyed, broadcast, server, spark, spark-keyed or spark-broadcast"),
    ],
)
def test_a_wrong_setting_is_a_wrong_call(environ: dict[str, str], said: str) -> None:
    with pytest.raises(WrongCall, match=said):
        read_settings(environ)
