"""Who may give commands: who knows a token of the token file."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import Request

from model_serving.query.errors import HttpError
from model_serving.query.ports import Publisher

__all__ = ["Commanding", "read_tokens"]

_LEAST_CHARACTERS = 16
_SCHEME = b"bearer "


@dataclass(frozen=True, slots=True)
class Commanding:
    """The tokens that commands need, and what publishes commands. Without tokens, there are no commands.

    ``upload_limit`` is the largest size of an uploaded model, in bytes.
    """

    tokens: tuple[bytes, ...] = field(repr=False)
    publisher: Publisher
    upload_limit: int

    def require(self, request: Request) -> Publisher:
        """The publisher, for a request that has a token.

        Raises:
            HttpError: the server takes no commands (403), or the request has no valid token (401).
        """
        if not self.tokens:
            raise HttpError(
                403, "this server takes no commands: start it with --token-file, or use model-serving"
            )
        sent = [value for name, value in request.scope["headers"] if name.lower() == b"authorization"]
        given = sent[0] if len(sent) == 1 else b""
        token = given[len(_SCHEME) :].strip() if given[: len(_SCHEME)].lower() == _SCHEME else b""
        # Every token is compared, so that the time says nothing about which one was close.
        matches = [hmac.compare_digest(token, known) for known in self.tokens]
        if not any(matches):
            raise HttpError(
                401,
                "commands need the header 'Authorization: Bearer …' with a token of --token-file",
                {"WWW-Authenticate": "Bearer"},
            )
        return self.publisher


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
