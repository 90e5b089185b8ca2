"""``python -m bench memory``: measures the memory of the job's processes each second at half of its top rate.

RSS counts shared pages once for each process, USS counts only the pages that belong to one process alone. The
broker and the producer are left out. The process that runs trials is counted separately from the processes
that serve, because it ends when no model has come for minutes.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import psutil
from rich.table import Table

from bench.errors import BenchError
from bench.figures import drift
from bench.pace import HALF, rate_of
from bench.processor_time import process_label
from bench.serving import Served, serving
from bench.session import Session, add_common_arguments, open_session
from bench.store import Case

__all__ = ["add_arguments", "run"]

_MIB = 2**20
_STORED = 10
"""One of this number of samples is stored."""
_TRIALS = "python -m model_serving.engines.trial.process"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``memory``."""
    add_common_arguments(parser, models="saved,forest", rounds=1)
    parser.add_argument("--rate", default=HALF, help="records a second, or half of the stored top throughput")
    parser.add_argument("--seconds", type=float, default=600.0, help="seconds that are measured (600)")
    parser.add_argument(
        "--drift-seconds", type=float, default=480.0, help="last seconds, used for the drift (480)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Measures, prints and stores the figures. Returns the exit status."""
    with open_session("memory", arguments) as session:
        keys = [
            session.key(variant=variant, model=model, set=session.chosen.value, rate=arguments.rate)
            for model in session.models
            for variant in session.variants
        ]
        _show(session, session.cases(keys, lambda key: _case(session, key, arguments)))
    return 0


def _case(session: Session, key: dict[str, str | int], arguments: argparse.Namespace) -> Case:
    rate = rate_of(session.store, arguments.rate, key, of=("variant", "model", "set"))
    model = session.models[str(key["model"])]
    rounds: list[dict[str, Any]] = []
    commands: dict[str, Sequence[str]] = {}
    for _ in range(session.rounds):
        with serving(session, "ours", str(key["variant"]), model, rate, warm_up_s=0, read=False) as served:
            samples = _sample(served, arguments.seconds)
        late = [sample for sample in samples if sample["s"] >= arguments.seconds - arguments.drift_seconds]
        if len(late) < 2:
            raise BenchError("too short for a drift: raise --seconds")
        seconds = [sample["s"] for sample in late]
        rounds.append(
            {
                "rate": rate,
                "sent_a_second": round(served.load.sent.rate, 1),
                "rss": dataclasses.asdict(drift(seconds, [sample["rss_mib"] for sample in late])),
                "uss": dataclasses.asdict(drift(seconds, [sample["uss_mib"] for sample in late])),
                "serving": dataclasses.asdict(drift(seconds, [_serving_mib(sample) for sample in late])),
                "trials_mib": max(sample["processes"].get(_TRIALS, 0.0) for sample in late),
                "samples": samples[::_STORED],
            }
        )
        commands = {"ours": served.command, "producer": served.load.command}
        found = rounds[-1]["serving"]
        session.say(
            f"{' '.join(map(str, key.values()))} ({rate:,.0f}/s): serving takes {found['mean']:,.0f} MiB, "
            f"{found['low']:+.1f} to {found['high']:+.1f} %, trend {found['trend']:+.1f} %"
        )
    return session.save(key, commands, {"ours": rounds})


def _serving_mib(sample: dict[str, Any]) -> float:
    return float(sample["rss_mib"] - sample["processes"].get(_TRIALS, 0.0))


def _sample(served: Served, seconds: float) -> list[dict[str, Any]]:
    samples: list[dict[str, Any]] = []
    begin = time.monotonic()
    while (elapsed := time.monotonic() - begin) <= seconds:
        rss = uss = 0
        by_process: dict[str, float] = {}
        for process in served.job.processes():
            try:
                memory = process.memory_full_info()
                label = process_label(process.cmdline(), process.name())
            except psutil.Error:
                continue
            rss += memory.rss
            uss += memory.uss
            by_process[label] = round(by_process.get(label, 0) + memory.rss / _MIB, 1)
        samples.append(
            {
                "s": round(elapsed, 1),
                "rss_mib": round(rss / _MIB, 1),
                "uss_mib": round(uss / _MIB, 1),
                "processes": by_process,
            }
        )
        served.wait(max(0.0, begin + len(samples) - time.monotonic()))
    return samples


def _show(session: Session, cases: Sequence[Case]) -> None:
    table = Table(
        "case", "rate", "serving, RSS MiB", "low %", "high %", "trend %", "trials, RSS MiB", title="memory"
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for case in cases:
        for found in case.rounds["ours"]:
            serving = found["serving"]
            numbers = (*(serving[name] for name in ("mean", "low", "high", "trend")), found["trials_mib"])
            table.add_row(
                " ".join(map(str, case.key.values())),
                f"{found['rate']:,.0f}",
                *(f"{number:,.0f}" if number > 100 else f"{number:+.2f}" for number in numbers),
            )
    session.console.print(table)
