"""What the statistics topic says of a run, held against what the output topics hold."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.core.statistics.report import VersionStatistics, merged
from model_serving.messaging.receiving import Start, TopicReader
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.servingresult_pb2 import ServingResult
from model_serving.wire.statistics import decode_statistics
from tests.job_traffic import Traffic
from tests.jobs import eventually

__all__ = ["assert_statistics_agree", "await_statistics_agree", "statistics_of"]


def statistics_of(broker: EmbeddedBroker, topic: str) -> dict[tuple[str, str], VersionStatistics]:
    """The newest reports of all instances and runs, added up, by data type and version."""
    newest: dict[tuple[str, str, str, str], VersionStatistics] = {}
    with TopicReader(broker.kafka, [topic], start=Start.BEGINNING) as reader:
        for received in reader.until_end():
            report = decode_statistics(received.payload)
            newest[report.key] = report
    by_version = defaultdict(list)
    for report in newest.values():
        by_version[report.data_type, report.version].append(report)
    return {version: merged(reports) for version, reports in by_version.items()}


def await_statistics_agree(broker: EmbeddedBroker, traffic: Traffic) -> None:
    """Waits until ``assert_statistics_agree`` holds in a run that goes on: processes report once a second."""
    why = ""

    def agree() -> bool:
        nonlocal why
        try:
            _assert_all_agree(broker, traffic)
        except AssertionError as failed:
            why = str(failed)
            return False
        return True

    eventually(agree, lambda: why, within_s=60, step_s=0.5)


def assert_statistics_agree(broker: EmbeddedBroker, traffic: Traffic) -> None:
    """Every number of the statistics is what a plain reader of the results and of the letters counts.

    The run has ended cleanly, so each version has ended in it.
    """
    for (data_type, version), said in _assert_all_agree(broker, traffic).items():
        assert not said.scored or said.until >= said.since > 0, (data_type, version)


def _assert_all_agree(
    broker: EmbeddedBroker, traffic: Traffic
) -> Mapping[tuple[str, str], VersionStatistics]:
    said = statistics_of(broker, traffic.topics.stats)
    counted: dict[tuple[str, str], list[ServingResult]] = defaultdict(list)
    for results in traffic.results.values():
        for one in results:
            counted[one.dataType, one.version].append(one)
    assert {version: one.scored for version, one in said.items() if one.scored} == {
        version: len(results) for version, results in counted.items()
    }
    for version, results in counted.items():
        _assert_agrees(said[version], results)
    letters: Counter[str] = Counter()
    for report in said.values():
        letters.update(report.dead_letters)
    assert letters == Counter(DeadLetter.Reason.Name(one.reason) for one in traffic.letters)
    return said


def _assert_agrees(said: VersionStatistics, results: list[ServingResult]) -> None:
    assert said.latency.count == said.scoring.count == said.results.numbers.count == len(results)
    assert said.latency.sum == pytest.approx(sum(one.latency_ms for one in results))
    assert said.latency.maximum == max(one.latency_ms for one in results)
    assert said.scoring.sum == pytest.approx(sum(one.scoring_ns for one in results) / 1e6)
    assert said.results.numbers.sum == pytest.approx(sum(one.result for one in results))
    assert said.results.labels == dict(Counter(one.label for one in results if one.label))
    latencies = sorted(one.latency_ms for one in results)
    for q in (0.5, 0.99):
        exact = latencies[int(q * (len(latencies) - 1))]
        assert said.latency.quantile(q) == pytest.approx(exact, rel=0.0101)
