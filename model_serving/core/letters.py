"""From an error to the dead letter that carries it, and how a letter is cut to what its topic takes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

from model_serving.core.errors import (
    InvalidRecord,
    ModelRejected,
    ModelServingError,
    NoModel,
    ScoringFailed,
    UnparsableMessage,
)
from model_serving.core.messages import DeadLetter, Reason

__all__ = ["DETAIL_BYTES", "NAME_BYTES", "TEXTS_BYTES", "dead_letter", "fitted", "is_cut", "shortened"]

DETAIL_BYTES = 8192
"""The most of a detail, in UTF-8, in dead letters and statuses."""

NAME_BYTES = 1024
"""The most of a name, a version or a data type, in UTF-8."""

TEXTS_BYTES = 16384
"""The most that all of a letter or a status takes without the payload: texts, numbers, what Kafka adds."""

_CUT = re.compile(r"; the payload is cut: \d+ of \d+ bytes, SHA-256 [0-9a-f]{64}$")

_FRAME_BYTES = 1024
"""Of those, what is no text: the fields' tags and numbers, Kafka's batch and record around the message."""

_REASONS: dict[type[ModelServingError], Reason] = {
    UnparsableMessage: Reason.UNPARSABLE,
    InvalidRecord: Reason.INVALID_RECORD,
    NoModel: Reason.NO_MODEL,
    ScoringFailed: Reason.SCORING_FAILED,
    ModelRejected: Reason.MODEL_REJECTED,
}


def dead_letter(
    error: ModelServingError,
    payload: bytes,
    topic: str,
    ts: int,
    *,
    data_type: str = "",
    model: str = "",
    version: str = "",
) -> DeadLetter:
    """The dead letter for a message of ``topic`` that was given up at ``ts`` (epoch milliseconds)."""
    return DeadLetter(_REASONS[type(error)], str(error), payload, topic, ts, data_type, model, version)


def fitted(letter: DeadLetter, limit: int | None) -> DeadLetter:
    """The letter as a topic takes it that takes messages of up to ``limit`` bytes; None: of any size.

    Texts are always short. The payload is all of the message where that fits. Else it is the message's head,
    and the detail says how long the message is and what its SHA-256 is. ``limit`` is at least
    ``TEXTS_BYTES``.
    """
    short = replace(
        letter,
        detail=shortened(letter.detail, DETAIL_BYTES),
        topic=shortened(letter.topic, NAME_BYTES),
        data_type=shortened(letter.data_type, NAME_BYTES),
        model=shortened(letter.model, NAME_BYTES),
        version=shortened(letter.version, NAME_BYTES),
    )
    if limit is None or _size(short) <= limit:
        return short
    size, digest = len(letter.payload), hashlib.sha256(letter.payload).hexdigest()
    # The text's length differs from the final one's in the digits of the first number only.
    longest = replace(short, payload=b"", detail=_cut_detail(short, size, size, digest))
    kept = max(0, limit - _size(longest))
    return replace(
        short, payload=letter.payload[:kept], detail=_cut_detail(short, min(kept, size), size, digest)
    )


def is_cut(detail: str) -> bool:
    """Whether a letter with this detail holds the beginning of its message only."""
    return _CUT.search(detail) is not None


def shortened(text: str, most_bytes: int) -> str:
    """The text, or its beginning and "…", in at most so many bytes of UTF-8.

    What UTF-8 cannot spell, such as half of a surrogate pair from a file's name, is spelled with a backslash.
    """
    if len(text) <= most_bytes and text.isascii():
        return text
    encoded = text.encode("utf-8", "backslashreplace")
    if len(encoded) > most_bytes:
        mark = "…".encode()
        return encoded[: most_bytes - len(mark)].decode("utf-8", "ignore") + "…"
    return encoded.decode("utf-8")


def _cut_detail(letter: DeadLetter, kept: int, size: int, digest: str) -> str:
    return f"{letter.detail}; the payload is cut: {kept} of {size} bytes, SHA-256 {digest}"


def _size(letter: DeadLetter) -> int:
    """An upper bound of what the letter takes in Kafka, in bytes."""
    texts = (letter.detail, letter.topic, letter.data_type, letter.model, letter.version)
    return sum(len(text.encode()) for text in texts) + len(letter.payload) + _FRAME_BYTES
