"""Counts the outcomes by class, kind of model, exporter and function, as figures and as tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.speed import document_figures
from tests.suites.pmml.documents import CLASSES, Outcome

__all__ = ["figures", "printed", "tables"]

_SHORT = {"right but for missing or invalid values": "right but for odd values"}
_APPLICATION = re.compile(rb'<Application[^>]*?name="([^"]*)"')
_FUNCTION = re.compile(rb'<Apply[^>]*?function="([^"]*)"')


def figures(outcomes: Sequence[Outcome], folder: Path) -> dict[str, Any]:
    """Returns the counts, ready for JSON. Those by kind, exporter and function are of documents taken."""
    texts = {one.document: (folder / "documents" / f"{one.document}.pmml").read_bytes() for one in outcomes}
    taken = [one for one in outcomes if one.is_taken]
    return {
        "documents": len(outcomes),
        "taken": len(taken),
        "counts": _counts(taken),
        "not taken": _counts([one for one in outcomes if not one.is_taken]),
        "excused": sum(bool(one.excused) for one in outcomes),
        "evaluators": dict(Counter(one.evaluator for one in outcomes if one.evaluator).most_common()),
        "kinds": _by(taken, lambda one: [one.kind]),
        "exporters": _by(taken, lambda one: [_exporter(texts[one.document])]),
        "functions": _by(taken, lambda one: _functions(texts[one.document])),
        "refusals": dict(Counter(_cause(one) for one in outcomes if one.verdict == "rejected").most_common()),
        "speed": _speed(outcomes),
    }


def printed(found: Mapping[str, Any]) -> str:
    """Returns the counts as lines for a terminal."""
    lines = []
    for verdict in CLASSES:
        others = found["not taken"].get(verdict, 0)
        rest = f" (and {others} that the reference does not take)" if others else ""
        lines.append(f"{found['counts'].get(verdict, 0):5} {verdict}{rest}")
    lines += [f"{count:5} scored by: {name}" for name, count in found["evaluators"].items()]
    if found["excused"]:
        lines.append(f"{found['excused']:5} with rows where the standard, not the reference, decides")
    lines += [f"{name}: {value}" for name, value in found["speed"].items()]
    return "\n".join(lines)


def tables(found: Mapping[str, Any]) -> dict[str, list[str]]:
    """Returns the tables for docs/models.md by the name of their marker. They have nothing of ``speed``."""
    counts = found["counts"]
    summary = ["| | documents |", "|---|---|", f"| that the reference evaluator takes | {found['taken']} |"]
    summary += [f"| {verdict} | {counts.get(verdict, 0)} |" for verdict in CLASSES]
    summary += [f"| scored by: {name} | {count} |" for name, count in found["evaluators"].items()]
    refusals = ["| the document has | documents |", "|---|---|"]
    refusals += [f"| {cause.replace('|', ' ')} | {count} |" for cause, count in found["refusals"].items()]
    return {
        "pmml-summary": summary,
        "pmml-kinds": _table("kind of model", found["kinds"]),
        "pmml-exporters": _table("exporter", found["exporters"]),
        "pmml-functions": _table("function", found["functions"]),
        "pmml-refusals": refusals,
    }


def _table(head: str, rows: Mapping[str, Mapping[str, int]]) -> list[str]:
    names = [_SHORT.get(verdict, verdict) for verdict in CLASSES]
    made = [f"| {head} | documents | {' | '.join(names)} |", "|---|" + "---|" * (len(CLASSES) + 1)]
    for name, counts in rows.items():
        cells = " | ".join(str(counts.get(verdict, "")) for verdict in CLASSES)
        made.append(f"| {name} | {sum(counts.values())} | {cells} |")
    return made


def _counts(outcomes: Iterable[Outcome]) -> dict[str, int]:
    found = Counter(one.verdict for one in outcomes)
    return {verdict: found[verdict] for verdict in CLASSES if found[verdict]}


def _by(outcomes: Sequence[Outcome], keys: Callable[[Outcome], Iterable[str]]) -> dict[str, dict[str, int]]:
    groups: dict[str, list[Outcome]] = {}
    for one in outcomes:
        for key in keys(one):
            groups.setdefault(key, []).append(one)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    return {key: _counts(group) for key, group in ordered}


def _exporter(text: bytes) -> str:
    found = _APPLICATION.search(text)
    return found.group(1).decode() if found else "(does not say)"


def _functions(text: bytes) -> list[str]:
    return sorted({name.decode() for name in _FUNCTION.findall(text)})


def _cause(outcome: Outcome) -> str:
    text = outcome.findings[0]
    return re.sub(r"^the PMML document has |: [^:]*$", "", text)


def _speed(outcomes: Iterable[Outcome]) -> dict[str, str]:
    figures = document_figures(one.speed for one in outcomes if one.speed is not None)
    return {f"{figure.name}, median": figure.median for figure in figures}
