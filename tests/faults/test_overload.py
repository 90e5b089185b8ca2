"""Some seconds of overload; ``make overload MINUTES=10`` is more of it, and looks at the memory's trend."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.figures import Latency
from model_serving.client.broker.embedded import EmbeddedBroker
from tests.faults.overload import Overload
from tests.faults.overload_findings import Findings, Phase, Sample

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

FAST, SLOW = Latency(100, 5, 10, 20, 40, 6), Latency(100, 500, 900, 2000, 4000, 600)


def samples(*, lag: int = 50_000, rises_mib: float = 0) -> tuple[Sample, ...]:
    """300 s of overload; ``rises_mib``: a second."""
    flooded = [Sample(Phase.OVERLOAD, at_s, lag, 1000 + at_s * rises_mib) for at_s in range(300)]
    calm = [Sample(phase, 0, 0, 1000) for phase in Phase if phase is not Phase.OVERLOAD]
    return (*flooded, *calm)


GOOD = Findings(
    before=FAST,
    after=FAST,
    samples=samples(),
    overload_s=300,
    drained_s=10,
    completed_checkpoints=60,
    produced=1_010_200,
    in_topic=1_010_200,
    results=1_001_200,
    letters=9_000,
    without_model=10_000,
    waited=1_000,
    buffered=1_000,
    restarts=0,
)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({}, []),
        ({"samples": samples(lag=50)}, ["it was no overload"]),
        ({"restarts": 1}, ["the job restarted 1 times"]),
        ({"completed_checkpoints": 0}, ["no checkpoint completed"]),
        ({"results": 1_001_199}, ["records are lost or doubled"]),
        ({"produced": 1_010_201}, ["records are lost or doubled"]),
        ({"waited": 1_001, "letters": 8_999, "results": 1_001_201}, ["of 10,000 records without a model"]),
        ({"after": SLOW}, ["latency is not back: p50", "latency is not back: p99"]),
        ({"samples": samples(rises_mib=1)}, ["memory grew by 20."]),
        ({"samples": samples(rises_mib=9)}, ["memory grew by ", "memory grew by 2,691 MiB"]),
    ],
)
def test_a_promise_that_is_broken_is_told(found: dict[str, Any], says: list[str]) -> None:
    broken = dataclasses.replace(GOOD, **found).broken()
    assert [line[: len(start)] for line, start in zip(broken, says, strict=True)] == says


def test_a_producer_that_is_faster_than_the_job(
    broker: EmbeddedBroker, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    found = Overload("keyed", broker, tmp_path).run(4, print, modest_s=4, settle_s=2)
    print(found)
    record_property("overload", str(found))
    assert found.broken() == []
