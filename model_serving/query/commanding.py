"""Who may give commands: who knows a token of the token file."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from fastapi import Request

from model_serving.query.errors import HttpError
from model_serving.query.ports import Publisher

__all__ = ["Commanding"]

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
