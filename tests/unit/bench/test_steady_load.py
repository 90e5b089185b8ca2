"""The load on a server: every request is sent, and one that has to wait counts from when it was due."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from bench.steady_load import Load, measured

Handler = Callable[[str], Awaitable[bytes]]


def answer(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def against(handler: Handler, asked: list[str], **load: object) -> dict[str, object]:
    """The figures of a load on a server whose answers ``handler`` gives; ``asked`` gets the paths."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ")[1].decode()
                asked.append(path)
                writer.write(await handler(path))
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        given = {"routes": ("/a", "/b"), "rate": 200, "seconds": 0.1} | load
        return await measured(Load("127.0.0.1", port, **given))  # type: ignore[arg-type]


def test_every_request_is_sent_and_its_answer_counted() -> None:
    async def at_once(path: str) -> bytes:
        return answer(path.encode())

    asked: list[str] = []
    figures = asyncio.run(against(at_once, asked))
    assert sorted(asked) == ["/a"] * 10 + ["/b"] * 10
    assert (figures["requests"], figures["failures"]) == (20, 0)
    assert list(figures["routes"]) == ["/a", "/b"]  # type: ignore[call-overload]


def test_a_server_that_stands_still_makes_all_requests_late_that_were_due_meanwhile() -> None:
    standing_still = asyncio.Event()
    waited: list[str] = []

    async def after_the_last(path: str) -> bytes:
        # Nothing is answered before the last request was due.
        waited.append(path)
        if len(waited) == 2:
            asyncio.get_running_loop().call_later(0.2, standing_still.set)
        await standing_still.wait()
        return answer(b"")

    figures = asyncio.run(against(after_the_last, [], connections=2))
    assert (figures["requests"], figures["failures"]) == (20, 0)
    # Two connections: 18 requests were not even sent while the first two waited for 200 ms.
    assert float(str(figures["p50_ms"])) > 100


def test_what_fails_is_told() -> None:
    async def refuse(path: str) -> bytes:
        return answer(b"{}", "503 Service Unavailable") if path == "/b" else answer(b"ok")

    figures = asyncio.run(against(refuse, [], seconds=0.05))
    assert (figures["requests"], figures["failures"]) == (10, 5)
    assert figures["first_failure"] == "/b: answered 503: b'{}'"


def test_streams_are_followed_to_the_end() -> None:
    async def stream(path: str) -> bytes:
        return answer(b"ok") if path != "/events" else b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n"

    asked: list[str] = []
    figures = asyncio.run(against(stream, asked, streams=3, stream="/events"))
    assert asked.count("/events") == 3
    assert (figures["failures"], figures["stream_bytes"]) == (
        0,
        3 * len(b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n"),
    )
