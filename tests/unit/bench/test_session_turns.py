"""In which order systems are measured."""

from __future__ import annotations

from typing import Any

from bench.session import in_turns


def test_every_second_round_begins_with_the_last_system() -> None:
    rounds: dict[str, list[dict[str, Any]]] = {"ours": [], "peer": []}
    turns = list(in_turns(3, rounds))
    assert [(number, system) for number, system, _ in turns] == [
        (0, "ours"),
        (0, "peer"),
        (1, "peer"),
        (1, "ours"),
        (2, "ours"),
        (2, "peer"),
    ]
    assert all(figures is rounds[system] for _, system, figures in turns)
