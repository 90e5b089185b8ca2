"""The documents of the suite: which there are, and what becomes of each in this project's engine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.known_models import pmml_model
from bench.speed import Speed, measured
from model_serving.core.engine import Columns, LoadedModel, Scores, description_of
from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.engines.limits import Limits
from model_serving.engines.pmml.engine import PmmlEngine
from tests.suites.pmml.answers import differs, faults
from tests.suites.pmml.differences import reason_for

__all__ = ["CLASSES", "Outcome", "document_paths", "outcome_of"]

CLASSES = ("right", "right but for missing or invalid values", "wrong", "fails", "rejected")
"""What may become of a document. ``fails``: scoring it fails where the reference gives an answer."""

_ODD_ROWS = frozenset({"missing", "invalid"})


@dataclass(slots=True)
class Outcome:
    """What became of one document.

    ``is_taken`` says whether the reference gives an answer for some row. ``verdict`` is one of ``CLASSES``.
    ``findings`` say what is wrong, a line each; ``excused`` what differs from the reference and is right by
    the standard, with the rule. ``speed`` is None for documents that are rejected or were not measured.
    """

    document: str
    kind: str
    function: str
    is_taken: bool
    verdict: str = "right"
    evaluator: str = ""
    findings: list[str] = field(default_factory=list)
    excused: list[str] = field(default_factory=list)
    speed: Speed | None = None


def document_paths(folder: Path, only: str = "") -> list[Path]:
    """Returns the JSON files of the documents whose name contains ``only``, in the order of their names."""
    return [path for path in sorted((folder / "documents").glob("*.json")) if only in path.stem]


def outcome_of(path: Path, *, measures: bool = False) -> Outcome:
    """Loads a document, scores its rows together and one by one, and compares them with the answers.

    Args:
        path: the document's JSON file.
        measures: whether to measure how fast it loads and scores, which takes a tenth of a second more.
    """
    case = json.loads(path.read_text())
    taken = any(row["out"] is not None for row in case["rows"])
    outcome = Outcome(path.stem, case["kind"], case["function"] or "", taken)
    known = pmml_model(path, case)
    started = time.thread_time()
    try:
        model = PmmlEngine(Limits()).load(known.message, known.schema)
    except ModelRejected as rejected:
        outcome.verdict = "rejected"
        outcome.findings.append(str(rejected))
        return outcome
    load_ms = (time.thread_time() - started) * 1e3
    outcome.evaluator = description_of(model).evaluator
    try:
        columns = known.columns(model.fields)
        _compare(model, columns, case, outcome)
        if measures and len(columns):
            outcome.speed = measured(model, columns, load_ms, len(known.message.content))
    finally:
        model.close()
    return outcome


def _compare(model: LoadedModel, columns: Columns, case: Mapping[str, Any], outcome: Outcome) -> None:
    rows = case["rows"]
    if not rows:
        return
    together = _scores(model, columns)
    wrong: set[str] = set()
    for place, row in enumerate(rows):
        alone = _scores(model, columns[place : place + 1])
        found = list(faults(row["out"], case["target"], alone))
        if not isinstance(together, str) and not isinstance(alone, str) and differs(together, place, alone):
            found.append("the batch and the single record differ")
        elif isinstance(together, str) and not isinstance(alone, str):
            found.append(f"the batch fails: {together}")
        for fault in found:
            rule = reason_for(outcome.document, place)
            if rule is not None:
                outcome.excused.append(f"row {place} ({row['kind']}): {fault}; {rule}")
                continue
            wrong.add(row["kind"])
            outcome.findings.append(f"row {place} ({row['kind']}): {fault}")
    if wrong:
        outcome.verdict = _verdict(wrong, outcome.findings)


def _verdict(wrong: set[str], findings: Iterable[str]) -> str:
    if wrong <= _ODD_ROWS:
        return "right but for missing or invalid values"
    return "fails" if all(": fails" in finding for finding in findings) else "wrong"


def _scores(model: LoadedModel, columns: Columns) -> Scores | str:
    try:
        return model.score(columns)
    except ScoringFailed as failed:
        return str(failed)
