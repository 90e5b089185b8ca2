"""Prints what a tried model is, and what becomes of each record: for people, or as JSON."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from rich.console import Console
from rich.table import Table

from model_serving.client.printable import as_cell, as_json, printable
from model_serving.client.trying.trial import Pace, Trial, TriedRow
from model_serving.core.engine import InputDescription
from model_serving.engines.registry import spec_of

__all__ = ["print_description", "print_description_as_json", "print_rows", "print_rows_as_json"]

_MOST_COLUMNS = 8
"""With more outputs than this, a row names only those with the greatest values."""

_NAMED = 3
_WIDTHS_FROM = 100
"""From how many rows the widths of the columns are found; the others are printed as they come."""

_LOADED_AGAIN_BYTES = 16 << 20
"""Models up to this size are loaded a second time, to show what a job takes that has loaded others before."""

_LISTED = 40
"""How many classes or outputs are listed by name."""


def print_description(trial: Trial, pace: Pace | None) -> None:
    """Prints a table with what the model is."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for title, value in _facts(trial, pace):
        table.add_row(title, as_cell(value))
    if sys.stdout.isatty():
        Console().print(table)
        return
    # Without a terminal, lines are as long as they are.
    plain = Console(width=10_000)
    with plain.capture() as captured:
        plain.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def print_rows(rows: Iterable[TriedRow]) -> None:
    """Prints a line for each record: its number from 1, its result, label and outputs, or its error."""
    rows = iter(rows)
    first = list(islice(rows, _WIDTHS_FROM))
    names = _output_names(first)
    has_label = any(row.label is not None for row in first)
    titles = ["row", "result", *(["label"] if has_label else []), *names]
    cells = [_cells(number, row, names, has_label=has_label) for number, row in enumerate(first, start=1)]
    widths = [
        max(len(title), *(len(line[at]) for line in cells if at < len(line)), 1)
        for at, title in enumerate(titles)
    ]
    print(_line(titles, widths))
    for number, row in enumerate(chain(first, rows), start=1):
        print(_line(_cells(number, row, names, has_label=has_label), widths, row.error))


def print_rows_as_json(rows: Iterable[TriedRow]) -> None:
    """Prints a JSON object for each record."""
    for row in rows:
        print(
            as_json(
                {
                    "result": _json_number(row.result),
                    "label": row.label,
                    "outputs": {name: _json_number(value) for name, value in row.outputs.items()},
                    "error": row.error,
                }
            )
        )


def print_description_as_json(trial: Trial, pace: Pace | None) -> None:
    """Prints what the model is as one JSON object."""
    about = trial.description
    print(
        as_json(
            {
                "kind": about.kind or trial.model.model_type.name,
                "evaluator": about.evaluator,
                "fields": trial.fields,
                "inputs": [{"name": one.name, "type": one.type, "field": one.field} for one in about.inputs],
                "outputs": about.outputs,
                "classes": about.classes,
                "result": about.result,
                "notes": about.notes,
                "sha256": trial.model.sha256,
                "size": trial.model.size,
                "load_ms": trial.load_ms,
                "us_in_batches": None if pace is None else pace.in_batches_us,
                "us_alone": None if pace is None else pace.alone_us,
            }
        )
    )


def _facts(trial: Trial, pace: Pace | None) -> Iterator[tuple[str, str]]:
    about, model = trial.description, trial.model
    yield "model", f"{model.name}, {model.size:,} bytes, version {model.version}"
    yield "kind", about.kind or model.model_type.name
    if about.evaluator:
        yield "evaluator", about.evaluator
    if about.inputs:
        yield from _inputs(about.inputs)
    else:
        yield "fields", _listed(trial.fields)
    if about.outputs:
        yield "outputs", _listed(about.outputs)
    if about.classes:
        yield "classes", _listed(about.classes)
    if about.result:
        yield "result", about.result
    for number, note in enumerate(about.notes):
        yield "" if number else "notes", note
    first = f"{trial.load_ms:,.1f} ms"
    if spec_of(model.model_type).native:
        first += " with its trial and the start of the library"
    again = (
        f"{trial.load_again_ms():,.1f} ms; the first time in " if model.size <= _LOADED_AGAIN_BYTES else ""
    )
    yield "loaded in", again + first
    if pace is not None:
        yield "scoring", f"{pace.in_batches_us:,.2f} µs a record in batches, {pace.alone_us:,.1f} µs alone"


def _inputs(inputs: Sequence[InputDescription]) -> Iterator[tuple[str, str]]:
    """A line for each input; the fields of an input that takes several are on its line."""
    taken: dict[tuple[str, str], list[str]] = {}
    for one in inputs:
        taken.setdefault((one.name, one.type), []).append(one.field)
    widest = max(len(name) for name, _ in taken)
    broadest = max(len(kind) for _, kind in taken)
    for number, ((name, kind), fields) in enumerate(taken.items()):
        takes = "" if fields == [name] else f"  takes {', '.join(fields)}"
        yield "" if number else "inputs", f"{name:<{widest}}  {kind:<{broadest}}{takes}".rstrip()


def _listed(names: Sequence[str]) -> str:
    more = f", … ({len(names):,} in all)" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _output_names(rows: Iterable[TriedRow]) -> list[str]:
    """The outputs that get a column of their own; ``outputs`` alone if there are too many."""
    names = list(dict.fromkeys(name for row in rows for name in row.outputs))
    return names if len(names) <= _MOST_COLUMNS else ["outputs"]


def _cells(number: int, row: TriedRow, names: list[str], *, has_label: bool) -> list[str]:
    cells = [str(number)]
    if row.error is not None:
        return cells
    cells.append(f"{row.result:.6g}")
    if has_label:
        cells.append(printable(row.label or ""))
    if names == ["outputs"] and "outputs" not in row.outputs:
        greatest = sorted(row.outputs.items(), key=lambda one: -one[1])[:_NAMED]
        return [*cells, " ".join(f"{printable(name)}={value:.4g}" for name, value in greatest)]
    return cells + [f"{row.outputs[name]:.4g}" if name in row.outputs else "" for name in names]


def _line(cells: list[str], widths: list[int], error: str | None = None) -> str:
    text = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=False))
    return f"{text}  error: {printable(error)}" if error is not None else text.rstrip()


def _json_number(number: float | None) -> Any:
    if number is None or math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else f"{'-' if number < 0 else ''}Infinity"
