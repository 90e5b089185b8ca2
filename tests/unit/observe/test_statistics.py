"""A board adds up the reports of all instances, and tells what came lately from two successive ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from model_serving.core.errors import UnparsableMessage
from model_serving.core.statistics.fields import FieldStatistics, Reference
from model_serving.core.statistics.results import Results
from model_serving.observe.answers import (
    Bin,
    FieldDrift,
    Point,
    ResultSummary,
    Series,
    Summary,
    Swap,
    Version,
)
from model_serving.observe.board import Board
from model_serving.observe.limits import Limits
from model_serving.observe.ranking import Order
from model_serving.observe.values import Change, Place
from model_serving.protos.modelstatus_pb2 import ModelStatus
from tests.unit.observe.sent import active, removed, statistics

START = 1_700_000_000_000


class Told:
    """A board with a clock that the test sets, and messages that come one after the other."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.now = START
        self.board = Board(lambda: self.now, limits)
        self._offset = 0

    def __call__(self, *messages: ModelStatus | bytes) -> Board:
        for message in messages:
            place = Place(0, self._offset)
            self._offset += 1
            if isinstance(message, bytes):
                self.board.add_statistics(message, place)
            else:
                self.board.add_status(message, place)
        return self.board


def near(*numbers: float) -> list[Any]:
    return [about(number, rel=0.01) for number in numbers]


def about(number: float, rel: float | None = None, abs: float | None = None) -> Any:  # noqa: A002
    return pytest.approx(number, rel=rel, abs=abs)


def test_instances_and_runs_are_added_up_and_the_last_report_counts() -> None:
    board = Told()(
        active(START, "v1"),
        statistics(START + 1, [1.0]),
        statistics(START + 2, [1.0, 3.0], failed=2, missing=1),
        statistics(START + 1, [1.0]),
        statistics(START + 2, [5.0], instance="1"),
        statistics(START + 2, [7.0], run="before"),
        statistics(START + 2, [100.0], version="v0"),
        statistics(START + 2, version="", without_model=4),
    )
    answer = board.data_type("wine")
    assert answer is not None
    assert (answer.scored, answer.failed, answer.missing, answer.without_model) == (4, 2, 1, 4)
    assert answer.heard == START + 2
    assert answer.latency == Summary(4, 16.0, 1.0, 7.0, *near(3, 5, 5, 5))
    assert answer.scoring == Summary(4, about(1.6), 0.1, 0.7, *near(0.3, 0.5, 0.5, 0.5))


def test_what_was_computed_of_a_version_is_computed_anew_after_a_report() -> None:
    told = Told()
    told(active(START, "v1"), statistics(START + 1, [1.0]))
    assert [told.board.versions("wine")[0].scored for _ in range(2)] == [1, 1]
    told(statistics(START + 2, [1.0, 3.0]))
    assert told.board.versions("wine")[0].scored == 2
    told(statistics(START + 2, [5.0], instance="1"))
    assert told.board.versions("wine")[0].latency == Summary(3, 9.0, 1.0, 5.0, *near(3, 3, 3, 3))


def test_versions_with_results_and_drift() -> None:
    results = Results()
    results.add(np.array([3.0, 5.0, 5.0, 7.0]), ["a", "b", "b", "c"])
    fields = [
        FieldStatistics(
            "pH", 200, 50, 450.0, (3.0,), (100, 50), Reference("examples", 40, 10, 60.0, (10, 20))
        ),
        FieldStatistics("ash", 0, 0, 0.0),
    ]
    told = Told()
    board = told(
        active(START, "v1", description="first"),
        active(START + 10, "v2", "v1", modeltype=2, sha256="ab"),
        statistics(START + 20, [1.0, 3.0], since=START, until=START + 10, results=results, fields=fields),
        statistics(START + 20, [9.0], version="lost", since=START - 50, until=START - 40, sha256="cd"),
        statistics(START + 20, version=""),
    )
    assert board.versions("wine") == (
        Version("wine", "v2", "m", model_type=2, sha256="ab", serves=True, since=START + 10),
        Version(
            "wine",
            "v1",
            "m",
            "first",
            since=START,
            until=START + 10,
            scored=2,
            scoring=Summary(2, 0.4, 0.1, 0.3, *near(0.1, 0.1, 0.1, 0.1)),
            latency=Summary(2, 4.0, 1.0, 3.0, *near(1, 1, 1, 1)),
            results=ResultSummary(
                {"b": 2, "a": 1, "c": 1},
                numbers=Summary(4, 20.0, 3.0, 7.0, *near(5, 5, 5, 5)),
                mean=5.0,
                deviation=about(2**0.5),
                histogram=tuple(
                    Bin(about(3 + 0.2 * place), about(3.2 + 0.2 * place), count)
                    for place, count in enumerate([1, *[0] * 9, 2, *[0] * 8, 1])
                ),
            ),
            fields=(
                FieldDrift("pH", 200, 0.25, 3.0, "examples", 40, 0.25, 2.0, about(0.462, abs=0.001), True),
                FieldDrift("ash", 0),
            ),
        ),
        Version(
            "wine",
            "lost",
            "m",
            sha256="cd",
            since=START - 50,
            until=START - 40,
            scored=1,
            scoring=Summary(1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9),
            latency=Summary(1, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0),
        ),
    )
    assert board.versions("beer") == ()


def counted(below: int, above: int) -> FieldStatistics:
    reference = Reference("examples", 100, 0, 300.0, (50, 50))
    return FieldStatistics("pH", below + above, 0, 3.0 * (below + above), (3.0,), (below, above), reference)


def test_what_came_lately_is_told_apart_from_what_came_since_the_version_began() -> None:
    minute = 60_000
    told = Told()
    told(active(START, "v1"), statistics(START, fields=[counted(50_000, 50_000)]))
    assert told.board.versions("wine")[0].lately == ()
    for minutes in range(1, 31):
        told(statistics(START + minutes * minute, fields=[counted(50_000, 50_000 + 20 * minutes)]))
    (version,) = told.board.versions("wine")
    assert (version.fields[0].count, version.fields[0].drifted) == (100_600, False)
    # The reports are marked after 0, 10 and 20 minutes; the last two marks are kept.
    (lately,) = version.lately
    assert (lately.count, lately.drifted) == (400, True)


def throughput(told: Told) -> float:
    answer = told.board.data_type("wine")
    assert answer is not None
    return answer.throughput


def test_throughput_is_what_two_successive_reports_differ_by() -> None:
    told = Told()
    told(active(START, "v1"), statistics(START, [1.0] * 5, since=START - 100_000))
    assert throughput(told) == 0
    told(statistics(START + 2000, [1.0] * 25), statistics(START + 1000, [1.0] * 3, instance="1", since=START))
    assert throughput(told) == 10 + 3
    told.now = START + 3000
    assert throughput(told) == 10 + 3
    told.now = START + 3001
    assert throughput(told) == 10, "instance 1 reported once a second; three of its reports are missing now"
    told.now = START + 6001
    assert throughput(told) == 0


def test_reports_of_a_version_that_has_ended_give_no_throughput() -> None:
    told = Told()
    told(statistics(START, [1.0] * 5, since=START), statistics(START + 1000, [1.0] * 25, until=START + 900))
    assert throughput(told) == 0


def test_old_reports_give_no_throughput_when_they_are_read_for_the_first_time() -> None:
    told = Told()
    told.now = START + 3_600_000
    told(statistics(START, [1.0] * 5, since=START), statistics(START + 1000, [1.0] * 25))
    assert throughput(told) == 0
    assert told.board.series("wine") == Series("wine", 1, (), ())


def test_reports_that_are_read_late_say_nothing_about_now() -> None:
    told = Told()
    told.now = START + 9001
    told(statistics(START, [1.0] * 5, since=START), statistics(START + 1000, [1.0] * 25))
    assert throughput(told) == 0
    told.now = START + 9000
    assert throughput(told) == 20


@pytest.mark.parametrize("apart_ms", [-40_000, 40_000])
def test_clocks_may_be_apart(apart_ms: int) -> None:
    told = Told()
    told(statistics(START + apart_ms, [1.0] * 5, since=START + apart_ms))
    told.now = START + 1000
    told(statistics(START + apart_ms + 1000, [1.0] * 25))
    assert throughput(told) == 20
    told.now = START + 4001
    assert throughput(told) == 0


def test_an_instance_that_counts_from_nothing_again() -> None:
    told = Told()
    board = told(
        active(START, "v1"),
        statistics(START, [1.0] * 5, since=START),
        statistics(START + 1000, [2.0] * 3, since=START),
    )
    answer = board.data_type("wine")
    assert answer is not None
    assert (answer.scored, answer.throughput) == (3, 3)


def test_the_course_is_told_by_second_with_the_swaps_in_it() -> None:
    told = Told()
    told.now = START + 5000
    board = told(
        active(START - 700_000, "v0"),
        active(START + 1500, "v1", "v0"),
        removed(START + 2500),
        statistics(START, [1.0] * 50, since=START - 100_000),
        statistics(START + 2000, [1.0] * 50 + [4.0] * 10, failed=2),
        statistics(START + 3000, [2.0] * 4, failed=1, instance="1", since=START + 1000),
    )
    # The other instance may still report about the last second.
    assert [point.ts for point in board.series("wine").points] == [START, START + 1000]
    told.now = START + 8000
    assert board.series("wine") == Series(
        "wine",
        1,
        (
            Point(START, 5, 1, *near(4, 4)),
            Point(START + 1000, 5 + 2, 1.5, *near(4, 4)),
            Point(START + 2000, 2, 0.5, *near(2, 2)),
        ),
        (
            Swap(START + 1500, Change("ACTIVE", "m", "v1", "v0", START + 1500, subtasks=(0,))),
            Swap(START + 2500, Change("REMOVED", "", "", "v1", START + 2500, subtasks=(0,))),
        ),
    )
    told.now = START + 601_000
    assert [point.ts for point in board.series("wine").points] == [START + 1000, START + 2000]


def test_a_second_under_way_has_no_point_and_one_without_further_reports_has_one() -> None:
    told = Told()
    # Reports come in the middle of a second.
    for half in range(1, 5):
        told.now = START + 1000 * half + 500
        told(statistics(told.now, [1.0] * 100 * half, since=START + 500))
        assert {round(point.throughput) for point in told.board.series("wine").points[1:]} <= {100}
    assert [point.ts - START for point in told.board.series("wine").points] == [0, 1000, 2000]
    told.now = START + 10_000
    points = told.board.series("wine").points
    assert [round(point.throughput) for point in points] == [50, 100, 100, 100, 50]


def test_points_stand_for_longer_intervals_where_there_are_too_many() -> None:
    told = Told(Limits(series_points=40))
    for second in range(1, 60):
        told.now = START + 1000 * second
        told(statistics(told.now, [1.0] * second, since=START))
    told.now += 6000
    series = told.board.series("wine")
    assert series.interval_s == 5
    assert len(series.points) <= 40
    assert sum(point.throughput * series.interval_s for point in series.points) == about(59)


def test_points_are_forgotten_where_there_are_too_many_data_types() -> None:
    told = Told(Limits(series_points=10))
    for number in range(60):
        told.now = START + 1000 * number
        told(statistics(told.now, [1.0], since=told.now - 1000, data_type=str(number)))
    told.now += 120_000
    kept = sum(len(told.board.series(str(number)).points) for number in range(60))
    assert 0 < kept <= 10
    assert told.board.series("59").points != ()


def test_times_that_are_not_of_this_world_leave_no_points() -> None:
    told = Told()
    board = told(
        statistics(START + 10_000_000, [1.0], since=START + 10_000_000 - 5),
        statistics(5, [1.0], since=1, instance="1"),
    )
    assert board.series("wine").points == ()


def test_the_oldest_instances_are_added_up_where_there_are_too_many() -> None:
    told = Told(Limits(sources=2))
    told(
        active(START, "v1"), *(statistics(START + number, [1.0], instance=str(number)) for number in range(5))
    )
    late = statistics(START + 100, [1.0] * 50, instance="0")
    answer = told(late).data_type("wine")
    assert answer is not None
    assert answer.scored == 5
    (version,) = told.board.versions("wine")
    assert (version.scored, version.latency.count, version.name) == (5, 5, "m")
    told = Told(Limits(sources=4, all_sources=6))
    told(*(statistics(START + n, [1.0], instance=str(n), data_type=d) for n in range(4) for d in "ab"))
    assert [told.board.versions(name)[0].scored for name in "ab"] == [4, 4]


def test_the_oldest_versions_are_forgotten_but_not_what_serves() -> None:
    told = Told(Limits(versions=3))
    told(active(START, "v0"), *(statistics(START + n, [1.0], version=f"v{n}") for n in range(6)))
    assert [one.version for one in told.board.versions("wine")] == ["v0", "v4", "v5"]


def test_lists_are_sorted_by_what_is_counted() -> None:
    told = Told()
    for name, latencies in (("a", [1.0]), ("b", [3.0]), ("c", [2.0, 2.0])):
        told(active(START, "v1", dataType=name), statistics(START + 1, latencies, data_type=name))

    def names(order: Order) -> list[str]:
        return [one.data_type for one in told.board.data_types(order=order, descending=True).data_types]

    assert names(Order.P99) == names(Order.P50) == ["b", "c", "a"]
    assert names(Order.SCORED) == ["c", "a", "b"]


def test_what_is_no_report_is_refused_and_changes_nothing() -> None:
    board = Board(lambda: START)
    with pytest.raises(UnparsableMessage, match="not a ModelStatistics message"):
        board.add_statistics(b"\xff\xff", Place(0, 0))
    assert board.add_statistics(statistics(1, data_type=""), Place(0, 1)) is None
    assert len(board) == 0
