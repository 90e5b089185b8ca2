"""Counts where words stand in a text, spelled the same or almost (PMML 4.4: TextIndex)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["edit_distance", "occurrences"]


def occurrences(words: Sequence[str], term: Sequence[str], most: int, *, best: bool) -> int:
    """Returns how often a term stands in a text with at most ``most`` letters changed, added or left out.

    With ``best`` only the places count that have the fewest such letters.
    """
    found: list[int] = []
    for start in range(len(words) - len(term) + 1 if term else 0):
        distance = 0
        for word, wanted in zip(words[start : start + len(term)], term, strict=True):
            distance += edit_distance(word, wanted, most - distance)
            if distance > most:
                break
        else:
            found.append(distance)
    return found.count(min(found)) if best and found else len(found)


def edit_distance(left: str, right: str, most: int) -> int:
    """Returns the Levenshtein distance of two words, ``most`` + 1 where it is greater than ``most``."""
    if left == right:
        return 0
    if most <= 0 or abs(len(left) - len(right)) > most:
        return most + 1
    row = list(range(len(right) + 1))
    for place, letter in enumerate(left, start=1):
        before, row[0] = row[0], place
        for column, other in enumerate(right, start=1):
            before, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, before + (letter != other)),
            )
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)
