"""Reports add up in any order, and differences are what was counted in between."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from model_serving.core.statistics.report import VersionStatistics, merged
from tests.unit.core.statistics.reports import reports


@settings(max_examples=40)
@given(reports(), reports(), reports())
def test_reports_add_up_in_any_order(
    first: VersionStatistics, second: VersionStatistics, third: VersionStatistics
) -> None:
    one = merged([first, second, third])
    other = merged([merged([third, first]), second])
    for name in ("scored", "failed", "missing", "without_model", "dead_letters", "since", "ts", "until"):
        assert getattr(one, name) == getattr(other, name)
    assert one.latency.count == other.latency.count
    assert list(one.latency.sketch.positive.limits()) == list(other.latency.sketch.positive.limits())
    assert math.isclose(one.latency.sum, other.latency.sum, rel_tol=1e-9)
    assert one.results.labels == other.results.labels
    assert math.isclose(
        one.results.squared_deviations, other.results.squared_deviations, rel_tol=1e-6, abs_tol=1
    )
    assert set(one.fields) == set(other.fields)
    assert one.scored == first.scored + second.scored + third.scored


@settings(max_examples=40)
@given(reports(), reports())
def test_the_sum_less_one_report_is_the_other(first: VersionStatistics, second: VersionStatistics) -> None:
    left = merged([first, second]).minus(first)
    assert left.scored == second.scored
    assert left.dead_letters == second.dead_letters
    assert left.results.labels == second.results.labels
    assert left.scoring.count == second.scoring.count


@given(reports())
def test_adding_up_does_not_change_the_reports(report: VersionStatistics) -> None:
    before = replace(report, dead_letters=dict(report.dead_letters))
    count = report.latency.sketch.count
    merged([report, report])
    assert report == before
    assert report.latency.sketch.count == count


def test_a_version_that_serves_in_one_instance_serves() -> None:
    ended, serves = VersionStatistics(since=5, until=9), VersionStatistics(since=7, until=0)
    assert merged([ended, serves]).until == 0
    assert merged([ended, VersionStatistics(since=3, until=12)]).until == 12
    assert merged([ended, serves]).since == 5


def test_names_that_differ_are_left_out() -> None:
    total = merged(
        [VersionStatistics(run="a", data_type="wine"), VersionStatistics(run="b", data_type="wine")]
    )
    assert (total.run, total.data_type) == ("", "wine")


def test_without_reports_everything_is_zero() -> None:
    assert merged([]) == VersionStatistics()


@given(st.integers(1, 9))
def test_a_report_that_counts_less_has_begun_anew(scored: int) -> None:
    now = VersionStatistics(scored=scored)
    assert now.minus(VersionStatistics(scored=scored + 1)) is now
