"""Reads the body of a request as it comes, up to a size and within a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import Request

from model_serving.query.errors import HttpError

__all__ = ["body_of"]


async def body_of(request: Request, most: int, too_large: HttpError, seconds: float) -> AsyncIterator[bytes]:
    """The body in chunks. Nothing is read of a body that is too large by what its header says.

    Raises:
        HttpError: the body has more than ``most`` bytes (``too_large``), does not come within the time, or
            ends early.
    """
    told = request.headers.get("content-length", "")
    if told.isascii() and told.isdecimal() and int(told[:20]) > most:
        raise too_large
    end_s = asyncio.get_running_loop().time() + seconds
    size, more = 0, True
    while more:
        try:
            async with asyncio.timeout_at(end_s):
                message = await request.receive()
        except TimeoutError:
            raise HttpError(408, f"the body did not come within {seconds:g} s: send it again") from None
        if message["type"] == "http.disconnect":
            raise HttpError(400, "the connection ended before the body was whole: send it again")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > most:
            raise too_large
        more = message.get("more_body", False)
        yield chunk
