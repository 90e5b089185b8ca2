"""Folds dead letters: the newest ones, and how many there are of each reason."""

from __future__ import annotations

from collections import Counter

from model_serving.observe.limits import Limits, cut
from model_serving.observe.newest import Newest
from model_serving.observe.values import Letter, Place
from model_serving.protos.deadletter_pb2 import DeadLetter

__all__ = ["LetterFold", "letter_of", "reason_name"]


def reason_name(number: int) -> str:
    """Returns the name of a reason, or the number where a newer program has written one without a name."""
    known = DeadLetter.Reason.DESCRIPTOR.values_by_number.get(number)
    return str(number) if known is None else str(known.name)


def letter_of(message: DeadLetter, place: Place, limits: Limits) -> Letter:
    """Returns what is kept of a dead letter."""
    most = limits.text_characters
    return Letter(
        place=place,
        ts=message.ts,
        reason=reason_name(message.reason),
        detail=cut(message.detail, most),
        payload=message.payload[: limits.payload_bytes],
        size=len(message.payload),
        topic=cut(message.topic, most),
        data_type=message.dataType,
        model=cut(message.model, most),
        version=cut(message.version, most),
    )


class LetterFold:
    """The dead letters of one data type, or of all."""

    __slots__ = ("_counts", "_newest")

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._newest: Newest[Letter] = Newest()

    def add(self, letter: Letter, limit: int) -> int:
        """Adds a letter; returns by how many more are kept now, which may be less than 0."""
        # Numbers without a name must not make an endless number of reasons.
        self._counts[letter.reason if not letter.reason.lstrip("-").isdecimal() else "UNSPECIFIED"] += 1
        return self._newest.add(letter, limit)

    def trim(self, limit: int) -> int:
        """Forgets the oldest letters beyond the limit; returns their number as a number below 0."""
        return self._newest.trim(limit)

    @property
    def counts(self) -> dict[str, int]:
        """How many letters there are of each reason, sorted by name."""
        return dict(sorted(self._counts.items()))

    @property
    def total(self) -> int:
        """How many letters there are of all reasons."""
        return self._counts.total()

    def newest(self, limit: int) -> tuple[Letter, ...]:
        """At most ``limit`` letters, the newest first."""
        return tuple(reversed(list(self._newest)[-limit:])) if limit > 0 else ()

    def __len__(self) -> int:
        return len(self._newest)
