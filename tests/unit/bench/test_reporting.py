"""Latencies around the reports of statistics, beside all others."""

from __future__ import annotations

import numpy as np
import pytest

from bench.errors import BenchError
from bench.reporting import beside_reports


def test_records_around_a_report_are_set_apart() -> None:
    submitted = np.arange(10_000, 13_000)
    reports = np.array([12_500, 10_500, 20_000])
    near = np.zeros(3_000, bool)
    near[460:561] = near[2460:2561] = True
    found = beside_reports(submitted, np.where(near, 30, 2), reports)
    assert found["near_share"] == pytest.approx(202 / 3000)
    assert (found["others_mean_ms"], found["others_p50_ms"], found["others_p99_ms"]) == (2.0, 2.5, 2.99)
    assert found["all_p99_ms"] > 30
    assert found["all_mean_ms"] == pytest.approx(2 + 28 * 202 / 3000)


def test_without_reports_nothing_can_be_compared() -> None:
    records = np.arange(10)
    with pytest.raises(BenchError, match="stats-topic"):
        beside_reports(records, records, np.zeros(0, np.int64))
    with pytest.raises(BenchError, match="less often"):
        beside_reports(records, records, np.array([5]))
