"""Reads the token file: who knows a token of it may give commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["read_tokens"]

_LEAST_CHARACTERS = 16


def read_tokens(path: str) -> tuple[bytes, ...]:
    """The tokens of a file, one a line; empty lines and lines that start with # are skipped.

    Raises:
        ValueError: the file cannot be read, or has no token, or one that is too short. The text shows none.
    """
    try:
        lines: Sequence[str] = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ValueError(f"'{path}' cannot be read ({why})") from None
    tokens = []
    for number, line in enumerate(lines, start=1):
        token = line.strip()
        if not token or token.startswith("#"):
            continue
        if len(token) < _LEAST_CHARACTERS or not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError(
                f"line {number} of '{path}' is not a token of {_LEAST_CHARACTERS} or more ASCII characters "
                "without spaces: make one with `openssl rand -hex 32`"
            )
        tokens.append(token.encode("ascii"))
    if not tokens:
        raise ValueError(f"'{path}' has no token in it: make one with `openssl rand -hex 32`")
    return tuple(tokens)
