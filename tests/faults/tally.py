"""Compares the multiset of results with the records that were sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from model_serving.protos.servingresult_pb2 import ServingResult
from tests.faults.numbered_load import is_right

__all__ = ["Tally", "longest_silence", "tally"]

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Tally:
    """The number of sent records, and the errors in the results.

    ``lost`` and ``doubled`` are (data type, number). ``wrong`` are results that are not the answer of their
    version, of records that were never sent, or of versions that cannot have scored them.
    """

    sent: int
    lost: tuple[tuple[str, int], ...]
    doubled: tuple[tuple[str, int], ...]
    wrong: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.sent} sent, lost {len(self.lost)} {self.lost[:_SHOWN]}, "
            f"doubled {len(self.doubled)} {self.doubled[:_SHOWN]}, "
            f"wrong {len(self.wrong)} {self.wrong[:_SHOWN]}"
        )


def tally(
    sent: Mapping[str, int],
    results: Mapping[str, Sequence[ServingResult]],
    *,
    versions: Mapping[str, int],
    floor: Mapping[str, Mapping[int, int]] | None = None,
) -> Tally:
    """Compares results with the records 1 … ``sent[data type]`` of each data type.

    ``versions`` is the last version of each data type that was published; ``floor`` the oldest version that
    may have scored a record, by its number, where that is known (1 elsewhere).
    """
    lost: list[tuple[str, int]] = []
    doubled: list[tuple[str, int]] = []
    wrong: list[str] = []
    for data_type in {*sent, *results}:
        count, lowest = sent.get(data_type, 0), (floor or {}).get(data_type, {})
        seen = Counter(result.submissionTs for result in results.get(data_type, ()))
        lost += [(data_type, number) for number in range(1, count + 1) if not seen[number]]
        doubled += [(data_type, number) for number, times in sorted(seen.items()) if times > 1]
        for result in results.get(data_type, ()):
            number = result.submissionTs
            valid = range(lowest.get(number, 1), versions[data_type] + 1)
            version = int(result.version.removeprefix("v"))
            if not (is_right(result) and 1 <= number <= count and version in valid):
                wrong.append(f"{data_type} {number}: {result.result} by {result.version}, valid: {valid}")
    return Tally(sum(sent.values()), tuple(lost), tuple(doubled), tuple(wrong))


def longest_silence(received_s: Sequence[float], since_s: float) -> tuple[float, float]:
    """Returns the begin and the end of the longest time without a result after ``since_s``."""
    times = [since_s, *(one for one in sorted(received_s) if one > since_s)]
    return max(pairwise(times), key=lambda gap: gap[1] - gap[0])
