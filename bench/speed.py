"""Measures how fast a loaded model scores, in processor time, so that other programs count little."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

import numpy as np

from model_serving.core.engine import Columns, LoadedModel
from model_serving.core.errors import ScoringFailed

__all__ = ["BATCH", "Figure", "Speed", "document_figures", "measured"]

BATCH = 512
"""How many records are scored together."""

_ENOUGH_S = 0.02
_LARGE = 100_000
"""The size in bytes of the document whose load is told. Documents from half of it on are scaled to it."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast one model is: bytes, milliseconds to load it, microseconds a record together and alone."""

    size: int
    load_ms: float
    batch_us: float
    alone_us: float


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of many models, with ``digits`` decimal places. ``most``: the target for its median."""

    name: str
    unit: str
    values: tuple[float, ...]
    digits: int
    most: float | None = None

    @property
    def median(self) -> str:
        """The median with its unit."""
        return f"{median(self.values):.{self.digits}f} {self.unit}".rstrip()


def document_figures(speeds: Iterable[Speed]) -> list[Figure]:
    """Returns the figures of PMML documents; none of no documents."""
    speeds = list(speeds)
    large = tuple(one.load_ms * _LARGE / one.size for one in speeds if one.size >= _LARGE / 2)
    figures = [
        Figure("a record alone", "µs", tuple(one.alone_us for one in speeds), 0, 30.0),
        Figure(f"a record in a batch of {BATCH}", "µs", tuple(one.batch_us for one in speeds), 2, 1.0),
        Figure("load", "ms", tuple(one.load_ms for one in speeds), 1),
        Figure("load of 100 kB (documents from 50 kB on)", "ms", large, 1, 20.0),
    ]
    return [figure for figure in figures if figure.values]


def measured(model: LoadedModel, columns: Columns, load_ms: float, size: int) -> Speed | None:
    """Returns the speed of a model on records (n ≥ 1 rows); None when it does not score all of them."""
    batch = columns[np.arange(BATCH) % len(columns)]
    singles = [columns[place : place + 1] for place in range(len(columns))]
    try:
        together = _least(model, [batch]) / BATCH
        alone = _least(model, singles)
    except ScoringFailed:
        return None
    return Speed(size, load_ms, together * 1e6, alone * 1e6)


def _least(model: LoadedModel, batches: list[Columns]) -> float:
    """Returns the least time of scoring one of the batches, on average over them, in seconds."""
    least, spent = float("inf"), 0.0
    while spent < _ENOUGH_S:
        started = time.thread_time()
        for batch in batches:
            model.score(batch)
        took = time.thread_time() - started
        least, spent = min(least, took / len(batches)), spent + took
    return least
