"""Measures how fast a loaded model scores, in processor time, so that other programs count little."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from model_serving.core.engine import Columns, LoadedModel
from model_serving.core.errors import ScoringFailed

__all__ = ["BATCH", "Speed", "measured"]

BATCH = 512
"""How many records are scored together."""

_ENOUGH_S = 0.02


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast one document is: milliseconds to load it, microseconds a record together and alone."""

    size: int
    load_ms: float
    batch_us: float
    alone_us: float


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
