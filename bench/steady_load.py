"""Asks a server at a steady rate, from a process of its own: its requests wait for no other Python code.

``python -m bench.steady_load`` reads a load as JSON from its standard input and writes the figures as JSON.
Requests are sent at fixed times, whether or not the ones before have been answered, and a latency counts from
the time at which its request was due. So a server that stands still for a second makes all requests of that
second late, not one ("coordinated omission").
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from bench.errors import BenchError

__all__ = ["Load", "figures_from", "measured"]

_ANSWER_S = 30.0
_HEAD_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of a server at ``host`` and ``port``: ``rate`` requests a second, its ``routes`` in turn.

    Meanwhile, ``streams`` clients follow ``stream``. ``connections`` stay open; a request that finds all of
    them taken waits, which counts.
    """

    host: str
    port: int
    routes: tuple[str, ...]
    rate: float
    seconds: float
    streams: int = 0
    stream: str = "/api/v1/events"
    connections: int = 64


@dataclass(slots=True)
class _Seen:
    """What the clients have seen: latencies by route and how late requests were sent, both in seconds."""

    latencies: dict[str, list[float]]
    late: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    stream_bytes: int = 0


def _figures(latencies: Sequence[float]) -> dict[str, float]:
    """Percentiles in milliseconds of latencies in seconds."""
    if not latencies:
        return {}
    p50, p99, p999, most = np.quantile(latencies, [0.5, 0.99, 0.999, 1.0]) * 1000
    return {name: round(float(one), 2) for name, one in zip(_NAMES, (p50, p99, p999, most), strict=True)}


_NAMES = ("p50_ms", "p99_ms", "p999_ms", "max_ms")


async def measured(load: Load) -> dict[str, Any]:
    """Sends the load and returns its figures: over all requests, by route, and of the clients themselves."""
    seen = _Seen({route: [] for route in load.routes})
    due: asyncio.Queue[tuple[float, str]] = asyncio.Queue()
    streams = [asyncio.create_task(_follow(load, seen)) for _ in range(load.streams)]
    clients = [asyncio.create_task(_ask(load, due, seen)) for _ in range(load.connections)]
    begin_s = time.perf_counter()
    routes = itertools.cycle(load.routes)
    for number in range(int(load.rate * load.seconds)):
        at_s = begin_s + number / load.rate
        if (pause_s := at_s - time.perf_counter()) > 0:
            await asyncio.sleep(pause_s)
        seen.late.append(time.perf_counter() - at_s)
        due.put_nowait((at_s, next(routes)))
    await due.join()
    took_s = time.perf_counter() - begin_s
    for task in (*clients, *streams):
        task.cancel()
    await asyncio.gather(*clients, *streams, return_exceptions=True)
    everything = [one for latencies in seen.latencies.values() for one in latencies]
    return {
        **_figures(everything),
        "requests": len(everything),
        "requests_s": round(len(everything) / took_s, 1),
        "failures": len(seen.failures),
        "first_failure": seen.failures[0] if seen.failures else "",
        "sent_late": _figures(seen.late),
        "stream_bytes": seen.stream_bytes,
        "routes": {route: _figures(latencies) for route, latencies in seen.latencies.items()},
    }


async def _ask(load: Load, due: asyncio.Queue[tuple[float, str]], seen: _Seen) -> None:
    """One client: it takes what is due, over a connection that stays open."""
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    while True:
        at_s, route = await due.get()
        try:
            async with asyncio.timeout(_ANSWER_S):
                connection = connection or await _connected(load)
                await _answer(*connection, load, route)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError, BenchError) as error:
            seen.failures.append(f"{route}: {str(error) or type(error).__name__}")
            if connection is not None:
                connection[1].close()
            connection = None
        finally:
            seen.latencies[route].append(time.perf_counter() - at_s)
            due.task_done()


async def _connected(load: Load) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(load.host, load.port, limit=_HEAD_BYTES)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, load: Load, route: str) -> None:
    """Sends a request and reads its whole answer.

    Raises:
        BenchError: the answer is not 200, or says nothing about its length.
    """
    writer.write(_request(load, route))
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = next((line for line in head.split(b"\r\n") if line.startswith(b"content-length:")), None)
    if length is None:
        raise BenchError(f"the answer has no content-length: {head[:100]!r}")
    body = await reader.readexactly(int(length.partition(b":")[2]))
    if not head.startswith(b"http/1.1 200 "):
        raise BenchError(f"answered {head.partition(b' ')[2][:3].decode()}: {body[:200]!r}")


async def _follow(load: Load, seen: _Seen) -> None:
    """One client that follows the events to the end of the measurement, and does nothing with them."""
    try:
        reader, writer = await _connected(load)
        writer.write(_request(load, load.stream))
        while chunk := await reader.read(_CHUNK_BYTES):
            seen.stream_bytes += len(chunk)
        seen.failures.append(f"{load.stream}: the stream has ended")
    except OSError as error:
        seen.failures.append(f"{load.stream}: {error}")


def _request(load: Load, route: str) -> bytes:
    return f"GET {route} HTTP/1.1\r\nHost: {load.host}:{load.port}\r\n\r\n".encode("ascii")


async def figures_from(load: Load) -> dict[str, Any]:
    """Sends the load from another process; the figures of :func:`measured`.

    Raises:
        BenchError: that process has failed.
    """
    words = (sys.executable, "-m", "bench.steady_load")
    process = await asyncio.create_subprocess_exec(*words, stdin=PIPE, stdout=PIPE)
    try:
        output, _ = await process.communicate(json.dumps(asdict(load)).encode())
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise BenchError(f"{' '.join(words[1:])} has ended with {process.returncode}: see its lines above")
    figures: dict[str, Any] = json.loads(output)
    return figures


if __name__ == "__main__":
    given = json.load(sys.stdin)
    print(json.dumps(asyncio.run(measured(Load(**given | {"routes": tuple(given["routes"])})))))
