"""The rate at which a section sends: a number, or half of the job's rate in the stored backlog."""

from __future__ import annotations

from collections.abc import Mapping

from bench.errors import BenchError
from bench.figures import spread
from bench.store import Store

__all__ = ["HALF", "rate_of"]

HALF = "half"


def rate_of(
    store: Store,
    rate: str,
    key: Mapping[str, str | int],
    *,
    of: tuple[str, ...],
    sections: tuple[str, ...] = ("backlog",),
) -> float:
    """Returns records a second. ``half`` means half of the best median rate that is stored in ``sections``.

    Only the cases are used that agree with ``key`` in the parts ``of``, in job flags and in data types.

    Raises:
        BenchError: ``rate`` is neither a number nor ``half``, or no rate is stored.
    """
    if rate != HALF:
        try:
            return float(rate)
        except ValueError:
            raise BenchError(f"--rates {rate}: give numbers, or '{HALF}'") from None
    medians = [
        spread(values).median
        for section in sections
        for case in store.cases(section)
        if all(case.key.get(part) == key[part] for part in of)
        and all(case.key.get(part) == key.get(part) for part in ("flags", "types"))
        and (values := case.values("ours", "rate"))
    ]
    if not medians:
        raise BenchError(f"no stored throughput to take half of: run `python -m bench {sections[0]}` first")
    return float(round(max(medians) / 2, -2))
