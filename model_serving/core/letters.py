"""Makes dead letters from errors, and cuts a letter to the largest message that its topic takes."""

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
"""The largest size of the detail in a dead letter or a status, in bytes of UTF-8."""

NAME_BYTES = 1024
"""The largest size of a name, a version or a data type, in bytes of UTF-8."""

TEXTS_BYTES = 16384
"""The largest size of a letter without its payload, or of a status: texts, numbers and what Kafka adds."""

_CUT = re.compile(r"; the payload is cut: \d+ of \d+ bytes, SHA-256 [0-9a-f]{64}$")

_FRAME_BYTES = 1024
"""The part of ``TEXTS_BYTES`` that is not text: the fields' tags and numbers, and what Kafka adds."""

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
    """The dead letter for a message of ``topic`` that was given up at ``ts`` (epoch milliseconds).

    An engine's own error has the reason of the error that it is derived from.
    """
    reason = next(_REASONS[kind] for kind in type(error).__mro__ if kind in _REASONS)
    return DeadLetter(reason, str(error), payload, topic, ts, data_type, model, version)


def fitted(letter: DeadLetter, limit: int | None) -> DeadLetter:
    """The letter, cut for a topic that takes messages of up to ``limit`` bytes; None: of any size.

    Texts are always cut to their largest sizes. The payload is the whole message if that fits. If not, the
    payload is the beginning of the message, and the detail gives the message's length and SHA-256. ``limit``
    is at least ``TEXTS_BYTES``.
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
    # This detail is at least as long as the final one, which may have fewer digits in its first number.
    longest = replace(short, payload=b"", detail=_cut_detail(short, size, size, digest))
    kept = max(0, limit - _size(longest))
    return replace(
        short, payload=letter.payload[:kept], detail=_cut_detail(short, min(kept, size), size, digest)
    )


def is_cut(detail: str) -> bool:
    """Whether a letter with this detail holds only the beginning of its message."""
    return _CUT.search(detail) is not None


def shortened(text: str, most_bytes: int) -> str:
    """The text, or its beginning and "…", in at most ``most_bytes`` bytes of UTF-8.

    A character that UTF-8 cannot encode, such as half of a surrogate pair from a file's name, becomes an
    escape with a backslash.
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
    """An upper bound of the letter's size in Kafka, in bytes."""
    texts = (letter.detail, letter.topic, letter.data_type, letter.model, letter.version)
    return sum(len(text.encode()) for text in texts) + len(letter.payload) + _FRAME_BYTES
