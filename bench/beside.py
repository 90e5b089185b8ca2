"""``python -m bench beside``: measures what flags cost with two jobs at the same time, on the same records.

Equal runs one after the other differ by up to 1.4 times on a shared machine, which hides a cost of a few
percent. Here one job runs with ``--compare FLAGS`` beside one without them. Both read the same data topic at
the same moments, so what disturbs one disturbs the other, and figures of the same seconds are compared.

Each round starts both jobs anew, by turns the one and the other first. Records come at ``--rate`` for the
latencies. Then ``--records`` come at once, ``--spans`` times, for the processor time that a job takes for a
record. The latency is that of ``bench latency``.
"""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.table import Table

from bench.errors import BenchError
from bench.figures import paired, percentile_of_whole, spread
from bench.jobs import RunningJob, await_growth
from bench.load import Load
from bench.records import RecordMaker, epoch_ms
from bench.results import Results, read_ours
from bench.session import (
    Session,
    add_common_arguments,
    add_compare_argument,
    open_session,
    order_of_round,
)
from bench.store import Case
from model_serving.messaging.topics import TopicNames

__all__ = ["add_arguments", "latency_windows", "run"]

_FEWEST_IN_WINDOW = 1000
"""A window with fewer results says nothing about a p99."""


@dataclass(frozen=True, slots=True)
class _Running:
    """One of the two jobs."""

    job: RunningJob
    topics: TopicNames


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``beside``."""
    add_common_arguments(parser, models="glm", rounds=4)
    add_compare_argument(parser)
    parser.add_argument("--rate", type=float, default=1000, help="records a second for the latency (1000)")
    parser.add_argument("--warm-up", type=float, default=15.0, help="seconds before the measurement (15)")
    parser.add_argument("--seconds", type=float, default=40.0, help="seconds of latency (40)")
    parser.add_argument("--window", type=float, default=10.0, help="seconds that have a p99 (10)")
    parser.add_argument("--records", type=int, default=300_000, help="records that come at once (300000)")
    parser.add_argument("--spans", type=int, default=4, help="how often they come (4)")


def run(arguments: argparse.Namespace) -> int:
    """Measures, prints and stores the figures. Returns the exit status."""
    if not arguments.compare:
        raise BenchError("there is nothing to compare: name flags with --compare")
    with open_session("beside", arguments) as session:
        keys = [
            session.key(variant=variant, model=model, set=session.chosen.value, compared=arguments.compare)
            for model in session.models
            for variant in session.variants
        ]
        _show(session, session.cases(keys, lambda key: _case(session, key, arguments)))
    return 0


def latency_windows(found: Results, begin: int, end: int, window_ms: int) -> dict[str, list[float]]:
    """Returns p50 and p99, ms, of the records sent in each whole window of ``begin`` to ``end`` (epoch ms).

    Raises:
        BenchError: a window has too few results for a p99.
    """
    latencies = found.appended - found.submitted
    windows: dict[str, list[float]] = {"p50_ms": [], "p99_ms": []}
    for first in range(begin, end - window_ms + 1, window_ms):
        chosen = latencies[(found.submitted >= first) & (found.submitted < first + window_ms)]
        if len(chosen) < _FEWEST_IN_WINDOW:
            raise BenchError(f"{len(chosen)} results are too few for a p99: take a longer --window")
        for share in (50, 99):
            windows[f"p{share}_ms"].append(percentile_of_whole(chosen, share))
    return windows


def _case(session: Session, key: dict[str, str | int], arguments: argparse.Namespace) -> Case:
    rounds: dict[str, list[dict[str, Any]]] = {"ours": [], "compared": []}
    commands: dict[str, Sequence[str]] = {}
    title = " ".join(map(str, key.values()))
    for number in range(session.rounds):
        order = order_of_round(number, rounds)
        both = session.twice(title, partial(_round, session, key, arguments, order, commands))
        again = {name: text for name, text in both.items() if name not in rounds}
        for system, figures in rounds.items():
            figures.append(both[system] | again)
        session.say(f"{title}, round {number + 1}: {_said([both['ours']], [both['compared']])}")
    return session.save(key, commands, rounds)


def _round(
    session: Session,
    key: Mapping[str, str | int],
    arguments: argparse.Namespace,
    order: Sequence[str],
    commands: dict[str, Sequence[str]],
) -> dict[str, Any]:
    flags = {"ours": (), "compared": tuple(shlex.split(arguments.compare))}
    shared = session.topics("s")
    session.kafka.create(shared)
    with ExitStack() as stack:
        jobs: dict[str, _Running] = {}
        for system in order:
            own = session.topics(f"{system}-")
            session.kafka.create(own)
            stack.callback(session.kafka.remove, *own.all())
            topics = TopicNames(own.models, shared.data, own.results, own.dead_letters, own.status, own.stats)
            command = session.ours(str(key["variant"]), topics, flags=flags[system])
            commands[system] = command
            jobs[system] = _Running(stack.enter_context(session.run(command)), topics)
        message = session.models[str(key["model"])].message().SerializeToString()
        for each in jobs.values():
            each.job.await_start()
            session.serve(each.job, each.topics, [message], 1)
        windows, sent = _latencies(session, jobs, shared.data, arguments)
        taken = _processor_times(session, jobs, shared.data, sent, arguments)
    session.kafka.remove(*shared.all())
    return {system: {"processor_us": taken[system], **windows[system]} for system in jobs}


def _latencies(
    session: Session, jobs: Mapping[str, _Running], data: str, arguments: argparse.Namespace
) -> tuple[dict[str, dict[str, list[float]]], int]:
    """Returns the latencies of both jobs, and how many records were sent."""
    with Load(session.kafka.bootstrap_servers, data, arguments.rate) as load:
        for each in jobs.values():
            await_growth(partial(session.kafka.count, each.topics.results), 1, each.job)
        _wait(jobs, load, arguments.warm_up)
        begin = epoch_ms()
        _wait(jobs, load, arguments.seconds)
        end = epoch_ms()
    windows = {}
    for system, each in jobs.items():
        await_growth(partial(session.kafka.count, each.topics.results), load.sent.records, each.job)
        found = read_ours(session.kafka, each.topics.results)
        windows[system] = latency_windows(found, begin, end, round(arguments.window * 1000))
    return windows, load.sent.records


def _wait(jobs: Mapping[str, _Running], load: Load, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left_s := end - time.monotonic()) > 0:
        for each in jobs.values():
            each.job.check()
        load.check()
        time.sleep(min(0.5, left_s))


def _processor_times(
    session: Session, jobs: Mapping[str, _Running], data: str, have: int, arguments: argparse.Namespace
) -> dict[str, list[float]]:
    """Returns microseconds a record of both jobs, for each span. One span before them warms up."""
    maker, taken = RecordMaker(), {system: list[float]() for system in jobs}
    for span in range(arguments.spans + 1):
        before = {system: each.job.processor_s() for system, each in jobs.items()}
        have += arguments.records
        session.kafka.fill(data, maker, have)
        left = dict(jobs)
        while left:
            for system, each in list(left.items()):
                each.job.check()
                if session.kafka.count(each.topics.results) >= have:
                    used_s = each.job.processor_s() - before[system]
                    del left[system]
                    if span:
                        taken[system].append(1e6 * used_s / arguments.records)
            time.sleep(0.1)
    return taken


def _said(ours: Sequence[Mapping[str, Any]], compared: Sequence[Mapping[str, Any]]) -> str:
    """How the job with the flags differs: medians of both, and of the pairs with their quartiles."""
    texts = []
    for name in ("processor_us", "p50_ms", "p99_ms"):
        first, second = ([value for each in rounds for value in each[name]] for rounds in (ours, compared))
        ratio = paired(first, second)
        texts.append(
            f"{name} {spread(first).median:.2f} and with the flags {spread(second).median:.2f}, "
            f"{ratio.median - 1:+.1%} ({ratio.low - 1:+.1%} to {ratio.high - 1:+.1%})"
        )
    return "; ".join(texts)


def _show(session: Session, cases: Sequence[Case]) -> None:
    table = Table("case", "what the flags change: median of the pairs (their quartiles)")
    for case in cases:
        said = _said(case.rounds["ours"], case.rounds["compared"]).replace("; ", "\n")
        table.add_row(" ".join(map(str, case.key.values())), said)
    session.console.print(table)
