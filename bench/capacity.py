"""``python -m bench capacity``: how many instances a load needs, computed from the stored figures.

Nothing is measured here. An instance is what the sections ``backlog``, ``scaling`` and ``memory`` have
measured: one process that serves, on a machine of two cores that it shares with Kafka and the producer.
``python -m bench report`` writes these tables into docs/production.md.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.errors import BenchError
from bench.session import add_results_argument
from bench.store import Case, Store

__all__ = ["HEADROOM", "Rate", "add_arguments", "instances", "rates", "run", "tables"]

HEADROOM = 0.5
"""The share of the least measured throughput that is planned with. Latency was measured at this share, and a
pause of some minutes is caught up in as many minutes."""

_RECORDS = 400_000
_COUNTS = (1, 10, 100, 1000)
_LOADS = (10_000, 100_000, 1_000_000, 10_000_000)
_IN_LOADS = (
    ("keyed", "glm"),
    ("keyed", "network"),
    ("broadcast", "glm"),
    ("server", "glm"),
    ("server", "forest"),
)
_A_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Rate:
    """The least throughput of the measured rounds of a host with a model, in records a second."""

    host: str
    model: str
    least: float

    @property
    def planned(self) -> float:
        """Records a second that one instance is planned to take."""
        return self.least * HEADROOM


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``capacity``."""
    add_results_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints the tables. Returns the exit status."""
    for name, lines in tables(Store(arguments.results)).items():
        print(f"{name}:", *lines, sep="\n", end="\n\n")
    return 0


def tables(store: Store) -> dict[str, list[str]]:
    """Returns the lines of each table by the name of its markers.

    Raises:
        BenchError: a figure that is needed was not measured.
    """
    measured = rates(store.cases("backlog"))
    return {
        "capacity-instances": _by_instances(measured),
        "capacity-loads": _by_load(measured),
        "capacity-types": _by_types(store.cases("scaling")),
        "capacity-memory": _memory(store.cases("memory")),
    }


def rates(cases: Sequence[Case]) -> list[Rate]:
    """Returns a rate for each host and model: 400,000 records of one data type, one partition, default flags.

    Raises:
        BenchError: there are no such cases.
    """
    found = [
        Rate(str(case.key["variant"]), str(case.key["model"]), min(case.values("ours", "rate")))
        for case in cases
        if case.key.get("records") == _RECORDS
        and not {"flags", "types", "partitions"} & case.key.keys()
        and case.values("ours", "rate")
    ]
    if not found:
        raise BenchError("there are no figures of the section backlog: run python -m bench backlog")
    return found


def instances(load: float, rate: Rate) -> int:
    """Returns how many instances a load of records a second needs."""
    return max(1, math.ceil(load / rate.planned))


def _by_instances(measured: Sequence[Rate]) -> list[str]:
    head = ["host", "model", "measured", *(f"{count:,}" for count in _COUNTS), "a day, by one"]
    rows = [
        [
            rate.host,
            rate.model,
            _short(rate.least),
            *(_short(rate.planned * count) for count in _COUNTS),
            _short(rate.planned * _A_DAY),
        ]
        for rate in measured
    ]
    return _table(head, rows)


def _by_load(measured: Sequence[Rate]) -> list[str]:
    wanted = [rate for rate in measured if (rate.host, rate.model) in _IN_LOADS]
    head = ["records/s", *(f"{rate.host}, {rate.model}" for rate in wanted)]
    return _table(
        head, [[_short(load), *(f"{instances(load, rate):,}" for rate in wanted)] for load in _LOADS]
    )


def _by_types(cases: Sequence[Case]) -> list[str]:
    found = sorted(
        (int(case.key["types"]), min(case.values("ours", "rate")))
        for case in cases
        if case.key.get("kind") == "types" and case.key["variant"] == "keyed" and case.values("ours", "rate")
    )
    if not found:
        raise BenchError("there are no figures of data types: run python -m bench scaling")
    one = found[0][1]
    rows = [
        [f"{types:,}", _short(rate), f"{rate / one:.2f}", _short(rate * HEADROOM)] for types, rate in found
    ]
    return _table(["data types of an instance", "measured", "factor", "planned"], rows)


def _memory(cases: Sequence[Case]) -> list[str]:
    rows = [
        [
            str(case.key["variant"]),
            str(case.key["model"]),
            f"{max(case.values('ours', 'serving.mean')):,.0f}",
            f"{max(case.values('ours', 'trials_mib')):,.0f}",
        ]
        for case in cases
    ]
    if not rows:
        raise BenchError("there are no figures of the section memory: run python -m bench memory")
    return _table(["host", "model", "what serves, MiB", "trials of models, MiB"], rows)


def _short(value: float) -> str:
    """Returns a number with two digits or more, in thousands, millions or billions."""
    for limit, ending in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= limit:
            scaled = value / limit
            return f"{scaled:.0f}{ending}" if scaled >= 10 else f"{scaled:.1f}{ending}"
    return f"{value:.0f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
