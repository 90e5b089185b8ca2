"""``python -m bench query``: how fast the query server answers, and its memory, while records are scored.

Each part is a process of its own on this machine: Kafka, a producer (``bench.load``), the server that scores
its records (``model-serving run``), the query server (``model-serving serve``), and the clients
(``bench.steady_load``), which send requests at fixed times. Kafka keeps all records and results, about 15 MB
a second at 50,000 records a second.

All sample models are served in turn while few records come, so the query server has statistics of each of
them. Then another producer sends at the full rate, and once the results come as fast, the measurement begins.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests
from rich.console import Console
from rich.table import Table

from bench.errors import BenchError
from bench.figures import drift
from bench.inputs import BenchModel
from bench.jobs import RunningJob, running
from bench.load import Load as Producer
from bench.records import DATA_TYPE
from bench.session import add_results_argument
from bench.steady_load import Load, figures_from
from bench.store import Case, Store
from bench.surroundings import now, surroundings
from bench.topics import Kafka
from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.client.ports import free_port
from model_serving.client.samples import sample_models
from model_serving.messaging.topics import TopicNames

__all__ = ["add_arguments", "run"]

_ROUTES = (
    "/processors",
    f"/state/{DATA_TYPE}",
    "/api/v1/data-types",
    f"/api/v1/data-types/{DATA_TYPE}",
    f"/api/v1/data-types/{DATA_TYPE}/versions",
    "/api/v1/dead-letters?limit=20",
    "/readyz",
)
_TOPICS = TopicNames()
_FEW = 200.0
"""Records a second while models are loaded."""

_PATIENCE_S = 240.0
"""How long a step before the measurement may take, in seconds."""

_LOOK_S = 5.0
"""How often memory, results and processes are looked at, in seconds."""

_FLOW = 0.95
"""The least share of the wanted rate at which results have to come for a measurement to be valid."""


@dataclass(frozen=True, slots=True)
class _Running:
    """What has been started, the query server at ``url``."""

    kafka: Kafka
    server: RunningJob
    query: RunningJob
    url: str
    producer: Producer | None = None

    @property
    def process(self) -> psutil.Process:
        """The query server's own process, once it answers."""
        return psutil.Process(self.query.process.pid).children()[0]

    def check(self) -> None:
        """Raises BenchError when a process has ended."""
        self.server.check()
        self.query.check()
        if self.producer is not None:
            self.producer.check()

    def results(self) -> int:
        """How many results there are."""
        return self.kafka.count(_TOPICS.results)

    def is_ready(self) -> bool:
        """Whether the query server has read the topics to their end."""
        try:
            return requests.get(f"{self.url}/readyz", timeout=10).ok
        except requests.RequestException:
            return False

    def data_type(self) -> dict[str, Any]:
        """What the query server knows of the data type; empty if that is nothing."""
        try:
            answer = requests.get(f"{self.url}/api/v1/data-types/{DATA_TYPE}", timeout=10)
        except requests.RequestException:
            return {}
        return dict(answer.json()) if answer.ok else {}


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
        started = _start(closing)
        servers = started.kafka.bootstrap_servers
        with Producer(servers, _TOPICS.data, _FEW) as few:
            _serve_all(dataclasses.replace(started, producer=few))
        sending = Producer(servers, _TOPICS.data, arguments.records)
        started = dataclasses.replace(started, producer=closing.enter_context(sending))
        _speed_up(started, arguments.records)
        host, port = started.url.removeprefix("http://").split(":")
        load = Load(host, int(port), _ROUTES, arguments.rate, arguments.seconds, arguments.streams)
        _say(f"measuring for {arguments.seconds:g} s ...")
        figures = asyncio.run(_measure(started, load))
        commands = {"producer": " ".join(["python", *sending.command[1:]])}
    if figures["results_s"] < _FLOW * arguments.records:
        raise BenchError(
            f"only {figures['results_s']:,.0f} results a second came, {arguments.records:,} are wanted: "
            "measure on an idle machine, or with fewer --records"
        )
    flags = ("rate", "seconds", "records", "streams")
    words = " ".join(f"--{name} {getattr(arguments, name):g}" for name in flags)
    key: dict[str, str | int] = {name: int(getattr(arguments, name)) for name in flags}
    commands["ours"] = f"python -m bench query {words}"
    Store(arguments.results).save("query", Case(key, now(), commands, {"ours": [figures]}, surroundings()))
    table = Table("figure", "value", title=f"{arguments.rate} requests a second")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.2f}" if isinstance(value, float) else str(value))
    Console().print(table)
    return 0


def _start(closing: ExitStack) -> _Running:
    """Starts everything, each part when the one before it is ready."""
    logs = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="model-serving-bench-")))
    _say("starting Kafka ...")
    broker = closing.enter_context(EmbeddedBroker())
    servers = ("--bootstrap-servers", broker.bootstrap_servers)
    _say("starting the server ...")
    server = closing.enter_context(running(_command("run", *servers, "--name", "bench"), logs / "server"))
    server.await_start()
    _say("starting the query server ...")
    port = free_port()
    query = closing.enter_context(running(_command("serve", *servers, "--port", str(port)), logs / "query"))
    started = _Running(Kafka(broker.bootstrap_servers), server, query, f"http://127.0.0.1:{port}")
    _await(started, started.is_ready, lambda: "the query server is not ready")
    return started


def _serve_all(started: _Running) -> None:
    """Publishes each sample model when the one before it serves and scores.

    Raises:
        BenchError: a model is rejected, or does not serve in time.
    """
    for model in sample_models():
        _say(f"waiting until '{model.name}' serves ...")
        offered = BenchModel(model.name, model.name, model.path)
        started.kafka.publish(_TOPICS.models, [offered.message().SerializeToString()])
        found: dict[str, Any] = {}

        def scores(name: str = model.name, found: dict[str, Any] = found) -> bool:
            found.update(started.data_type())
            if found.get("rejected"):
                raise BenchError(f"'{name}' is rejected: {found['rejected'][0]['detail']}")
            return bool((found.get("serving") or {}).get("name") == name and found.get("scored"))

        _await(
            started,
            scores,
            lambda name=model.name, found=found: f"'{name}' does not serve: {found}",  # type: ignore[misc]
        )


def _speed_up(started: _Running, records: int) -> None:
    """Waits until the results come at the full rate for some seconds.

    Raises:
        BenchError: they do not in time.
    """
    _say(f"waiting until {records:,} results a second come ...")
    seen = [(time.monotonic(), started.results())]

    def per_second() -> float:
        (begin_s, before), (end_s, after) = seen[-2:]
        return (after - before) / (end_s - begin_s)

    def flows() -> bool:
        if time.monotonic() - seen[-1][0] < _LOOK_S:
            return False
        seen.append((time.monotonic(), started.results()))
        return per_second() >= _FLOW * records

    def said() -> str:
        return f"{per_second():,.0f} results a second come: measure with fewer --records"

    _await(started, flows, said)


async def _measure(started: _Running, load: Load) -> dict[str, Any]:
    """The figures of the clients, and of the query server and the results meanwhile."""
    process = started.process
    begin_s, scored, processor_s = time.perf_counter(), started.results(), _processor_s(process)
    samples = [(0.0, process.memory_info().rss / 2**20)]
    sending = asyncio.create_task(figures_from(load))
    while not sending.done():
        await asyncio.wait({sending}, timeout=_LOOK_S)
        started.check()
        samples.append((time.perf_counter() - begin_s, process.memory_info().rss / 2**20))
    took_s, used_s = time.perf_counter() - begin_s, _processor_s(process) - processor_s
    results_s = (started.results() - scored) / took_s
    figures = sending.result()
    if figures["failures"]:
        raise BenchError(
            f"{figures['failures']} of {figures['requests']} requests failed, the first: "
            f"{figures['first_failure']}"
        )
    sent_late = figures.pop("sent_late")
    return figures | {
        "sent_late_p99_ms": sent_late["p99_ms"],
        "results_s": round(results_s, 1),
        "processor_share": round(used_s / took_s, 3),
        "processor_ms_a_request": round(1000 * used_s / figures["requests"], 3),
        "memory_mb": dataclasses.asdict(drift(*zip(*samples, strict=True))),
        "memory_begin_mb": round(samples[0][1], 1),
        "memory_end_mb": round(samples[-1][1], 1),
    }


def _processor_s(process: psutil.Process) -> float:
    return float(sum(process.cpu_times()[:2]))


def _await(started: _Running, done: Callable[[], bool], said: Callable[[], str]) -> None:
    """Waits until it is ``done``.

    Raises:
        BenchError: a process has ended, or it takes too long; ``said`` tells what there is instead.
    """
    end_s = time.monotonic() + _PATIENCE_S
    while not done():
        started.check()
        if time.monotonic() > end_s:
            raise BenchError(f"after {_PATIENCE_S:g} s {said()}")
        time.sleep(0.5)


def _command(*words: str) -> Sequence[str]:
    return [sys.executable, "-m", "model_serving.client.cli", *words]


def _say(text: str) -> None:
    print(f"query: {text}", flush=True)
