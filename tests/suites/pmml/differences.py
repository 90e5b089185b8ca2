"""Rows on which the reference evaluator and the standard differ, where this project follows the standard.

Each entry quotes the rule of the standard. A row that is not listed and differs counts as wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

__all__ = ["DIFFERENCES", "reason_for"]

DIFFERENCES: Mapping[str, tuple[Collection[int], str]] = {}
"""By document: the places of its rows, and the rule of the standard (PMML 4.4) that decides."""


def reason_for(document: str, row: int) -> str | None:
    """Returns the rule by which a row may differ from the reference, None when it must not."""
    rows, rule = DIFFERENCES.get(document, ((), ""))
    return rule if row in rows else None
