"""Turns the output of the core into elements of Flink's main and side outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from functions.model_events import tell_statuses
from functions.types import ACTIVATIONS, DEAD_LETTERS, ROLLBACKS, STATUSES, SWAPS
from model_serving.core.channels import Channel, Emitted, SwapReport

__all__ = ["as_report", "emit"]

_TAGS = {
    Channel.DEAD_LETTERS: DEAD_LETTERS,
    Channel.STATUSES: STATUSES,
    Channel.ROLLBACKS: ROLLBACKS,
}


def emit(emitted: Emitted, main: Channel | None = None) -> Iterator[Any]:
    """Results and messages of the channel ``main`` for the main output; everything else with its output tag.

    Statuses are told on standard output, too. Unmatched records are left out: the caller emits them.
    """
    tell_statuses([message for channel, message in emitted.side if channel is Channel.STATUSES])
    yield from emitted.results
    for channel, message in emitted.side:
        if channel is main:
            yield message
        else:
            yield _TAGS[channel], message
    for activation in emitted.activations:
        yield ACTIVATIONS, activation
    for swap in emitted.swaps:
        yield SWAPS, (swap.data_type, swap.sequence, swap.reporter, swap.status)


def as_report(element: tuple[str, int, str, bytes]) -> SwapReport:
    """The report that an element of the stream ``SWAPS`` holds."""
    return SwapReport(*element)
