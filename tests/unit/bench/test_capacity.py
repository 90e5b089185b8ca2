"""Instances for a load, from stored figures."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import pytest

from bench.capacity import HEADROOM, Rate, instances, rates, run, tables
from bench.errors import BenchError
from bench.store import Case, Store
from model_serving.runtime.environment import project_root

ROOT = Path(__file__).resolve().parents[3]


def case(key: dict[str, str | int], *values: float) -> Case:
    rounds: list[dict[str, Any]] = [{"rate": value} for value in values]
    return Case(key, "2026-01-02T03:04:05+00:00", {}, {"ours": rounds}, {})


def test_the_least_round_of_the_usual_load_counts() -> None:
    glm: dict[str, str | int] = {"variant": "keyed", "model": "glm", "set": "seed", "records": 400_000}
    cases = [
        case(glm, 30_000.0, 20_000.0, 40_000.0),
        case({**glm, "flags": "--execution-mode process"}, 10.0),
        case({**glm, "types": 10}, 10.0),
        case({**glm, "partitions": 2}, 10.0),
        case({**glm, "records": 2_000_000}, 90_000.0),
    ]
    assert rates(cases) == [Rate("keyed", "glm", 20_000.0)]


@pytest.mark.parametrize(
    ("load", "expected"), [(1, 1), (10_000, 1), (10_001, 2), (1_000_000, 100), (1_000_001, 101)]
)
def test_instances_take_half_of_what_was_measured(load: float, expected: int) -> None:
    assert HEADROOM == 0.5
    assert instances(load, Rate("keyed", "glm", 20_000.0)) == expected


def test_without_figures_it_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="python -m bench backlog"):
        tables(Store(tmp_path))


def test_the_page_has_what_the_stored_figures_make() -> None:
    text = (ROOT / "docs" / "production.md").read_text(encoding="utf-8")
    for name, lines in tables(Store(project_root() / "bench" / "results")).items():
        found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", text, re.DOTALL)
        assert found is not None, name
        assert found[1].splitlines() == lines, "run python -m bench report"


def test_the_tables_go_to_a_thousand_instances() -> None:
    made = tables(Store(project_root() / "bench" / "results"))["capacity-instances"]
    assert "| 1,000 |" in made[0]
    columns = {len(line.split("|")) for line in made}
    assert len(columns) == 1


def test_it_prints_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(argparse.Namespace(results=project_root() / "bench" / "results")) == 0
    assert "capacity-loads:\n| records/s |" in capsys.readouterr().out
