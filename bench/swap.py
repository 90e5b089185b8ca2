"""``python -m bench swap``: measures latency and gaps while a model of 20 MB is swapped in.

A model of the same type and cost serves first. Then editions of the large model are published, one after
another. A swap lasts from the send of the model message to a few seconds after the first result of its
version.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from rich.table import Table

from bench.errors import BenchError
from bench.figures import latency, longest_gap, spread
from bench.inputs import BenchModel
from bench.pace import HALF, rate_of
from bench.records import DATA_TYPE, epoch_ms
from bench.serving import Served, add_broker_warm_up, serving, warm_up_broker
from bench.session import Session, add_common_arguments, in_turns, open_session
from bench.store import Case
from model_serving.protos.modelstatus_pb2 import ModelStatus

__all__ = ["add_arguments", "run"]

_ACTIVE_S = 90.0
_PEER_SWAP_S = 20.0
_SETTLE_S = 3.0
_PEER_OPTIONS = ("--checkpoint", "0")
"""The peer keeps checkpoints in the JobManager's memory. A state of more than 5 MB would restart the job."""
_BASES = {"forest-large": "forest-large", "table-large": "table-small", "glm": "forest"}
"""For each model that swaps in, two of 20 MB and a small one, the model that serves before it."""


@dataclass(frozen=True, slots=True)
class _Span:
    """The time of a swap, from the model message's send, epoch ms, and the ``version`` of the new model."""

    begin: int
    end: int
    version: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``swap``."""
    add_common_arguments(parser, models=",".join(_BASES), rounds=3)
    parser.add_argument(
        "--rates",
        default=f"1000,{HALF}",
        help="records a second; half: of the top throughput in the stored scaling by bytes",
    )
    parser.add_argument("--swaps", type=int, default=3, help="swaps in each round (3)")
    parser.add_argument("--quiet", type=float, default=20.0, help="seconds without a swap, to compare (20)")
    parser.add_argument("--after", type=float, default=5.0, help="seconds that are measured after a swap (5)")
    parser.add_argument("--warm-up", type=float, default=20.0, help="seconds before the measurement (20)")
    add_broker_warm_up(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measures, prints and stores the figures. Returns the exit status."""
    asked = [model for model in arguments.models.split(",") if model in _BASES]
    if not asked:
        raise BenchError(f"swap measures {', '.join(_BASES)} only: name one of them with --models")
    arguments.models = ",".join(dict.fromkeys([*asked, *(_BASES[model] for model in asked)]))
    with open_session("swap", arguments) as session:
        keys = [
            session.key(variant=variant, model=model, rate=rate)
            for rate in arguments.rates.split(",")
            for model in session.models
            if model in asked
            for variant in session.variants
        ]
        warm_up_broker(session, keys, partial(_rate, session), arguments.broker_warm_up)
        _show(session, session.cases(keys, lambda key: _case(session, key, arguments)))
    return 0


def _rate(session: Session, key: dict[str, str | int]) -> float:
    sections = ("scaling", "backlog")
    return rate_of(session.store, str(key["rate"]), key, of=("variant", "model"), sections=sections)


def _case(session: Session, key: dict[str, str | int], arguments: argparse.Namespace) -> Case:
    rate = _rate(session, key)
    large = session.models[str(key["model"])]
    base = session.models[_BASES[large.key]]
    compared = session.peer is not None and key["rate"] != HALF
    rounds: dict[str, list[dict[str, Any]]] = {"ours": [], "peer": []} if compared else {"ours": []}
    commands: dict[str, Sequence[str]] = {}

    def measure(system: str) -> dict[str, Any]:
        with serving(
            session,
            system,
            str(key["variant"]),
            base,
            rate,
            warm_up_s=arguments.warm_up,
            preload=False,
            arrivals=True,
            peer_options=_PEER_OPTIONS,
        ) as served:
            begin = epoch_ms()
            served.wait(arguments.quiet)
            quiet = _Span(begin, epoch_ms(), "")
            spans = [
                _swap(session, served, large, edition + 1, arguments.after)
                for edition in range(arguments.swaps)
            ]
            # The last records have their results before the producer ends: what follows takes the processor.
            served.wait(_SETTLE_S)
        commands[system] = served.command
        commands["producer"] = served.load.command
        return {"rate": rate, **_figures(served, quiet, spans)}

    title = " ".join(map(str, key.values()))
    for number, system, figures in in_turns(session.rounds, rounds):
        figures.append(session.twice(f"{title} {system}", partial(measure, system)))
        session.say(f"{title}, round {number + 1}, {system}: {_line(figures[-1])}")
    return session.save(key, commands, rounds)


def _swap(session: Session, served: Served, large: BenchModel, edition: int, after_s: float) -> _Span:
    message = large.message(DATA_TYPE, edition=edition)
    content = message.SerializeToString()
    seen = session.kafka.count(served.topics.status)
    begin = session.kafka.publish(served.topics.models, [content])
    if served.system == "peer":
        # The peer reports no swap on a topic, and its results have no version.
        served.wait(_PEER_SWAP_S)
        return _Span(begin, epoch_ms(), "")
    end = time.monotonic() + _ACTIVE_S
    while not (statuses := session.kafka.messages(served.topics.status, first=seen)):
        served.wait(0.5)
        if time.monotonic() > end:
            raise BenchError(f"the model is not active after {_ACTIVE_S:g} s: {served.job.last_words()}")
    status = ModelStatus.FromString(statuses[0])
    if status.state != ModelStatus.ACTIVE:
        raise BenchError(f"the job rejects the model: {status.detail}")
    served.wait(after_s)
    return _Span(begin, epoch_ms(), status.version)


def _figures(served: Served, quiet: _Span, spans: Sequence[_Span]) -> dict[str, Any]:
    results = served.results

    def around(span: _Span) -> dict[str, Any]:
        values = served.within(span.begin, span.end)
        found = {
            "longest_gap_ms": longest_gap(results.appended, span.begin, span.end),
            "arrival_gap_ms": longest_gap(served.arrived, span.begin, span.end),
            "seconds": (span.end - span.begin) / 1000,
            **dataclasses.asdict(latency(values)),
        }
        if span.version:
            number = results.versions.index(span.version) if span.version in results.versions else -1
            of_version = results.appended[results.version == number]
            if number < 0 or not len(of_version):
                raise BenchError(f"no result has the version {span.version}")
            found["activation_lag_ms"] = int(np.min(of_version)) - span.begin
        return found

    swaps = [around(span) for span in spans]
    worst = {
        name: max(swap[name] for swap in swaps)
        for name in ("longest_gap_ms", "arrival_gap_ms", "p99", "max", "activation_lag_ms")
        if all(name in swap for swap in swaps)
    }
    return {"quiet": around(quiet), "swaps": swaps, "worst": worst}


def _line(round_: dict[str, Any]) -> str:
    worst, quiet = round_["worst"], round_["quiet"]
    lag = f", active after {worst['activation_lag_ms']:,.0f} ms" if "activation_lag_ms" in worst else ""
    return (
        f"gap {worst['longest_gap_ms']:,.0f} ms (quiet {quiet['longest_gap_ms']:,.0f}), "
        f"of records {worst['arrival_gap_ms']:,.0f} ({quiet['arrival_gap_ms']:,.0f}), "
        f"p99 {worst['p99']:,.0f} ({quiet['p99']:,.0f}), max {worst['max']:,.0f} ({quiet['max']:,.0f}){lag}"
    )


def _show(session: Session, cases: Sequence[Case]) -> None:
    table = Table(
        "case",
        "rate",
        "system",
        "gap",
        "quiet",
        "records",
        "quiet",
        "p99",
        "quiet",
        "max",
        "quiet",
        "lag",
        title="swaps, ms",
    )
    for column in table.columns[3:]:
        column.justify = "right"
    for case in cases:
        for system, rounds in case.rounds.items():
            columns = [
                case.values(system, f"{part}.{figure}")
                for figure in ("longest_gap_ms", "arrival_gap_ms", "p99", "max")
                for part in ("worst", "quiet")
            ]
            columns.append(case.values(system, "worst.activation_lag_ms"))
            cells = [f"{spread(values).median:,.0f}" if values else "" for values in columns]
            table.add_row(" ".join(map(str, case.key.values())), f"{rounds[0]['rate']:,.0f}", system, *cells)
    session.console.print(table)
    session.say("the worst swap of a round, median of the rounds")
