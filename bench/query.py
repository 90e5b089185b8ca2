"""``python -m bench query``: how fast the query server answers, and its memory, while records are scored.

One process scores records (``model-serving run``), another answers (``model-serving serve``); both share this
machine with Kafka and with the clients. Requests are sent at fixed times, whether or not the ones before have
been answered, and a latency counts from the time at which its request was due.
"""

from __future__ import annotations

import argparse
import itertools
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import numpy as np
import psutil
import requests
from rich.console import Console
from rich.table import Table

from bench.errors import BenchError
from bench.session import add_results_argument
from bench.store import Case, Store
from bench.surroundings import now, surroundings
from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.client.ports import free_port

__all__ = ["add_arguments", "run"]

_ROUTES = (
    "/processors",
    "/state/wine",
    "/api/v1/data-types",
    "/api/v1/data-types/wine",
    "/api/v1/data-types/wine/versions",
    "/api/v1/dead-letters?limit=20",
    "/readyz",
)
_CLIENTS = 6
_START_S = 120.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``query``."""
    parser.add_argument("--rate", type=int, default=200, help="requests a second (200)")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long (600)")
    parser.add_argument("--records", type=int, default=50_000, help="records a second that are sent (50,000)")
    parser.add_argument(
        "--streams", type=int, default=10, help="clients that follow the events meanwhile (10)"
    )
    add_results_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measures, prints and stores the figures. Returns the exit status."""
    with ExitStack() as closing:
        broker = closing.enter_context(EmbeddedBroker())
        servers = ("--bootstrap-servers", broker.bootstrap_servers)
        port = free_port()
        closing.enter_context(_process("run", *servers, "--name", "bench"))
        query = closing.enter_context(_process("serve", *servers, "--port", str(port)))
        url = f"http://127.0.0.1:{port}"
        _call("publish-models", *servers, "--once")
        closing.enter_context(
            _process("publish-data", *servers, "--loop", "--rate", str(arguments.records), _records())
        )
        _await(url)
        for _ in range(arguments.streams):
            threading.Thread(target=_follow, args=(url,), daemon=True).start()
        figures = _measure(url, query, arguments.rate, arguments.seconds)
    command = f"python -m bench query --rate {arguments.rate} --seconds {arguments.seconds:g}"
    case = Case(
        {"rate": arguments.rate, "streams": arguments.streams, "records": arguments.records},
        now(),
        {"ours": command},
        {"ours": [figures]},
        surroundings(),
    )
    Store(arguments.results).save("query", case)
    table = Table("figure", "value", title=f"{arguments.rate} requests a second")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.2f}")
    Console().print(table)
    return 0


def _measure(url: str, query: psutil.Process, rate: int, seconds: float) -> dict[str, float]:
    due: queue.Queue[tuple[float, str] | None] = queue.Queue()
    latencies: list[float] = []
    failures: list[str] = []
    clients = [
        threading.Thread(target=_ask, args=(url, due, latencies, failures), daemon=True)
        for _ in range(_CLIENTS)
    ]
    for client in clients:
        client.start()
    # Threads that wait for Python's lock get it after 5 ms else, which is more than an answer takes.
    sys.setswitchinterval(0.0002)
    scored = _scored(url)
    begin_s, processor_s = time.perf_counter(), sum(query.cpu_times()[:2])
    memory: list[int] = []
    for number, route in zip(range(int(rate * seconds)), itertools.cycle(_ROUTES), strict=False):
        at_s = begin_s + number / rate
        if (pause_s := at_s - time.perf_counter()) > 0:
            time.sleep(pause_s)
        due.put((at_s, route))
        if number % (rate * 5) == 0:
            memory.append(query.memory_info().rss)
    for _ in clients:
        due.put(None)
    for client in clients:
        client.join()
    took_s = time.perf_counter() - begin_s
    if failures:
        raise BenchError(f"{len(failures)} of {len(latencies)} requests failed, the first: {failures[0]}")
    fifth = max(1, len(memory) // 5)
    p50, p99, most = np.quantile(latencies, [0.5, 0.99, 1.0]) * 1000
    return {
        "p50_ms": round(float(p50), 2),
        "p99_ms": round(float(p99), 2),
        "max_ms": round(float(most), 2),
        "requests_s": round(len(latencies) / took_s, 1),
        "results_s": round((_scored(url) - scored) / took_s, 1),
        "processor_share": round((sum(query.cpu_times()[:2]) - processor_s) / took_s, 3),
        "memory_begin_mb": round(float(np.median(memory[:fifth])) / 2**20, 1),
        "memory_end_mb": round(float(np.median(memory[-fifth:])) / 2**20, 1),
    }


def _ask(
    url: str, due: queue.Queue[tuple[float, str] | None], latencies: list[float], failures: list[str]
) -> None:
    # The standard library's client takes a tenth of the processor time of requests, which would be the limit.
    connection = HTTPConnection(url.removeprefix("http://"), timeout=30)
    while (one := due.get()) is not None:
        at_s, route = one
        try:
            connection.request("GET", route)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != HTTPStatus.OK:
                failures.append(f"{route}: {answer.status} {text[:200]!r}")
        except (OSError, HTTPException) as error:
            failures.append(f"{route}: {error}")
            connection.close()
        latencies.append(time.perf_counter() - at_s)
    connection.close()


def _follow(url: str) -> None:
    try:
        with requests.get(f"{url}/api/v1/events", stream=True, timeout=60) as answer:
            for _ in answer.iter_content(65_536):
                pass
    except requests.RequestException:
        return


def _scored(url: str) -> int:
    versions = requests.get(f"{url}/api/v1/data-types/wine/versions", timeout=30).json()["versions"]
    return sum(version["scored"] for version in versions)


def _await(url: str) -> None:
    """Waits until the query server is ready and knows that records are scored."""
    end_s = time.monotonic() + _START_S
    while time.monotonic() < end_s:
        try:
            if requests.get(f"{url}/state/wine", timeout=10).json().get("usage"):
                return
        except requests.RequestException:
            pass
        time.sleep(0.5)
    raise BenchError(f"no record was scored within {_START_S:g} s: see the servers' lines above")


def _records() -> str:
    return str(Path(__file__).parents[1] / "data" / "records.csv")


def _call(*words: str) -> None:
    subprocess.run(_command(*words), check=True, stdout=subprocess.DEVNULL)


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "model_serving.client.cli", *words]


@contextmanager
def _process(*words: str) -> Iterator[psutil.Process]:
    """A command of the client that runs until the context ends; what it prints is in a file of its own."""
    with tempfile.TemporaryFile() as log, psutil.Popen(_command(*words), stdout=log, stderr=log) as process:
        try:
            yield process
            if process.poll() is not None:
                log.seek(0)
                raise BenchError(f"'{words[0]}' has ended: {log.read().decode(errors='replace')[-500:]}")
        finally:
            process.terminate()
            process.wait()
