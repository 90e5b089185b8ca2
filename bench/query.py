"""``python -m bench query``: how fast the query server answers, and its memory, while records are scored.

One process scores records (``model-serving run``), another answers (``model-serving serve``), a third sends
the requests at fixed times (``bench.steady_load``), a fourth the records; all share this machine with Kafka.
The measurement begins when all sample models are loaded.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import requests
from rich.console import Console
from rich.table import Table

from bench.errors import BenchError
from bench.session import add_results_argument
from bench.steady_load import Load, figures_from
from bench.store import Case, Store
from bench.surroundings import now, surroundings
from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.client.ports import free_port
from model_serving.client.samples import sample_models

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
_START_S = 600.0
_LOOK_S = 5.0
"""How often memory and processor time are looked at, in seconds."""


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
        load = Load("127.0.0.1", port, _ROUTES, arguments.rate, arguments.seconds, arguments.streams)
        figures = asyncio.run(_measure(url, query, load))
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
        table.add_row(name, f"{value:,.2f}" if isinstance(value, float) else str(value))
    Console().print(table)
    return 0


async def _measure(url: str, query: psutil.Process, load: Load) -> dict[str, Any]:
    scored, begin_s, processor_s = _scored(url), time.perf_counter(), _processor_s(query)
    sending = asyncio.create_task(figures_from(load))
    memory = [query.memory_info().rss]
    while not sending.done():
        await asyncio.wait({sending}, timeout=_LOOK_S)
        memory.append(query.memory_info().rss)
    took_s, used_s = time.perf_counter() - begin_s, _processor_s(query) - processor_s
    figures = sending.result()
    if figures["failures"]:
        raise BenchError(
            f"{figures['failures']} of {figures['requests']} requests failed, the first: "
            f"{figures['first_failure']}"
        )
    fifth = max(1, len(memory) // 5)
    sent_late = figures.pop("sent_late")
    return figures | {
        "sent_late_p99_ms": sent_late["p99_ms"],
        "results_s": round((_scored(url) - scored) / took_s, 1),
        "processor_share": round(used_s / took_s, 3),
        "processor_ms_a_request": round(1000 * used_s / figures["requests"], 3),
        "memory_begin_mb": round(float(np.median(memory[:fifth])) / 2**20, 1),
        "memory_end_mb": round(float(np.median(memory[-fifth:])) / 2**20, 1),
    }


def _processor_s(process: psutil.Process) -> float:
    return float(sum(process.cpu_times()[:2]))


def _scored(url: str) -> int:
    versions = requests.get(f"{url}/api/v1/data-types/wine/versions", timeout=30).json()["versions"]
    return sum(version["scored"] for version in versions)


def _await(url: str) -> None:
    """Waits until the query server knows that the last sample model serves and scores.

    One that was published before may never serve: the next one can be loaded first.
    """
    end_s = time.monotonic() + _START_S
    last = sample_models()[-1].name
    found: dict[str, Any] = {}
    while time.monotonic() < end_s:
        try:
            found = requests.get(f"{url}/state/wine", timeout=10).json()
            if found.get("name") == last and found.get("usage"):
                return
        except requests.RequestException:
            pass
        time.sleep(0.5)
    raise BenchError(f"after {_START_S:g} s '{last}' does not serve: {found}")


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
