"""``python -m bench latency``: measures latency at 1,000 records a second and at half of the top rate.

The latency is Kafka's log-append time of the result minus the time at which the record was due, which the
producer sets. Both are from the clock of one machine, in whole milliseconds. ``cores`` is the processor time
that the system's processes and Kafka's take in a second of the measured time. With ``--compare FLAGS`` the
job also runs with these flags in each round, first and second by turns, and no peer runs.
"""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from collections.abc import Sequence
from functools import partial
from typing import Any

from rich.table import Table

from bench.figures import latency, spread
from bench.pace import HALF, rate_of
from bench.processor_time import taken_s, tree
from bench.records import epoch_ms
from bench.serving import Served, add_broker_warm_up, serving, warm_up_broker
from bench.session import Session, add_common_arguments, add_compare_argument, in_turns, open_session
from bench.store import Case

__all__ = ["add_arguments", "run"]

_SHOWN = ("p50", "p90", "p99", "max")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``latency``."""
    add_common_arguments(parser, models="graph,glm,forest", rounds=3)
    parser.add_argument(
        "--rates",
        default=f"1000,{HALF}",
        help="records a second, comma separated; half: of this project's top rate in the stored backlog",
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds that are measured (60)")
    parser.add_argument("--types", type=int, default=1, help="data types in turn, each with its model (1)")
    add_compare_argument(parser)
    parser.add_argument("--warm-up", type=float, default=20.0, help="seconds before the measurement (20)")
    add_broker_warm_up(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measures, prints and stores the figures. Returns the exit status."""
    with open_session("compared-latency" if arguments.compare else "latency", arguments) as session:
        keys = [
            session.key(variant=variant, model=model, set=session.chosen.value, rate=rate)
            | ({"compared": arguments.compare} if arguments.compare else {})
            | ({"types": arguments.types} if arguments.types > 1 else {})
            for rate in arguments.rates.split(",")
            for model in session.models
            for variant in session.variants
        ]
        warm_up_broker(session, keys, partial(_rate, session), arguments.broker_warm_up)
        _show(session, session.cases(keys, lambda key: _case(session, key, arguments)))
    return 0


def _rate(session: Session, key: dict[str, str | int]) -> float:
    return rate_of(session.store, str(key["rate"]), key, of=("variant", "model", "set"))


def _case(session: Session, key: dict[str, str | int], arguments: argparse.Namespace) -> Case:
    rate = _rate(session, key)
    model = session.models[str(key["model"])]
    types = int(key.get("types", 1))
    # Half of this project's rate is more than the peer manages with some models, so the peer has no row.
    rounds: dict[str, list[dict[str, Any]]] = {"ours": []}
    if arguments.compare:
        rounds["compared"] = []
    elif session.peer is not None and model.preload is not None and key["rate"] != HALF and types == 1:
        # The peer has one model.
        rounds["peer"] = []
    flags = {"compared": tuple(shlex.split(arguments.compare))}
    commands: dict[str, Sequence[str]] = {}

    def measure(system: str) -> dict[str, Any]:
        with serving(
            session,
            "ours" if system == "compared" else system,
            str(key["variant"]),
            model,
            rate,
            warm_up_s=arguments.warm_up,
            flags=flags.get(system, ()),
            types=types,
        ) as served:
            begin, before = epoch_ms(), _processor_s(session, served)
            served.wait(arguments.seconds)
            end, after = epoch_ms(), _processor_s(session, served)
        commands[system] = served.command
        commands["producer"] = served.load.command
        values = served.within(begin, end)
        return {
            "rate": rate,
            "results_a_second": round(len(values) * 1000 / (end - begin), 1),
            "producer_late_ms": round(served.load.sent.late_ms, 1),
            "cores": {name: round((after[name] - before[name]) * 1000 / (end - begin), 2) for name in after},
            **dataclasses.asdict(latency(values)),
        }

    title = " ".join(map(str, key.values()))
    for number, system, figures in in_turns(session.rounds, rounds):
        figures.append(session.twice(f"{title} {system}", partial(measure, system)))
        p50, p90, p99, most, mean = (figures[-1][name] for name in (*_SHOWN, "mean"))
        session.say(
            f"{title} ({rate:,.0f}/s), round {number + 1}, {system}: "
            f"p50 {p50:.0f}, p90 {p90:.0f}, p99 {p99:.0f}, max {most:.0f}, mean {mean:.2f} ms"
        )
    return session.save(key, commands, rounds)


def _processor_s(session: Session, served: Served) -> dict[str, float]:
    """The processor seconds that the system and Kafka have taken so far."""
    return {"system": served.job.processor_s(), "kafka": taken_s(tree([session.broker_pid]).values())}


def _show(session: Session, cases: Sequence[Case]) -> None:
    table = Table("case", "rate", "system", "p50", "p90", "p99", "max", "p99 ratio", title="latency, ms")
    for column in table.columns[3:]:
        column.justify = "right"
    for case in cases:
        p99 = {system: spread(case.values(system, "p99")).median for system in case.rounds}
        for system in case.rounds:
            medians = [spread(case.values(system, name)).median for name in _SHOWN]
            other = next((one for one in p99 if one != "ours"), None)
            ratio = f"{p99['ours'] / p99[other]:.2f}" if system == "ours" and other else ""
            rate = f"{case.rounds[system][0]['rate']:,.0f}"
            table.add_row(
                " ".join(map(str, case.key.values())), rate, system, *(f"{one:.0f}" for one in medians), ratio
            )
    session.console.print(table)
    session.say("medians of the rounds")
