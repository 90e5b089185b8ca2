"""At which rate a section sends: a number, or half of what the job managed in the stored backlog."""

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
    """Records a second. ``half``: of the best median throughput that is stored in ``sections``.

    Those cases count that agree with ``key`` in the parts ``of``, and were measured with its job flags.

    Raises:
        BenchError: it is neither a number nor ``half``, or nothing is stored.
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
        and case.key.get("flags") == key.get("flags")
        and (values := case.values("ours", "rate"))
    ]
    if not medians:
        raise BenchError(f"no stored throughput to take half of: run `python -m bench {sections[0]}` first")
    return float(round(max(medians) / 2, -2))
