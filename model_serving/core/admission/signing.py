"""Signs model messages and checks signatures; only who has a key can deploy.

A signature is HMAC-SHA256 (RFC 2104) over the serialized message, appended to it as its last field: number
13, 32 bytes. Protobuf messages may be concatenated, so a producer in any language appends these 34 bytes to
the message that it would have sent. After that no field, known or unknown, can be changed or added.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path

from model_serving.core.errors import ModelRejected

__all__ = ["check_signature", "read_keys", "sign"]

_LEAST_KEY_BYTES = 16
_HEAD = b"\x6a\x20"
"""Tag of field 13 with a length before its bytes (protobuf.dev, "Encoding"), and that length."""

_TRAILER = len(_HEAD) + hashlib.sha256().digest_size


def read_keys(path: str) -> tuple[bytes, ...]:
    """The keys of a file, one per line in hex digits; empty lines and lines that start with # are skipped.

    The first key signs, and a signature by any of the keys is valid, so keys can be changed without a pause.

    Raises:
        ValueError: the file cannot be read, has no key, or has a line that is not a key; the text never shows
            a key.
    """
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ValueError(f"'{path}' cannot be read ({why})") from None
    keys = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            key = bytes.fromhex(line)
        except ValueError:
            key = b""
        if len(key) < _LEAST_KEY_BYTES:
            raise ValueError(
                f"line {number} of '{path}' is not a key of {2 * _LEAST_KEY_BYTES} or more hex digits: "
                "make one with `openssl rand -hex 32`"
            )
        keys.append(key)
    if not keys:
        raise ValueError(f"'{path}' has no key in it: make one with `openssl rand -hex 32`")
    return tuple(keys)


def sign(message: bytes, key: bytes) -> bytes:
    """The message with its signature."""
    return message + _HEAD + _digest(message, key)


def check_signature(message: bytes, keys: Sequence[bytes]) -> None:
    """Raises ModelRejected unless the message ends with a signature by one of the keys."""
    body, head, digest = message[:-_TRAILER], message[-_TRAILER : -_TRAILER + 2], message[-_TRAILER + 2 :]
    if len(message) < _TRAILER or head != _HEAD:
        raise ModelRejected("the model message is not signed: publish it with --model-key-file")
    if not any(hmac.compare_digest(digest, _digest(body, key)) for key in keys):
        raise ModelRejected(
            "the signature of the model message is not by a key of this job: the message was changed on its "
            "way, or published with another key"
        )


def _digest(message: bytes, key: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
