"""``python -m bench reporting``: measures what the reports of statistics do to the latency, within one run.

The reporting thread of a worker takes a few milliseconds once a second, in which records may wait for it. The
records that were due around the time of a report are set apart, and the latencies of all records are compared
with those of the others: the same job in the same seconds, so that the difference between two runs does not
count. Nothing else happens at the times of the reports, which are a second and a little apart.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.table import Table

from bench.errors import BenchError
from bench.figures import percentile_of_whole, spread
from bench.records import epoch_ms
from bench.serving import serving
from bench.session import Session, add_common_arguments, open_session
from bench.store import Case
from model_serving.wire.statistics import decode_statistics

__all__ = ["add_arguments", "beside_reports", "run"]

_BEFORE_MS, _AFTER_MS = 40, 60
"""Records that are due this long before and after a report are set apart. Its time is that of its figures,
which are made before it is encoded and sent."""

Millis = npt.NDArray[np.int64]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``reporting``."""
    add_common_arguments(parser, models="glm", rounds=1)
    parser.add_argument("--rate", type=float, default=1000, help="records a second (1000)")
    parser.add_argument("--warm-up", type=float, default=60.0, help="seconds before the measurement (60)")
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds that are measured (60)")


def run(arguments: argparse.Namespace) -> int:
    """Measures, prints and stores the figures. Returns the exit status."""
    with open_session("reporting", arguments) as session:
        keys = [
            session.key(variant=variant, model=model, set=session.chosen.value, rate=f"{arguments.rate:g}")
            for model in session.models
            for variant in session.variants
        ]
        _show(session, session.cases(keys, lambda key: _case(session, key, arguments)))
    return 0


def beside_reports(submitted: Millis, latencies: Millis, reports: Millis) -> dict[str, float]:
    """Returns the latencies of all records, and of those that were due when nothing was reported, in ms.

    Args:
        submitted: when n ≥ 1 records were due, epoch ms.
        latencies: their latencies, ms.
        reports: when reports were made, epoch ms.

    Raises:
        BenchError: there is no report, or no record is away from all reports.
    """
    if not len(reports):
        raise BenchError("nothing was reported: the job needs a --stats-topic")
    times = np.sort(reports)
    # The first report that is not long before the record is the only one that may be near.
    place = np.searchsorted(times, submitted - _AFTER_MS)
    following = times[np.minimum(place, len(times) - 1)]
    near = (submitted >= following - _BEFORE_MS) & (submitted <= following + _AFTER_MS)
    if near.all():
        raise BenchError("every record is near a report: report less often")
    found = {"reports": float(len(times)), "near_share": float(near.mean())}
    for name, values in (("all", latencies), ("others", latencies[~near])):
        found[f"{name}_mean_ms"] = float(values.mean())
        found |= {f"{name}_p{share}_ms": percentile_of_whole(values, share) for share in (50, 99)}
    return found


def _case(session: Session, key: dict[str, str | int], arguments: argparse.Namespace) -> Case:
    rounds: list[dict[str, Any]] = []
    commands: dict[str, Sequence[str]] = {}
    model, variant = session.models[str(key["model"])], str(key["variant"])

    def measure() -> dict[str, Any]:
        with serving(session, "ours", variant, model, arguments.rate, warm_up_s=arguments.warm_up) as served:
            begin = epoch_ms()
            served.wait(arguments.seconds)
            end = epoch_ms()
            # The last report, too.
            served.wait(2.0)
            messages = session.kafka.messages(served.topics.stats)
        commands["ours"] = served.command
        results = served.results
        chosen = (results.submitted >= begin) & (results.submitted < end)
        submitted = results.submitted[chosen]
        reports = np.array(sorted({decode_statistics(one).ts for one in messages}), np.int64)
        return beside_reports(submitted, results.appended[chosen] - submitted, reports)

    title = " ".join(map(str, key.values()))
    for number in range(session.rounds):
        rounds.append(session.twice(title, measure))
        said = ", ".join(f"{name} {value:.2f}" for name, value in rounds[-1].items())
        session.say(f"{title}, round {number + 1}: {said}")
    return session.save(key, commands, {"ours": rounds})


def _show(session: Session, cases: Sequence[Case]) -> None:
    table = Table("case", "p50", "p99", "p50, others", "p99, others", title="latency, ms")
    for case in cases:
        names = ("all_p50_ms", "all_p99_ms", "others_p50_ms", "others_p99_ms")
        cells = [f"{spread(case.values('ours', name)).median:.2f}" for name in names]
        table.add_row(" ".join(map(str, case.key.values())), *cells)
    session.console.print(table)
