"""The comparison that all faults are judged by sees what is wrong."""

from __future__ import annotations

import pytest

from model_serving.protos.servingresult_pb2 import ServingResult
from tests.faults.numbered_load import answer
from tests.faults.tally import Tally, longest_silence, tally

pytestmark = pytest.mark.faults


def result(number: int, version: int, value: float | None = None) -> ServingResult:
    right = answer(version, number)
    return ServingResult(submissionTs=number, version=f"v{version}", result=right if value is None else value)


@pytest.mark.parametrize(
    ("results", "lost", "doubled", "wrong"),
    [
        ([result(1, 1), result(2, 2), result(3, 2)], [], [], 0),
        ([result(1, 1), result(3, 2)], [2], [], 0),
        ([result(1, 1), result(2, 1), result(2, 2), result(3, 2)], [], [2], 0),
        # Another version's answer, a record that was never sent, a version that was never published, and one
        # that had been replaced when the record was sent.
        ([result(1, 1, answer(2, 1)), result(2, 2), result(3, 2)], [], [], 1),
        ([result(1, 1), result(2, 2), result(3, 2), result(4, 2)], [], [], 1),
        ([result(1, 3), result(2, 2), result(3, 2)], [], [], 1),
        ([result(1, 1), result(2, 2), result(3, 1)], [], [], 1),
    ],
)
def test_what_is_lost_doubled_or_wrong(
    results: list[ServingResult], lost: list[int], doubled: list[int], wrong: int
) -> None:
    found = tally({"a": 3}, {"a": results}, versions={"a": 2}, floor={"a": {3: 2}})
    assert found == Tally(
        3, tuple(("a", one) for one in lost), tuple(("a", one) for one in doubled), found.wrong
    )
    assert len(found.wrong) == wrong


def test_the_longest_silence_after_a_fault() -> None:
    assert longest_silence([1.0, 2.0, 2.5, 7.5, 8.0, 10.0], since_s=2.2) == (2.5, 7.5)
    assert longest_silence([1.0, 6.0, 6.5], since_s=2.0) == (2.0, 6.0)
