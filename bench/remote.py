"""``python -m bench remote``: records a second that one process has scored by a model server on this machine.

The server is the one for tests, in a process of its own. Each request takes a millisecond there, besides what
it takes to read and write its JSON in Python, so a real server is faster.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.errors import BenchError
from bench.figures import spread
from bench.session import add_results_argument
from bench.store import Case, Store
from bench.surroundings import now, surroundings
from model_serving.core.engine import LoadedModel, RecordSchema
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.engines import engine_for
from model_serving.testing.model_server import FakeModelServer, ServedModel
from model_serving.testing.served_model import TensorSpec

__all__ = ["add_arguments", "run", "serve"]

_FIELDS = tuple(f"field_{number}" for number in range(11))
_KINDS = {
    ModelType.TFSERVING: "http://127.0.0.1:{}/v1/models/wine",
    ModelType.OPENINFERENCE: "http://127.0.0.1:{}/v2/models/wine",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``remote``."""
    parser.add_argument("--batches", default="1,64,512,2048", help="records a call (1,64,512,2048)")
    parser.add_argument("--delay-ms", type=float, default=1.0, help="time of a request in the server (1)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each figure (3)")
    parser.add_argument("--round-s", type=float, default=3.0, help="length of a round, in seconds (3)")
    add_results_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measures, prints and stores the figures. Returns the exit status."""
    sizes = [int(word) for word in arguments.batches.split(",")]
    store, environment = Store(arguments.results), surroundings()
    table = Table("protocol", *(f"{size:,}" for size in sizes), title="records a second in batches of")
    with _server(arguments.delay_ms / 1000) as port:
        for kind, location in _KINDS.items():
            model = ModelToServe("wine", "wine", kind, "v1", "v1", location.format(port).encode())
            loaded = engine_for(kind).load(model, RecordSchema("Wine", _FIELDS))
            try:
                rounds = [
                    {"batches": {str(size): _rate(loaded, size, arguments.round_s) for size in sizes}}
                    for _ in range(arguments.rounds)
                ]
            finally:
                loaded.close()
            command = f"python -m bench remote --delay-ms {arguments.delay_ms:g}"
            store.save(
                "remote", Case({"model": kind.name}, now(), {"ours": command}, {"ours": rounds}, environment)
            )
            table.add_row(
                kind.name,
                *(
                    f"{spread([figure['batches'][str(size)] for figure in rounds]).median:,.0f}"
                    for size in sizes
                ),
            )
    Console().print(table)
    return 0


def _rate(model: LoadedModel, size: int, seconds: float) -> float:
    columns = np.random.default_rng(1).uniform(0, 100, (size, len(_FIELDS))).round(3)
    model.score(columns)
    begin, records = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        records += len(model.score(columns).result)
    return round(records / (time.perf_counter() - begin), 1)


@contextmanager
def _server(delay_s: float) -> Iterator[int]:
    """A server in another process; gives its port."""
    command = f"from bench.remote import serve; serve({delay_s})"
    with subprocess.Popen(
        [sys.executable, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise BenchError("the model server does not start: see its error above")
            yield int(line)
        finally:
            # The server ends with its input.
            if process.stdin:
                process.stdin.close()


def serve(delay_s: float) -> None:
    """Serves a model with 11 inputs and 3 outputs until the end of standard input; prints the port."""

    def score(tensors: Mapping[str, Any]) -> dict[str, Any]:
        total = tensors["inputs"].sum(axis=1)
        return {"outputs": np.stack([total, 2 * total, -total], axis=1)}

    single = np.dtype(np.float32)
    wine = ServedModel(
        "wine", {"inputs": TensorSpec(single, (-1, 11))}, {"outputs": TensorSpec(single, (-1, 3))}, score
    )
    with FakeModelServer(wine, delay_s=delay_s) as server:
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        sys.stdin.read()
