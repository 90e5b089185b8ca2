"""Models of all kinds replace each other many times a second while records flow, and nothing goes wrong.

MODEL_SERVING_SWAP_SECONDS=60 makes the storm longer than it is in the suite.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import cycle, groupby
from operator import attrgetter

import pytest

from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.protos.servingresult_pb2 import ServingResult
from tests.job_models import SAMPLES, sample_records
from tests.job_traffic import Traffic

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

SECONDS = float(os.environ.get("MODEL_SERVING_SWAP_SECONDS", "6"))
SWAP_EVERY_S = 0.2
RECORDS_PER_S = 2000
MODELS = [
    SAMPLES[name]
    for name in ("decision-tree", "linear-regression", "frozen-graph", "saved-model", "onnx-regression")
]
KNOWN = 5
"""The number of records whose results are known for each model; the storm sends them again and again."""

IN_FLIGHT_MS = 2
"""The greatest time between a result and the time of its version in the keyed job, where the instance that
serves reports its own swap. In the broadcast job the last of all instances reports for all."""


def test_a_storm_of_swaps_loses_doubles_and_mixes_up_nothing(job: Traffic) -> None:
    of_version = {job.serve(model.message("storm")).version: model for model in MODELS}
    assert len(of_version) == len(MODELS)

    count, swaps = _storm(job)
    results = job.await_results("storm", count)
    statuses = job.await_statuses("storm", len(MODELS) + swaps)

    # Nothing lost, nothing doubled: `ts` numbers the records.
    assert sorted(result.submissionTs for result in results) == list(range(1, count + 1))
    assert [letter for letter in job.letters if letter.dataType == "storm"] == []
    assert {status.state for status in statuses} == {ModelStatus.ACTIVE}
    # Each result is what its version answers, not what another one does.
    for result in results:
        model = of_version[result.version]
        expected = model.expected[(result.submissionTs - 1) % KNOWN]
        assert abs(result.result - expected) <= model.tolerance, result
        assert result.name == model.key
    # Each version was active at the time.
    strays = list(_outside_of_their_time(results, statuses))
    print(
        f"\n{job.variant}: {count} records, {len(statuses)} swaps in {SECONDS:g} s, "
        f"{len({result.version for result in results})} versions, farthest from its time: {max(strays)} ms"
    )
    if job.variant == "keyed":
        assert max(strays) <= IN_FLIGHT_MS
    if job.variant in {"keyed", "server"}:
        assert [result.submissionTs for result in results] == list(range(1, count + 1))
    # One instance serves all records of the one partition, so the versions come in the order of their swaps.
    swapped = iter(status.version for status in statuses)
    for version, _ in groupby(result.version for result in sorted(results, key=attrgetter("submissionTs"))):
        assert version in swapped


def _storm(job: Traffic) -> tuple[int, int]:
    """Sends records and models, no faster than at their rates, and returns the number of each."""
    records = sample_records("storm", KNOWN)
    models = cycle(model.message("storm") for model in MODELS)
    start = time.monotonic()
    sent = swaps = 0
    # A busy machine takes longer, and has the same number of records.
    while sent < SECONDS * RECORDS_PER_S:
        elapsed = time.monotonic() - start
        while sent < min(elapsed, SECONDS) * RECORDS_PER_S:
            record = records[sent % KNOWN]
            sent += 1
            record.ts = sent
            job.stream(record)
        while swaps < min(elapsed, SECONDS) / SWAP_EVERY_S:
            swaps += 1
            job.offer_later(next(models))
        time.sleep(0.002)
    job.flush()
    assert swaps >= SECONDS / SWAP_EVERY_S - 1
    return sent, swaps


def _outside_of_their_time(results: list[ServingResult], statuses: list[ModelStatus]) -> Iterator[int]:
    """Returns, for each result, the milliseconds to the nearest time at which its version was active."""
    ends = [status.ts for status in statuses[1:]] + [max(result.served_ts for result in results)]
    spans: dict[str, list[tuple[int, int]]] = {}
    for status, end in zip(statuses, ends, strict=True):
        spans.setdefault(status.version, []).append((status.ts, end))
    for result in results:
        yield min(
            max(start - result.served_ts, result.served_ts - end, 0) for start, end in spans[result.version]
        )
