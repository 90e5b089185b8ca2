"""Shows the demo: a live view in a terminal, plain lines elsewhere, and a table at the end."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from model_serving.client.demo.tally import Swap, Tally, quantile
from model_serving.client.printable import as_cell, printable

__all__ = ["LiveScreen", "PlainScreen", "Screen", "choose_screen"]

_PROGRESS_EVERY_S = 5.0
_SWAPS_SHOWN = 10


class Screen(Protocol):
    """Shows the progress and the results of the demo."""

    def say(self, line: str) -> None:
        """Shows a step of the set-up or of the end."""

    def streaming(self) -> AbstractContextManager[object]:
        """Returns a context that is open while records flow; `show` is called in it."""

    def show(self, tally: Tally, *, at_s: float, sent: int) -> None:
        """Shows the state ``at_s`` seconds after the stream began."""

    def summarize(self, tally: Tally, *, sent: int) -> None:
        """Shows the results at the end."""


def choose_screen() -> Screen:
    """Returns the live view if standard output is a terminal, else plain lines on it."""
    console = Console(highlight=False)
    return LiveScreen(console) if console.is_terminal else PlainScreen(Console(highlight=False, width=160))


class PlainScreen:
    """Prints a line for each swap, and a line every few seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._swaps = 0
        self._reported_s = 0.0

    def say(self, line: str) -> None:
        """See Screen."""
        self._console.print(as_cell(line), soft_wrap=True)

    def streaming(self) -> AbstractContextManager[object]:
        """See Screen."""
        return nullcontext()

    def show(self, tally: Tally, *, at_s: float, sent: int) -> None:
        """See Screen."""
        for swap in tally.swaps[self._swaps :]:
            self.say(f"{swap.at_s:6.1f} s  {_swap_text(swap)}")
        self._swaps = len(tally.swaps)
        if at_s - self._reported_s >= _PROGRESS_EVERY_S:
            self._reported_s = at_s
            self.say(f"{at_s:6.1f} s  {_progress(tally, at_s, sent)}")

    def summarize(self, tally: Tally, *, sent: int) -> None:
        """See Screen."""
        self._console.print(_summary(tally))
        self.say(_totals(tally, sent))


class LiveScreen:
    """Shows one view that is redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=5, transient=True)

    def say(self, line: str) -> None:
        """See Screen."""
        self._console.print(as_cell(line, "dim"), soft_wrap=True)

    def streaming(self) -> AbstractContextManager[object]:
        """See Screen."""
        return self._live

    def show(self, tally: Tally, *, at_s: float, sent: int) -> None:
        """See Screen."""
        self._live.update(_view(tally, at_s, sent))

    def summarize(self, tally: Tally, *, sent: int) -> None:
        """See Screen."""
        for swap in tally.swaps:
            self._console.print(as_cell(f"{swap.at_s:6.1f} s  {_swap_text(swap)}"))
        self._console.print(_summary(tally))
        self._console.print(Text(_totals(tally, sent), style="bold"))


def _swap_text(swap: Swap) -> str:
    if swap.rejected:
        return f"rejected {swap.name} {swap.version}: {swap.rejected}"
    replaced = f", replaces {swap.previous}" if swap.previous else ""
    return f"now serving {swap.name} {swap.version}{replaced}, loaded in {swap.load_ms:.0f} ms"


def _progress(tally: Tally, at_s: float, sent: int) -> str:
    rate, median, high = tally.recent(at_s)
    dead = f", {tally.dead_records.total():,} dead letters" if tally.dead_records else ""
    came = f", {rate:.0f} results/s, latency p50 {median:.0f} ms, p99 {high:.0f} ms" if rate else ""
    return f"{sent:,} records sent, {tally.results:,} results{dead}{came}"


def _view(tally: Tally, at_s: float, sent: int) -> RenderableType:
    serving = tally.serving
    now = printable(f"{serving.name}  {serving.version}") if serving else "no model yet"
    head = Text.assemble((f"{at_s:5.1f} s  ", "dim"), "serving now: ", (now, "bold green"))
    swaps = Table("at", "model", "version", "replaces", "loaded in", title="model swaps", expand=True)
    for swap in tally.swaps[-_SWAPS_SHOWN:]:
        loaded = as_cell(swap.rejected, "red") if swap.rejected else f"{swap.load_ms:.0f} ms"
        swaps.add_row(
            f"{swap.at_s:.1f} s", as_cell(swap.name), as_cell(swap.version), as_cell(swap.previous), loaded
        )
    last = Table(
        "result", "label", "model", "version", "scoring", "latency", title="last results", expand=True
    )
    for result in tally.last_results:
        last.add_row(
            f"{result.result:.4g}",
            as_cell(result.label),
            as_cell(result.name),
            as_cell(result.version),
            f"{result.scoring_ns / 1000:.1f} µs",
            f"{result.latency_ms:.0f} ms",
        )
    return Panel(Group(head, Text(_progress(tally, at_s, sent)), swaps, last), title="model serving")


def _summary(tally: Tally) -> Table:
    right = {"justify": "right"}
    table = Table(title="results by model version")
    for title, options in (
        ("model", {}),
        ("version", {}),
        ("kind", {}),
        ("records", right),
        ("scoring, mean", right),
        ("latency p50", right),
        ("latency p99", right),
        ("result, mean", right),
    ):
        table.add_column(title, **options)  # type: ignore[arg-type]
    for version in tally.versions.values():
        ordered = sorted(version.latencies)
        table.add_row(
            as_cell(version.name),
            as_cell(version.version),
            version.kind,
            f"{version.records:,}",
            f"{version.mean_scoring_us:.1f} µs",
            f"{quantile(ordered, 0.5):.0f} ms",
            f"{quantile(ordered, 0.99):.0f} ms",
            f"{version.mean_result:.3f}",
        )
    return table


def _totals(tally: Tally, sent: int) -> str:
    swaps = sum(1 for swap in tally.swaps if not swap.rejected)
    return (
        f"{sent:,} records sent = {tally.results:,} results + {tally.dead_records.total():,} dead letters; "
        f"{swaps} models served in turn"
    )
