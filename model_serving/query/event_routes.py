"""The route of server-sent events (WHATWG HTML, "Server-sent events")."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Collection, Iterable
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from model_serving.query.asgi import Receive, Scope, Send
from model_serving.query.encoding import Json, encoded
from model_serving.query.errors import HttpError
from model_serving.query.parts import parts_of
from model_serving.query.ports import Happening
from model_serving.query.streaming import Event, EventHub

__all__ = ["router"]

router = APIRouter(tags=["events"])

_CLIENTS = 200
"""How many streams there may be at a time."""

_HEARTBEAT_S = 10.0
_PAUSE_S = 0.25
"""The least time between two looks at what has changed: a client gets each data type at most so often."""

_PATIENCE_S = 20.0
"""How long a client may take to read what was sent to it before it is dropped."""

_RETRY_MS = 2_000
_CHUNK_BYTES = 64 * 1024
_WHOLE_STATE = 1_000
"""Up to how many data types the whole state is sent to a client that is new here."""

_ID = re.compile(r"([0-9a-f]{8})-([0-9]{1,18})")


@router.get(
    "/api/v1/events",
    summary="Status, statistics and dead letters as they come: server-sent events.",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}}, 503: {"description": "Too many streams."}},
)
async def events(
    request: Request,
    data_type: Annotated[
        list[str] | None, Query(max_length=100, description="Only about these data types (default: all).")
    ] = None,
    last_event_id: Annotated[
        str | None,
        Header(description="The id of the last event that the client has; the stream goes on there."),
    ] = None,
) -> Response:
    """The events `status` and `statistics` have what `GET /api/v1/data-types/{data type}` answers.

    An event `dead-letter` has a dead letter. The first event of a client that is new here is `reset`: what it
    knew before is void. If `complete` is true in it, the present state follows as `status` events. It is true
    for up to 1,000 data types; with more, ask for what is needed.
    """
    hub = parts_of(request).hub
    if hub.streams >= _CLIENTS:
        raise HttpError(503, f"there are {_CLIENTS} streams already: close some", {"Retry-After": "10"})
    return EventStream(hub, last_event_id or "", frozenset(data_type or ()))


class EventStream(Response):
    """An answer that ends when the client has gone, reads too slowly, or the server ends."""

    media_type = "text/event-stream"

    def __init__(self, hub: EventHub, last_id: str, only: Collection[str]) -> None:
        super().__init__()
        self._hub = hub
        self._only = only
        self._number = self._resumed(last_id)

    def _resumed(self, last_id: str) -> int | None:
        found = _ID.fullmatch(last_id)
        if found is None or found[1] != self._hub.run or int(found[2]) > self._hub.number:
            return None
        return int(found[2])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        self._hub.streams += 1
        gone = asyncio.ensure_future(_until_gone(receive))
        sending = asyncio.ensure_future(self._send(send))
        try:
            await asyncio.wait({gone, sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.streams -= 1
            for task in (gone, sending):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, TimeoutError, OSError):
                    await task

    async def _send(self, send: Send) -> None:
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            # nginx would hold events back.
            (b"x-accel-buffering", b"no"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for chunk in self._chunks():
            await asyncio.wait_for(
                send({"type": "http.response.body", "body": chunk, "more_body": True}), _PATIENCE_S
            )
        await send({"type": "http.response.body", "body": b""})

    async def _chunks(self) -> AsyncIterator[bytes]:
        hub = self._hub
        yield f"retry: {_RETRY_MS}\n\n".encode()
        while not hub.is_closed:
            newer = None if self._number is None else hub.since(self._number, self._only)
            if newer is None:
                async for chunk in self._afresh():
                    yield chunk
                continue
            changes, last = newer
            async for chunk in _joined(self._encoded(event, numbered=True) for event in changes):
                yield chunk
            self._number = last
            await hub.wait(last, _HEARTBEAT_S)
            if hub.number == last:
                yield b": still here\n\n"
            else:
                await asyncio.sleep(_PAUSE_S)

    async def _afresh(self) -> AsyncIterator[bytes]:
        """The event ``reset``, and the present state of each data type if there are not too many.

        The id comes last. A client that was interrupted before it begins afresh again.
        """
        hub = self._hub
        self._number = number = hub.number
        names = [name for name in hub.known.names() if not self._only or name in self._only]
        complete = len(names) <= _WHOLE_STATE
        yield _event("reset", encoded({"dataTypes": len(names), "complete": complete}))
        events = (Event(number, Happening.STATUS, name) for name in (names if complete else ()))
        async for chunk in _joined(self._encoded(event, numbered=False) for event in events):
            yield chunk
        yield f"id: {hub.run}-{number}\n\n".encode()

    def _encoded(self, event: Event, *, numbered: bool) -> bytes:
        document = self._hub.known.data_type(event.data_type) if event.letter is None else event.letter()
        if document is None:
            # It was forgotten meanwhile.
            return b""
        number = f"id: {self._hub.run}-{event.number}\n".encode() if numbered else b""
        return number + _event(event.kind.value, document)


def _event(kind: str, document: Json) -> bytes:
    # JSON has no line ends outside of texts, and in texts they are escaped.
    return f"event: {kind}\ndata: ".encode() + document + b"\n\n"


async def _joined(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    """The parts in chunks of about 64 KiB. Between two of them, others have their turn."""
    chunk = b""
    for part in parts:
        chunk += part
        if len(chunk) >= _CHUNK_BYTES:
            yield chunk
            chunk = b""
            await asyncio.sleep(0)
    if chunk:
        yield chunk


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
