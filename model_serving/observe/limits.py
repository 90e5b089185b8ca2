"""How much a board keeps. Whoever writes to the topics chooses names, texts and their number."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits", "cut"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a board; what is beyond them is forgotten, the oldest first.

    A limit for each data type is halved for all of them as soon as the limit for all is reached.
    """

    data_types: int = 20_000
    name_characters: int = 64_000_000
    """Of all names of data types together."""
    text_characters: int = 4_000
    """Of each other text. A longer one is cut and ends with an ellipsis."""
    status_reports: int = 500
    """Reports about models for each data type."""
    all_status_reports: int = 200_000
    letters: int = 20
    """Dead letters for each data type, besides the newest of all."""
    all_letters: int = 50_000
    newest_letters: int = 1_000
    """Dead letters of all data types in one list."""
    payload_bytes: int = 256
    """The first bytes of a dead letter's payload."""
    versions: int = 50
    """Versions with statistics for each data type."""
    sources: int = 2_000
    """Instances whose reports about a version are kept one by one; beyond that, the oldest are added up, and
    what they report later is ignored."""
    all_sources: int = 50_000
    series_points: int = 40_000
    """Points in the time series of all data types. With more, the points stand for longer intervals."""


def cut(text: str, characters: int) -> str:
    """Returns the text with at most ``characters`` characters."""
    return text if len(text) <= characters else text[: characters - 1] + "…"
