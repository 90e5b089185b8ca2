"""Which records wait for a model, and what happens to the others."""

from __future__ import annotations

import pytest

from model_serving.core.scoring.waiting import Admitted, NoModelPolicy, WaitingPolicy

RECORDS = (b"1", b"2", b"3")


def said(admitted: Admitted) -> tuple[int, str | None]:
    return admitted.waiting, None if admitted.error is None else str(admitted.error)


@pytest.mark.parametrize(
    ("already_waiting", "waiting"), [(0, 3), (6, 3), (7, 3), (8, 2), (9, 1), (10, 0), (11, 0)]
)
def test_the_buffer_takes_what_fits(already_waiting: int, waiting: int) -> None:
    policy = WaitingPolicy(NoModelPolicy.BUFFER, limit=10, bounded=False)
    assert said(policy.admit("wine", RECORDS, already_waiting)) == (
        waiting,
        "no model for data type 'wine': 10 records wait for one already (--buffer-limit)",
    )


def test_a_buffer_of_nothing_takes_nothing() -> None:
    policy = WaitingPolicy(NoModelPolicy.BUFFER, limit=0, bounded=False)
    assert policy.admit("wine", RECORDS, 0).waiting == 0


def test_dead_letter_refuses_all() -> None:
    policy = WaitingPolicy(NoModelPolicy.DEAD_LETTER, limit=10, bounded=False)
    assert said(policy.admit("wine", RECORDS, 0)) == (
        0,
        "no model for data type 'wine': publish one, then send the record again",
    )


def test_drop_drops_all() -> None:
    policy = WaitingPolicy(NoModelPolicy.DROP, limit=10, bounded=False)
    assert policy.admit("wine", RECORDS, 0) == Admitted(0, None)


@pytest.mark.parametrize("no_model", NoModelPolicy)
def test_in_a_bounded_run_every_record_waits_whatever_the_limit(no_model: NoModelPolicy) -> None:
    policy = WaitingPolicy(no_model, limit=1, bounded=True)
    assert policy.admit("wine", RECORDS, 1_000) == Admitted(3, None)


@pytest.mark.parametrize(
    ("no_model", "why"),
    [
        (NoModelPolicy.BUFFER, "no model for data type 'wine': none came before the end of the input"),
        (NoModelPolicy.DEAD_LETTER, "no model for data type 'wine': none came before the end of the input"),
        (NoModelPolicy.DROP, None),
    ],
)
def test_at_the_end_of_a_bounded_run(no_model: NoModelPolicy, why: str | None) -> None:
    error = WaitingPolicy(no_model, limit=1, bounded=True).at_end("wine")
    assert (None if error is None else str(error)) == why


def test_the_policies_are_spelled_as_the_flag_says() -> None:
    assert [policy.value for policy in NoModelPolicy] == ["buffer", "dead-letter", "drop"]
