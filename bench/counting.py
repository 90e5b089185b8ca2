"""``python -m bench counting``: measures what the statistics add to a record, in one thread, without Kafka.

Two desks score the same batches with the same loaded model: they decode the records, score them and encode
the results, which is all that Python does for a record in every host. One counts statistics and the other
does not. They take turns, every second time the other way round, and the thread's processor time is taken, so
that other programs disturb the figures little. What is compared is two turns in a row.

Each turn of the desk that counts ends with a report, as the reporting thread makes one once a second, because
what is left of the notes is counted with it. ``report_ms`` is what encoding one takes.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.errors import BenchError
from bench.figures import paired, spread
from bench.inputs import BenchModel, ModelSet, build_inputs, model_set, models_in
from bench.known_models import wine_model
from bench.records import RecordMaker, epoch_ms
from bench.session import add_results_argument
from bench.store import Case, Store
from bench.surroundings import now, surroundings
from model_serving.assembly import Parts, build, new_pool
from model_serving.client.record_files import DEFAULT_RECORD_TYPE
from model_serving.core.clock import SystemClock
from model_serving.core.messages import ModelToServe
from model_serving.core.pool import ModelPool
from model_serving.core.scoring.desk import ServingDesk
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.core.state import Activation, encode_activation
from model_serving.core.statistics.recorder import Identity, Recorder
from model_serving.settings import ServingSettings
from model_serving.testing.state import InMemoryActiveModels
from model_serving.wire.statistics import encode_statistics

__all__ = ["add_arguments", "measured", "run"]

_DIFFERENT = 8
"""How many different batches come in turn: with one, all its bytes would stay in the processor's caches."""

_RECORDS = 16_384
_MOST_BATCHES = 1024
_FEWEST_BATCHES = 16
"""The records of a turn, and its most and fewest batches: it counts in bulk at least once, as the recorder
does on its own, and takes some milliseconds."""


@dataclass(frozen=True, slots=True)
class _System:
    """A desk, and what it counts with."""

    desk: ServingDesk
    parts: Parts
    recorder: Recorder | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``counting``."""
    parser.add_argument("--models", default="glm", help="comma separated keys (glm)")
    parser.add_argument(
        "--set",
        dest="model_set",
        choices=[each.value for each in ModelSet],
        help="the set of models (seed if MODEL_SERVING_SEED_DATA is set, else sample)",
    )
    parser.add_argument("--batches", default="1,10,100,500,2000", help="records a batch (1,10,100,500,2000)")
    parser.add_argument("--rounds", type=int, default=60, help="turns of each desk (60)")
    add_results_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measures, prints and stores the figures. Returns the exit status."""
    chosen = model_set(arguments.model_set)
    models = models_in(chosen, build_inputs())
    keys = [key for key in arguments.models.split(",") if key]
    if unknown := [key for key in keys if key not in models]:
        raise BenchError(f"there is no '{unknown[0]}': choose from {', '.join(models)}")
    sizes = [int(word) for word in arguments.batches.split(",")]
    store, environment = Store(arguments.results), surroundings()
    for key in keys:
        rounds = measured(models[key], sizes, arguments.rounds)
        command = f"python -m bench counting --set {chosen.value} --models {key}"
        case = Case({"model": key, "set": chosen.value}, now(), {"ours": command}, rounds, environment)
        store.save("counting", case)
        _show(case, sizes)
    return 0


def measured(model: BenchModel, sizes: Sequence[int], rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Returns microseconds a record for each size of batch: ``ours`` counts, ``compared`` does not."""
    found: dict[str, list[dict[str, Any]]] = {
        system: [{"batches": {}, "report_ms": 0.0} for _ in range(rounds)] for system in ("ours", "compared")
    }
    maker = RecordMaker()
    message = wine_model(model, maker).message
    clock, pool = SystemClock(), new_pool()
    systems = {
        "ours": _system(message, clock, pool, Recorder(Identity("bench", "0", "bench"), clock)),
        "compared": _system(message, clock, pool, None),
    }
    try:
        for size in sizes:
            batches = _batches(maker, size)
            for number in range(-1, rounds):
                # The first round, which is not taken, also makes the reference of the fields.
                for name in list(systems) if number % 2 == 0 else reversed(systems):
                    taken, report_ms = _turn(systems[name], batches, size)
                    if number >= 0:
                        found[name][number]["batches"][str(size)] = round(taken, 4)
                        found[name][number]["report_ms"] = round(report_ms, 3)
    finally:
        for each in systems.values():
            each.desk.close()
    return found


def _system(message: ModelToServe, clock: SystemClock, pool: ModelPool, recorder: Recorder | None) -> _System:
    settings = ServingSettings(
        record_type=DEFAULT_RECORD_TYPE,
        models_topic="models",
        data_topic="mdata",
        waiting=WaitingPolicy(NoModelPolicy.DROP, 0, bounded=True),
        keep_versions=1,
        base_dir="",
        model_size_limit=1 << 30,
    )
    parts = build(settings, clock, pool, recorder=recorder)
    desk = parts.desk(InMemoryActiveModels(), None, "bench", 0)
    order = Activation(message.data_type, 1, message)
    for _ in desk.carry_out(encode_activation(order)):
        pass
    return _System(desk, parts, recorder)


def _batches(maker: RecordMaker, size: int) -> Iterator[list[bytes]]:
    """Gives the different batches again and again."""
    stamp, records = maker.record_type.stamp(epoch_ms()), maker.stream()
    made = [[record + stamp for record in itertools.islice(records, size)] for _ in range(_DIFFERENT)]
    return itertools.cycle(made)


def _turn(system: _System, batches: Iterator[list[bytes]], size: int) -> tuple[float, float]:
    """Returns microseconds a record, and the milliseconds of encoding a report."""
    count = max(_FEWEST_BATCHES, min(_MOST_BATCHES, _RECORDS // size))
    chosen = list(itertools.islice(batches, count))
    decode, take, recorder = system.parts.codec.decode, system.desk.take, system.recorder
    begin = time.thread_time_ns()
    for payloads in chosen:
        emitted = take(decode(payloads))
    reports = [] if recorder is None else recorder.changed(1)
    taken_ns = time.thread_time_ns() - begin
    if len(list(emitted.results)) != size:
        raise BenchError(f"{len(list(emitted.results))} results of {size} records")
    begin = time.thread_time_ns()
    for report in reports:
        encode_statistics(report)
    report_ns = time.thread_time_ns() - begin
    return taken_ns / 1e3 / count / size, report_ns / 1e6


def _show(case: Case, sizes: Sequence[int]) -> None:
    table = Table("records a batch", "without", "with statistics", "more", title="µs a record")
    for size in sizes:
        ours, without = (case.values(system, f"batches.{size}") for system in ("ours", "compared"))
        ratio = paired(without, ours)
        table.add_row(
            f"{size:,}",
            f"{spread(without).median:.3f}",
            f"{spread(ours).median:.3f}",
            f"{ratio.median - 1:+.1%} ({ratio.low - 1:+.1%} to {ratio.high - 1:+.1%})",
        )
    console = Console()
    console.print(table)
    console.print(f"encoding a report takes {spread(case.values('ours', 'report_ms')).median:.2f} ms")
