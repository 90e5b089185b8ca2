"""Stored figures: merged by case, with the surroundings of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.errors import BenchError
from bench.pace import rate_of
from bench.store import Case, Store


def case(key: dict[str, str | int], *rates: float, machine: str = "a") -> Case:
    rounds: dict[str, list[dict[str, Any]]] = {"ours": [{"rate": rate, "in": {"p99": 1.5}} for rate in rates]}
    return Case(key, "2026-01-01T00:00:00+00:00", {"ours": "flink run"}, rounds, {"processor": machine})


def test_a_case_that_is_measured_again_replaces_itself_and_nothing_else(tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    old, other, new = (
        case({"model": "a"}, 1.0),
        case({"model": "b"}, 2.0),
        case({"model": "a"}, 3.0, machine="b"),
    )
    for each in (old, other, new):
        store.save("backlog", each)
    assert store.cases("backlog") == [new, other]
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["backlog.json"]


def test_a_section_that_was_never_measured_has_no_cases(tmp_path: Path) -> None:
    assert Store(tmp_path).cases("backlog") == []


def test_a_foreign_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "backlog.json").write_text("[]")
    with pytest.raises(BenchError, match=r"backlog\.json holds no results"):
        Store(tmp_path).cases("backlog")


def test_figures_are_found_by_their_path() -> None:
    measured = case({}, 1.0, 2.0)
    assert measured.values("ours", "rate") == [1.0, 2.0]
    assert measured.values("ours", "in.p99") == [1.5, 1.5]
    assert measured.values("ours", "in.p50") == []
    assert measured.values("peer", "rate") == []


def test_half_is_of_the_best_median_with_the_same_flags(tmp_path: Path) -> None:
    store = Store(tmp_path)
    of_model: dict[str, str | int] = {"variant": "keyed", "model": "glm"}
    store.save("backlog", case({**of_model, "records": 1}, 40_000.0, 50_000.0, 90_000.0))
    store.save("backlog", case({**of_model, "records": 2}, 61_000.0))
    store.save("backlog", case({**of_model, "records": 2, "flags": "--parallelism 2"}, 10_000.0))
    store.save("backlog", case({"variant": "keyed", "model": "forest", "records": 2}, 99_000.0))
    of = ("variant", "model")
    assert rate_of(store, "half", {**of_model, "rate": "half"}, of=of) == 30_500.0
    assert rate_of(store, "half", {**of_model, "flags": "--parallelism 2"}, of=of) == 5_000.0
    assert rate_of(store, "1000", of_model, of=of) == 1_000.0


@pytest.mark.parametrize(("rate", "words"), [("half", "no stored throughput"), ("some", "give numbers")])
def test_a_rate_that_cannot_be_told_is_an_error(tmp_path: Path, rate: str, words: str) -> None:
    with pytest.raises(BenchError, match=words):
        rate_of(Store(tmp_path), rate, {"model": "glm"}, of=("model",))
