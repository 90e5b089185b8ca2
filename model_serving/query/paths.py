"""Data types in paths: any text, percent-encoded, or the digest of the text.

A data type may hold any characters: slashes, percent signs, line ends. So routes are chosen by the path as it
was sent, and a name is decoded afterwards. A slash that was sent as ``%2F`` belongs to the name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import quote, unquote

from fastapi import Depends, Path, Request

from model_serving.query.asgi import App, Receive, Scope, Send
from model_serving.query.errors import HttpError
from model_serving.query.parts import parts_of

__all__ = ["DataType", "RawPaths", "unknown"]

_SHOWN = 200
"""How many characters of a name an error shows."""


class RawPaths:
    """Middleware that lets the routes see the path as it was sent, percent-encoded."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] == "http":
            raw = scope.get("raw_path")
            path = quote(scope["path"]) if raw is None else raw.decode("ascii", "replace")
            scope = {**scope, "path": path}
        await self._app(scope, receive, send)


def unknown(data_type: str, known: Sequence[str] = ()) -> HttpError:
    """The error for a data type of which nothing is known."""
    shown = data_type if len(data_type) <= _SHOWN else f"{data_type[:_SHOWN]}…"
    alike = [one for one in known if one.strip().casefold() == data_type.strip().casefold()]
    advice = f"did you mean '{alike[0]}'?" if alike else "GET /processors lists those that are known"
    return HttpError(404, f"nothing is known of the data type '{shown}': {advice}")


async def _data_type(
    request: Request,
    data_type: Annotated[
        str,
        Path(
            description="The data type, percent-encoded; or `sha256:` and the hex digest of its UTF-8 text."
        ),
    ],
) -> str:
    try:
        name = unquote(data_type, errors="strict")
    except UnicodeDecodeError:
        raise HttpError(
            404, "the data type in the path is not UTF-8: percent-encode its UTF-8 bytes"
        ) from None
    return parts_of(request).digests.name_of(name)


DataType = Annotated[str, Depends(_data_type)]
"""The data type that a route's path names."""
