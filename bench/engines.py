"""``python -m bench engines``: measures microseconds a record in each engine without Flink, in batches."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.errors import BenchError
from bench.figures import spread
from bench.inputs import BenchModel, ModelSet, build_inputs, model_set, models_in
from bench.known_models import wine_model
from bench.library_calls import ratio_to_library
from bench.records import RecordMaker
from bench.session import add_results_argument
from bench.store import Case, Store
from bench.surroundings import now, surroundings
from model_serving.core.errors import ModelRejected
from model_serving.engines import engine_for

__all__ = ["add_arguments", "run", "time_calls"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``engines``."""
    parser.add_argument("--models", default="", help="comma separated keys (all)")
    parser.add_argument(
        "--set",
        dest="model_set",
        choices=[each.value for each in ModelSet],
        help="the set of models (seed if MODEL_SERVING_SEED_DATA is set, else sample)",
    )
    parser.add_argument("--batches", default="1,8,64,512", help="records a call (1,8,64,512)")
    parser.add_argument("--repeats", type=int, default=15, help="repeats of each figure (15)")
    parser.add_argument("--repeat-ms", type=float, default=50.0, help="least length of a repeat (50)")
    add_results_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measures, prints and stores the figures. Returns the exit status."""
    chosen = model_set(arguments.model_set)
    models = models_in(chosen, build_inputs())
    keys = [key for key in arguments.models.split(",") if key] or list(models)
    sizes = [int(word) for word in arguments.batches.split(",")]
    if unknown := [key for key in keys if key not in models]:
        raise BenchError(f"there is no '{unknown[0]}': choose from {', '.join(models)}")
    store, environment = Store(arguments.results), surroundings()
    table = Table(
        "model", "load, ms", *(f"{size}" for size in sizes), "× library", title="µs a record in batches of"
    )
    for column in table.columns[1:]:
        column.justify = "right"
    failures = []
    for key in keys:
        try:
            figures = _measure(models[key], sizes, arguments.repeats, arguments.repeat_ms / 1000)
        except ModelRejected as error:
            failures.append(f"{key}: {error}")
            continue
        store.save(
            "engines",
            Case(
                {"model": key, "set": chosen.value},
                now(),
                {"ours": f"python -m bench engines --set {chosen.value} --models {key}"},
                {"ours": figures},
                environment,
            ),
        )
        cells = []
        for size in sizes:
            of = spread([figure["batches"][str(size)] for figure in figures])
            cells.append(f"{of.minimum:.2f} / {of.median:.2f} / {of.maximum:.2f}")
        ratio = figures[0]["to_library"]
        table.add_row(key, f"{figures[0]['load_ms']:.0f}", *cells, "" if ratio is None else f"{ratio:.2f}")
    Console(width=max(140, Console().width)).print(table)
    if failures:
        raise BenchError("; ".join(failures))
    return 0


def _measure(model: BenchModel, sizes: list[int], repeats: int, repeat_s: float) -> list[dict[str, Any]]:
    known = wine_model(model, RecordMaker())
    begin = time.perf_counter()
    loaded = engine_for(model.kind).load(known.message, known.schema)
    load_ms = (time.perf_counter() - begin) * 1000
    records = known.columns(loaded.fields)
    try:
        batches = {size: records[np.arange(size) % len(records)] for size in sizes}
        timed = {
            size: time_calls(partial(loaded.score, batch), repeats, repeat_s)
            for size, batch in batches.items()
        }
        ratio = ratio_to_library(known.message, loaded, records[:1])
    finally:
        loaded.close()
    return [
        {
            "load_ms": round(load_ms, 1),
            "to_library": ratio,
            "batches": {str(size): round(calls[number] * 1e6 / size, 3) for size, calls in timed.items()},
        }
        for number in range(repeats)
    ]


def time_calls(call: Callable[[], object], repeats: int, repeat_s: float) -> list[float]:
    """Returns seconds a call, ``repeats`` times. Each is the mean over enough calls to fill ``repeat_s``.

    The calls that find this number of calls also warm up the measured code.
    """
    calls, spent = 1, 0.0
    while True:
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        spent = time.perf_counter() - begin
        if spent >= repeat_s:
            break
        calls = max(calls + 1, int(calls * min(10.0, 1.2 * repeat_s / max(spent, 1e-9))))
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        times.append((time.perf_counter() - begin) / calls)
    return times
