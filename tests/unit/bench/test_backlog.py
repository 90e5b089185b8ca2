"""The processor time that a backlog takes, from looks at a job that goes on meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from bench.backlog import Effort


class Job:
    """A job that starts for two seconds of processor time and then takes 5 µs a record."""

    def __init__(self, *results: int) -> None:
        self._results = list(results)

    def processor_s(self) -> float:
        return 2 + 5e-6 * self._results[0]

    def count(self) -> int:
        return self._results.pop(0)


def effort_of(*results: int) -> float | None:
    """What is told after a look at each of these numbers of results."""
    job: Any = Job(*results)
    effort = Effort(job, job.count)
    for number in results:
        assert effort.count() == number
    return effort.processor_us()


def test_the_start_and_the_last_look_do_not_count() -> None:
    # At the last look the job may have been done for a while.
    assert effort_of(0, 0, 1_000, 40_000, 90_000, 100_000) == pytest.approx(5)


@pytest.mark.parametrize("results", [(), (0,), (0, 100), (0, 50, 100), (50, 50, 100)])
def test_a_job_that_is_done_between_two_looks_tells_nothing(results: tuple[int, ...]) -> None:
    assert effort_of(*results) is None
