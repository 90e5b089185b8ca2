"""The stored figures: one JSON file for each section. A run of some cases is merged into it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError

__all__ = ["Case", "Store"]

Key = Mapping[str, str | int]
"""The parts that identify a case: the variant, the model, the number of records, ..."""

Rounds = Mapping[str, list[dict[str, Any]]]
"""The figures of each round, by system (``ours``, ``peer``)."""


@dataclass(frozen=True, slots=True)
class Case:
    """A measurement with all its rounds. ``commands`` are by system, ``environment`` is of `surroundings`."""

    key: dict[str, str | int]
    date: str
    commands: dict[str, str]
    rounds: dict[str, list[dict[str, Any]]]
    environment: dict[str, Any]

    def values(self, system: str, figure: str) -> list[float]:
        """Returns a figure of each round, none when not measured. ``worst.p99`` is a part of ``worst``."""
        found = []
        for round_ in self.rounds.get(system, []):
            value: Any = round_
            for name in figure.split("."):
                value = value.get(name) if isinstance(value, dict) else None
            if value is not None:
                found.append(float(value))
        return found


class Store:
    """The folder of results. A case that is saved replaces the one with the same key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def cases(self, section: str) -> list[Case]:
        """Returns every stored case of a section, none when it was never measured.

        Raises:
            BenchError: the file does not hold results.
        """
        path = self._path(section)
        if not path.exists():
            return []
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            return [
                Case(
                    case["key"],
                    case["date"],
                    case["commands"],
                    case["rounds"],
                    stored["environments"][case["environment"]],
                )
                for case in stored["cases"]
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise BenchError(f"{path} holds no results ({error!r}): remove it and measure again") from error

    def save(self, section: str, case: Case) -> None:
        """Adds a case, or replaces the case with the same key."""
        cases = self.cases(section)
        places = [number for number, other in enumerate(cases) if other.key == case.key]
        if places:
            cases[places[0]] = case
        else:
            cases.append(case)
        environments = {_digest(each.environment): each.environment for each in cases}
        content = {
            "environments": environments,
            "cases": [
                {
                    "key": each.key,
                    "date": each.date,
                    "environment": _digest(each.environment),
                    "commands": each.commands,
                    "rounds": each.rounds,
                }
                for each in cases
            ],
        }
        path = self._path(section)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        beside.replace(path)

    def _path(self, section: str) -> Path:
        return self._folder / f"{section}.json"


def _digest(environment: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(environment, sort_keys=True).encode()).hexdigest()[:8]
