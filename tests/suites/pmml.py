"""Scores the documents of a folder of PMML documents with answers, and counts how many are right.

``python -m tests.suites.pmml FOLDER`` prints the counts, ``--list`` what is wrong in each document. The folder
has ``documents/ID.pmml`` and ``ID.json``: fields, target, and rows with the answers of a reference evaluator.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from model_serving.core.engine import Columns, LoadedModel, RecordSchema, Scores, description_of
from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.engines.limits import Limits
from model_serving.engines.pmml.engine import PmmlEngine

__all__ = ["CLASSES", "Outcome", "outcome_of", "outcomes_of"]

CLASSES = ("right", "right but for missing or invalid values", "wrong", "fails", "rejected")
_NUMBERS = frozenset({"integer", "float", "double", "boolean"})
_RELATIVE, _ABSOLUTE = 1e-6, 1e-9


@dataclass(slots=True)
class Outcome:
    """What became of one document: one of ``CLASSES``, the evaluator, and what is wrong, a line each."""

    document: str
    kind: str
    is_taken_by_reference: bool
    verdict: str = "right"
    evaluator: str = ""
    findings: list[str] = field(default_factory=list)


def outcomes_of(folder: Path, only: str = "") -> Iterable[Outcome]:
    """Gives the outcome of every document of which the name contains ``only``, in the order of the names."""
    for path in sorted((folder / "documents").glob("*.json")):
        if only in path.stem:
            yield outcome_of(path)


def outcome_of(path: Path) -> Outcome:
    """Scores one document's rows. ``path`` is that of its JSON file."""
    case = json.loads(path.read_text())
    taken = any(row["out"] is not None for row in case["rows"])
    outcome = Outcome(path.stem, case["kind"], taken)
    names = [name for name, _ in case["fields"]]
    numeric = tuple(name for name, kind in case["fields"] if kind in _NUMBERS)
    text = tuple(name for name in names if name not in numeric)
    content = path.with_suffix(".pmml").read_bytes()
    to_serve = ModelToServe("suite", path.stem, ModelType.PMML, "1", "", content)
    try:
        model = PmmlEngine(Limits()).load(to_serve, RecordSchema("Record", numeric, text))
    except ModelRejected as rejected:
        outcome.verdict = "rejected"
        outcome.findings.append(str(rejected))
        return outcome
    outcome.evaluator = description_of(model).evaluator
    try:
        _score(model, case, outcome)
    finally:
        model.close()
    return outcome


def _score(model: LoadedModel, case: Mapping[str, Any], outcome: Outcome) -> None:
    rows = case["rows"]
    columns = _columns(model.fields, dict(map(tuple, case["fields"])), [row["in"] for row in rows])
    together = _scores(model, columns)
    wrong: Counter[str] = Counter()
    for place, row in enumerate(rows):
        alone = _scores(model, columns[place : place + 1])
        faults = list(_faults(row["out"], case["target"], alone, 0))
        if isinstance(together, str) or isinstance(alone, str):
            if not (isinstance(together, str) and isinstance(alone, str)) and row["out"] is not None:
                faults.append(f"batch: {together}; alone: {alone}")
        elif _differs(together, place, alone):
            faults.append("the batch and the single record differ")
        for fault in faults:
            wrong[row["kind"]] += 1
            outcome.findings.append(f"row {place} ({row['kind']}): {fault}")
    if not wrong:
        return
    if set(wrong) <= {"missing", "invalid"}:
        outcome.verdict = "right but for missing or invalid values"
    elif all(": fails" in finding for finding in outcome.findings):
        outcome.verdict = "fails"
    else:
        outcome.verdict = "wrong"


def _columns(
    fields: Sequence[str], kinds: Mapping[str, str], rows: Sequence[Mapping[str, str | None]]
) -> Columns:
    made = np.empty((len(rows), len(fields)), dtype=object)
    for place, name in enumerate(fields):
        for index, row in enumerate(rows):
            value = row.get(name)
            if kinds[name] not in _NUMBERS:
                made[index, place] = value or ""
            elif value is None:
                made[index, place] = math.nan
            elif kinds[name] == "boolean":
                made[index, place] = float(value.lower() in {"true", "1", "1.0"})
            else:
                made[index, place] = float(value)
    return made.astype(np.float64) if all(kinds[name] in _NUMBERS for name in fields) else made


def _scores(model: LoadedModel, columns: Columns) -> Scores | str:
    try:
        return model.score(columns)
    except ScoringFailed as failed:
        return str(failed)


def _faults(
    expected: Mapping[str, Any] | None, target: str | None, found: Scores | str, place: int
) -> Iterable[str]:
    wanted = None if expected is None else expected.get(target or "null")
    if isinstance(found, str):
        if wanted is not None:
            yield f"fails: {found}"
        return
    result = found.result[place]
    label = found.labels[place] if found.labels is not None else None
    if wanted is None or (isinstance(wanted, str) and wanted.startswith("!")):
        if not math.isnan(result) and expected is None or (expected is not None and wanted is None and label):
            yield f"{label or result!r} where there is no result"
        return
    if label is not None:
        if not _same_label(label, wanted):
            yield f"'{label}' instead of '{wanted}'"
    elif not _close(result, wanted):
        yield f"{result!r} instead of {wanted!r}"
    for name, value in (expected or {}).items():
        ours = found.outputs.get(f"probability_{name[2:-1]}" if name.startswith("P(") else name)
        if ours is None or isinstance(value, (str, bool)):
            continue
        if value is None:
            if not math.isnan(ours[place]):
                yield f"{name} is {ours[place]!r} instead of nothing"
        elif not _close(ours[place], value):
            yield f"{name} is {ours[place]!r} instead of {value!r}"


def _same_label(label: str, wanted: Any) -> bool:
    if isinstance(wanted, bool):
        return label.lower() == str(wanted).lower()
    if label == str(wanted):
        return True
    try:
        return float(label) == float(wanted)
    except (TypeError, ValueError):
        return False


def _close(ours: float, wanted: Any) -> bool:
    try:
        number = float(wanted)
    except (TypeError, ValueError):
        return False
    return ours == number or abs(ours - number) <= max(_RELATIVE * abs(number), _ABSOLUTE)


def _differs(together: Scores, place: int, alone: Scores) -> bool:
    if together.labels is not None and alone.labels is not None and together.labels[place] != alone.labels[0]:
        return True
    pairs = [(together.result[place], alone.result[0])]
    pairs += [(values[place], alone.outputs[name][0]) for name, values in together.outputs.items()]
    return not all(a == b or (a != a and b != b) or abs(a - b) <= 1e-9 * max(1, abs(a)) for a, b in pairs)


def main(words: Sequence[str]) -> int:
    """Prints the counts. Returns 1 when some document is wrong or fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="documents whose name contains this")
    parser.add_argument("--list", action="store_true", help="print what is wrong in each document")
    parser.add_argument("--kind", default="", help="documents of this kind of model")
    arguments = parser.parse_args(words)
    counts: Counter[tuple[str, str]] = Counter()
    for outcome in outcomes_of(arguments.folder, arguments.only):
        if arguments.kind and outcome.kind != arguments.kind:
            continue
        counts[outcome.verdict, "taken" if outcome.is_taken_by_reference else "not taken"] += 1
        if arguments.list and outcome.findings:
            print(f"{outcome.verdict}: {outcome.document} ({outcome.kind})")
            for finding in outcome.findings[:4]:
                print(f"    {finding}")
    for verdict in CLASSES:
        taken, others = counts[verdict, "taken"], counts[verdict, "not taken"]
        print(
            f"{taken:5} {verdict}" + (f" (and {others} that the reference does not take)" if others else "")
        )
    return int(any(counts[verdict, "taken"] for verdict in ("wrong", "fails")))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
