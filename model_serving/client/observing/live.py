"""Prints a table of all data types: what serves, how fast and how well; on a terminal again and again."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import tty
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from model_serving.client.observing.figures import as_count, as_ms, as_rate
from model_serving.client.observing.topics import ObservedTopics
from model_serving.client.observing.watching import Watch
from model_serving.client.printable import as_cell, as_moment, printable
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import connect
from model_serving.observe.answers import DataType
from model_serving.observe.board import Board, Order, Topic

__all__ = ["show_top"]

_REFRESH_S = 1.0
_MOST = 10_000
_AROUND = 6
"""Lines of the screen that the rows do not have: the frame, the titles, the notes."""

_NUMBERS = 7
"""The last columns are numbers."""


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
                rows = max(console.size.height - _AROUND, 1)
                live.update(_screen(watch, order, search, rows), refresh=True)
                if b"q" in pressed():
                    return


def _print_once(watch: Watch, order: Order, search: str) -> None:
    _, shown = _rows(watch.board, order, search, _MOST)
    for note in watch.notes:
        print(printable(note), file=sys.stderr)
    if sys.stdout.isatty():
        Console().print(_table(shown))
        return
    for one in shown:
        print("  ".join(f"{name}={printable(text) or '-'}" for name, text in _cells(one).items()))


def _screen(watch: Watch, order: Order, search: str, rows: int) -> RenderableType:
    total, shown = _rows(watch.board, order, search, rows)
    more = f", {as_count(total - len(shown))} more" if total > len(shown) else ""
    title = Text(f"{as_count(total)} data types{more}, by {order.value}; q or Ctrl-C ends", style="bold")
    return Group(title, *(as_cell(note, "yellow") for note in watch.notes), _table(shown))


def _rows(board: Board, order: Order, search: str, limit: int) -> tuple[int, tuple[DataType, ...]]:
    page = board.data_types(search, order=order, descending=order is not Order.NAME, limit=limit)
    return page.total, page.data_types


def _table(shown: tuple[DataType, ...]) -> Table:
    table = Table()
    titles = list(_cells(DataType("")))
    for number, title in enumerate(titles):
        is_number = number >= len(titles) - _NUMBERS
        table.add_column(title, justify="right" if is_number else "left", no_wrap=True, overflow="ellipsis")
    for one in shown:
        table.add_row(*map(as_cell, _cells(one).values()))
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
        "model p99 ms": as_ms(scoring.p99) if scoring.count else "",
        "failed": as_count(one.failed),
        "dead letters": as_count(one.dead),
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
