"""Prints a table of all data types: what serves, how fast and how well; on a terminal again and again."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import tty
from collections.abc import Iterator

from rich import box
from rich.console import Console, ConsoleDimensions, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from model_serving.client.observing.figures import as_count, as_local, as_ms, as_rate
from model_serving.client.observing.topics import ObservedTopics
from model_serving.client.observing.watching import Watch
from model_serving.client.printable import as_cell, as_moment, printable
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import connect
from model_serving.observe.answers import DataType
from model_serving.observe.board import Board, Topic
from model_serving.observe.ranking import Order

__all__ = ["show_top"]

_REFRESH_S = 1.0
_MOST = 10_000
_AROUND = 5
"""Lines of the screen that the rows do not have: the line about the table, its titles, empty lines."""

_WIDE = 110
"""Columns of a terminal from which on all of the table is shown."""

_VERSION = 12
"""The width of a version that is told from the model's content."""

_WIDE_ONLY = {"since", "model p99"}


def show_top(kafka: KafkaAccess, topics: ObservedTopics, *, order: Order, search: str, once: bool) -> None:
    """Prints the table, and on a terminal refreshes it every second until ``q`` or Ctrl-C.

    Args:
        kafka: the access to Kafka.
        topics: the topics' names.
        order: what the rows are sorted by; names from A on, numbers from the greatest on.
        search: only the data types whose name contains this text.
        once: print it once and end, as without a terminal.

    Raises:
        BrokerUnreachable: no Kafka broker answers at the start.
    """
    connect(kafka)
    wanted = topics.kinds(Topic.STATUS, Topic.STATISTICS, Topic.DEAD_LETTERS)
    with Watch(kafka, wanted) as watch:
        if once or not sys.stdout.isatty():
            next(watch.intervals(_REFRESH_S))
            _print_once(watch, order, search)
            return
        console = Console()
        with _keys() as pressed, Live(console=console, screen=True, auto_refresh=False) as live:
            for _ in watch.intervals(_REFRESH_S):
                live.update(_screen(watch, order, search, console.size), refresh=True)
                if b"q" in pressed():
                    return


def _print_once(watch: Watch, order: Order, search: str) -> None:
    _, shown = _rows(watch.board, order, search, _MOST)
    for note in _notes(watch):
        print(printable(note), file=sys.stderr)
    if sys.stdout.isatty():
        console = Console()
        console.print(_table(shown, console.size.width))
        return
    for one in shown:
        print("  ".join(f"{name}={printable(text) or '-'}" for name, text in _cells(one).items()))


def _screen(watch: Watch, order: Order, search: str, size: ConsoleDimensions) -> RenderableType:
    notes = _notes(watch)
    rows = max(size.height - _AROUND - len(notes), 1)
    total, shown = _rows(watch.board, order, search, rows)
    more = f", {as_count(total - len(shown))} more" if total > len(shown) else ""
    title = Text(f"{as_count(total)} data types{more}, by {order.value}; q or Ctrl-C ends", style="bold")
    return Group(title, *(as_cell(note, "yellow") for note in notes), _table(shown, size.width))


def _notes(watch: Watch) -> list[str]:
    """What to know about the table: one line each, also of what is in none of its rows."""
    counts = watch.board.dead_letter_counts("")
    if not counts:
        return watch.notes
    reasons = ", ".join(f"{reason} {as_count(number)}" for reason, number in counts.items())
    return [*watch.notes, f"dead letters without a data type: {reasons}; `model-serving read` shows them"]


def _rows(board: Board, order: Order, search: str, limit: int) -> tuple[int, tuple[DataType, ...]]:
    page = board.data_types(search, order=order, descending=order is not Order.NAME, limit=limit)
    return page.total, page.data_types


def _table(shown: tuple[DataType, ...], width: int) -> Table:
    titles = [title for title in _cells(DataType("")) if width >= _WIDE or title not in _WIDE_ONLY]
    table = Table(box=box.SIMPLE_HEAD, expand=True, padding=(0, 1, 0, 0))
    for title in titles:
        if title == "data type":
            # Names that do not fit end with an ellipsis; the other columns keep their width.
            table.add_column(title, ratio=1, no_wrap=True, overflow="ellipsis")
        elif title == "version":
            table.add_column(title, width=_VERSION, no_wrap=True, overflow="ellipsis")
        else:
            table.add_column(title, justify="left" if title == "since" else "right", no_wrap=True)
    for one in shown:
        cells = _cells(one) | {"since": as_local(one.since)}
        table.add_row(*(as_cell(cells[title]) for title in titles))
    return table


def _cells(one: DataType) -> dict[str, str]:
    latency, scoring = one.latency, one.scoring
    return {
        "data type": one.data_type,
        "version": one.version or one.state,
        "since": as_moment(one.since) if one.since else "",
        "records/s": as_rate(one.throughput),
        "p50 ms": as_ms(latency.p50) if latency.count else "",
        "p99 ms": as_ms(latency.p99) if latency.count else "",
        "model p99": as_ms(scoring.p99) if scoring.count else "",
        "failed": as_count(one.failed),
        "dead": as_count(one.dead),
        "waiting": as_count(one.waiting),
    }


class _Pressed:
    """The keys that were pressed since it was last asked."""

    def __init__(self, terminal: int | None) -> None:
        self._terminal = terminal

    def __call__(self) -> bytes:
        if self._terminal is None or not select.select([self._terminal], [], [], 0)[0]:
            return b""
        return os.read(self._terminal, 1024)


@contextlib.contextmanager
def _keys() -> Iterator[_Pressed]:
    """Reads single keys from the terminal, which is as it was before at the end."""
    if not sys.stdin.isatty():
        yield _Pressed(None)
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    try:
        yield _Pressed(terminal)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
