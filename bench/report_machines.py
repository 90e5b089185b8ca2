"""Makes the list of the machines on which the stored figures were measured. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.store import Case

__all__ = ["machine"]


def machine(sections: Mapping[str, Sequence[Case]]) -> list[str]:
    """Returns lines with each machine, and what was measured on it, when and at which commit."""
    found: dict[str, dict[str, dict[str, list[str]]]] = {}
    for section, cases in sections.items():
        for case in cases:
            at = f"{case.date[:10]}, commit {case.environment['commit'] or 'unknown'}"
            measured = found.setdefault(_surroundings(case.environment), {}).setdefault(at, {})
            names = measured.setdefault(section, [])
            if (name := _subject(case)) not in names:
                names.append(name)
    lines = []
    for surroundings, by_commit in found.items():
        lines.append(f"* {surroundings}")
        for at, measured in sorted(by_commit.items()):
            what = "; ".join(f"{section} ({', '.join(names)})" for section, names in measured.items())
            lines.append(f"  * {at}: {what}")
    return lines or ["Not measured yet."]


def _surroundings(environment: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in environment["versions"].items())
    # Figures that were stored before this was looked at do not say it.
    shared = "" if environment.get("by_session", True) else ", processor time shared by thread"
    return (
        f"{environment['processor']}, {environment['cores']} cores, {environment['memory_gib']} GiB, "
        f"{environment['system']}{shared}; Python {environment['python']}, {environment['java']}; {versions}"
    )


def _subject(case: Case) -> str:
    """Returns a word or two that distinguish a case from the others of its section."""
    key = case.key
    if "kind" in key:
        return f"{key['kind']} {key.get('parallelism', key.get('types', key['model']))}"
    if "streams" in key:
        return f"{key['rate']:,} requests/s"
    length = f" {key['records']:,}" if "records" in key else ""
    return f"{key['model']}{length}"
