"""``python -m bench checkpoints``: measures latency with checkpoints while ten models of 20 MB serve.

The models are in the model store (the default), or in state because ``--inline-limit`` is above their size.
Each case is measured in turn without checkpoints and with one every 5 s. The size of a checkpoint is the size
of the files that appear below the checkpoint folder while latency is measured.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.figures import latency, spread
from bench.records import epoch_ms
from bench.serving import Served, serving
from bench.session import Session, add_common_arguments, open_session
from bench.store import Case

__all__ = ["add_arguments", "run"]

_IN_STATE = ("--inline-limit", "33554432")
_PLACES = {
    "store": (),
    "hashmap": (*_IN_STATE, "--state-backend", "hashmap"),
    "rocksdb": (*_IN_STATE, "--state-backend", "rocksdb"),
}
"""The places of the models, and the job flags for them."""

_OFF, _ON = "0", "5000"
_LOOK_EVERY_S = 0.5
_STORE = "models"
_MB = 1e6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``checkpoints``."""
    add_common_arguments(parser, models="table-large", rounds=3, variants="keyed")
    parser.add_argument("--places", default=",".join(_PLACES), help=f"comma separated ({','.join(_PLACES)})")
    parser.add_argument("--rate", type=float, default=1000.0, help="records a second (1000)")
    parser.add_argument("--types", type=int, default=10, help="data types, each with a model of its own (10)")
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds that are measured (60)")
    parser.add_argument("--warm-up", type=float, default=20.0, help="seconds before the measurement (20)")


def run(arguments: argparse.Namespace) -> int:
    """Measures, prints and stores the figures. Returns the exit status."""
    with open_session("checkpoints", arguments) as session:
        keys = [
            session.key(variant=variant, model=model, types=arguments.types, models_in=place)
            for place in arguments.places.split(",")
            for model in session.models
            for variant in session.variants
        ]
        _show(session, session.cases(keys, lambda key: _case(session, key, arguments)))
    return 0


def _case(session: Session, key: dict[str, str | int], arguments: argparse.Namespace) -> Case:
    rounds: dict[str, list[dict[str, Any]]] = {"ours": []}
    commands: dict[str, Sequence[str]] = {}

    def measure(interval_ms: str) -> dict[str, Any]:
        with serving(
            session,
            "ours",
            str(key["variant"]),
            session.models[str(key["model"])],
            arguments.rate,
            warm_up_s=arguments.warm_up,
            types=arguments.types,
            flags=(*_PLACES[str(key["models_in"])], "--checkpoint-interval-ms", interval_ms),
        ) as served:
            begin = epoch_ms()
            written = _watch(served, arguments.seconds)
            end = epoch_ms()
        commands["ours"] = served.command
        commands["producer"] = served.load.command
        return {**dataclasses.asdict(latency(served.within(begin, end))), **written}

    title = " ".join(map(str, key.values()))
    for number in range(session.rounds):
        found = {
            name: session.twice(f"{title}, {name}", partial(measure, interval_ms))
            for name, interval_ms in (("without", _OFF), ("every_5_s", _ON))
        }
        ratio = found["every_5_s"]["p99"] / found["without"]["p99"]
        rounds["ours"].append({"rate": arguments.rate, "p99_ratio": round(ratio, 2), **found})
        session.say(f"{title}, round {number + 1}: {_line(found)}")
    return session.save(key, commands, rounds)


def _watch(served: Served, seconds: float) -> dict[str, Any]:
    """Waits, and returns the number of completed checkpoints and the sizes of checkpoints and store (MB)."""
    root = Path(served.command[list(served.command).index("--checkpoint-dir") + 1])
    before, seen = set(_files(root)), dict[Path, int]()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        served.wait(_LOOK_EVERY_S)
        for path, size in _files(root).items():
            if path not in before:
                seen[path] = max(size, seen.get(path, 0))
    completed = sum(path.name == "_metadata" for path in seen)
    stored = sum(size for path, size in seen.items() if path.is_relative_to(root / _STORE))
    written = sum(seen.values()) - stored
    return {
        "checkpoints": completed,
        "written_mb": round(written / _MB / completed, 3) if completed else 0.0,
        "store_mb": round(stored / _MB, 3),
    }


def _files(root: Path) -> dict[Path, int]:
    found = {}
    for path in root.rglob("*"):
        try:
            if path.is_file():
                found[path] = path.stat().st_size
        except FileNotFoundError:  # a newer checkpoint has replaced this one
            continue
    return found


def _line(found: dict[str, dict[str, Any]]) -> str:
    off, on = found["without"], found["every_5_s"]
    return (
        f"p99 {on['p99']:.0f} ms with checkpoints, {off['p99']:.0f} without "
        f"(max {on['max']:.0f}, {off['max']:.0f}); "
        f"{on['checkpoints']} checkpoints of {on['written_mb']:,.2f} MB, "
        f"{on['store_mb']:,.1f} MB to the model store"
    )


def _show(session: Session, cases: Sequence[Case]) -> None:
    columns = {
        "p50": ("every_5_s.p50", "without.p50"),
        "p99": ("every_5_s.p99", "without.p99"),
        "max": ("every_5_s.max", "without.max"),
    }
    table = Table(
        "case", *(f"{name}, ms" for name in columns), "p99 ratio", "MB a checkpoint", title="checkpoints"
    )
    for case in cases:
        cells = [
            " / ".join(_spread(case.values("ours", figure)) for figure in figures)
            for figures in columns.values()
        ]
        ratio = case.values("ours", "p99_ratio")
        size = spread(case.values("ours", "every_5_s.written_mb"))
        table.add_row(
            " ".join(map(str, case.key.values())),
            *cells,
            f"{min(ratio):.2f} to {max(ratio):.2f}",
            f"{size.minimum:,.2f} to {size.maximum:,.2f}",
        )
    session.console.print(table)
    session.say("with a checkpoint every 5 s / without: median (least to greatest) of the rounds")


def _spread(values: Sequence[float]) -> str:
    found = spread(values)
    return f"{found.median:.0f} ({found.minimum:.0f} to {found.maximum:.0f})"
