"""Latencies of two jobs beside each other, in the same seconds."""

from __future__ import annotations

import numpy as np
import pytest

from bench.beside import latency_windows
from bench.errors import BenchError
from bench.results import Results


def results(latencies: list[int]) -> Results:
    """One record a millisecond, from 0 on."""
    sent = np.arange(len(latencies))
    none = np.full(len(latencies), -1)
    return Results(sent + np.array(latencies), sent, none, ())


def test_each_whole_window_has_the_latencies_of_the_records_that_were_sent_in_it() -> None:
    found = results([50] * 1000 + [2] * 2000 + [4] * 2000 + [90] * 1000)
    windows = latency_windows(found, 1000, 5500, 2000)
    assert windows == {"p50_ms": [2.5, 4.5], "p99_ms": [2.99, 4.99]}


def test_a_window_with_few_results_is_refused() -> None:
    with pytest.raises(BenchError, match="take a longer --window"):
        latency_windows(results([1] * 1500), 0, 2000, 1000)
