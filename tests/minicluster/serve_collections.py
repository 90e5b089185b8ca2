"""Runs a topology on collections in a local minicluster and prints its output, a JSON object a line.

    python serve_collections.py VARIANT MODE < messages

Standard input holds ``{"models": [hex, …], "vectors": [[hex, …], …]}``. Each line of the output has one
member, ``results``, ``dead_letters`` or ``statuses``, with a message in hex. The last line has the member
``workers``: the number of Python worker processes that were seen, as a byte in hex.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

import psutil
from pyflink.common import Types
from pyflink.datastream import DataStream, MapFunction
from pyflink.table import DataTypes

from flink_jobs.config import parse_config
from flink_jobs.environment import build_environment
from flink_jobs.topology import Served, serve_broadcast, serve_keyed


class Label(MapFunction):
    """Turns bytes into a line of text that names their stream."""

    def __init__(self, name: str) -> None:
        self._name = name

    def map(self, value: bytes) -> str:
        return json.dumps({self._name: bytes(value).hex()})


class WorkerCount:
    """Counts the processes of Flink's Python worker below this process, while the context is open."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> set[int]:
        self._thread.start()
        return self._seen

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.2):
            for child in psutil.Process().children(recursive=True):
                try:
                    if "pyflink.fn_execution.beam.beam_boot" in child.cmdline():
                        self._seen.add(child.pid)
                except psutil.Error:
                    continue


def labelled(stream: DataStream, name: str) -> DataStream:
    # A chain of its own: see flink_jobs.topology._side_output.
    return stream.map(Label(name), Types.STRING()).start_new_chain()


def main(variant: str, mode: str, messages: dict[str, Any]) -> None:
    flags = ["--execution-mode", mode, "--bounded", "--checkpoint-interval-ms", "0"]
    config = parse_config(flags, {}, variant)
    env, tables = build_environment(config)
    models = env.from_collection([bytes.fromhex(model) for model in messages["models"]])
    rows = [([bytearray.fromhex(record) for record in vector],) for vector in messages["vectors"]]
    schema = DataTypes.ROW([DataTypes.FIELD("payloads", DataTypes.ARRAY(DataTypes.BYTES()))])
    records = tables.to_data_stream(tables.from_elements(rows, schema))
    served: Served = (
        serve_keyed(models, records, config.serving)
        if variant == "keyed"
        else serve_broadcast(models, records, config.serving, config.parallelism)
    )
    lines = labelled(served.results, "results").union(
        labelled(served.dead_letters, "dead_letters"), labelled(served.statuses, "statuses")
    )
    with WorkerCount() as workers, lines.execute_and_collect("collections") as collected:
        for line in collected:
            print(line)
    print(json.dumps({"workers": bytes([len(workers)]).hex()}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.load(sys.stdin))
    sys.stdout.flush()
    os._exit(0)
