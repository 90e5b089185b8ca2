"""``python -m bench report``: writes the stored figures into the docs.

docs/benchmarks.md gets the tables and a plot next to it, docs/production.md the tables of ``bench.capacity``.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import capacity
from bench.errors import BenchError
from bench.plot import bars
from bench.report_machines import machine
from bench.report_tables import TABLES, throughput_bars
from bench.session import add_results_argument
from bench.store import Store
from model_serving.runtime.environment import project_root

__all__ = ["add_arguments", "fill_in", "run"]

_PLOT = "benchmarks.svg"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``report``."""
    add_results_argument(parser)
    parser.add_argument(
        "--docs",
        type=Path,
        default=project_root() / "docs",
        help="the folder of benchmarks.md and production.md, the pages with the markers (docs)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes the pages and the plot. Returns the exit status."""
    store = Store(arguments.results)
    cases = {name: store.cases(name) for name in TABLES}
    tables = {
        name: table(cases[name]) if cases[name] else ["Not measured yet."] for name, table in TABLES.items()
    }
    _write(arguments.docs / "benchmarks.md", {"machine": machine(cases), **tables})
    if groups := throughput_bars(cases["backlog"]):
        picture = bars("Records a second from a backlog (thousands; lines: least and greatest round)", groups)
        (arguments.docs / _PLOT).write_text(picture, encoding="utf-8")
        print(f"wrote {_PLOT}")
    _write(arguments.docs / "production.md", capacity.tables(store))
    return 0


def _write(page: Path, tables: Mapping[str, Sequence[str]]) -> None:
    text = page.read_text(encoding="utf-8")
    for name, lines in tables.items():
        text = fill_in(text, name, lines)
    page.write_text(text, encoding="utf-8")
    print(f"wrote {page.name}")


def fill_in(text: str, name: str, lines: Sequence[str]) -> str:
    """Returns ``text`` with ``lines`` between the markers ``<!-- name -->`` and ``<!-- /name -->``.

    Raises:
        BenchError: the markers are missing.
    """
    pattern = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- /{re.escape(name)} -->)", re.DOTALL)
    content = "\n".join(lines) + "\n"
    filled, count = pattern.subn(lambda found: found[1] + content + found[2], text)
    if count != 1:
        raise BenchError(f"the page has no markers <!-- {name} --> and <!-- /{name} -->: put them back")
    return filled
