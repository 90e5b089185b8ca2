"""Scores the models of a folder of TensorFlow and ONNX models with answers, and counts how many are right.

``python -m tests.suites.tensors FOLDER`` prints the counts, ``--list`` what is wrong with each model. The
folder has ``models/NAME.model``, the content of a model message, and ``NAME.json``: the message's other
fields, records, and what the model's own library says of them. Records are scored together and one by one,
and both must agree.
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
import numpy.typing as npt

from bench.known_models import tensor_model, tensor_suite_folder
from bench.report import fill_in
from model_serving.core.engine import Columns, LoadedModel, Scores, description_of
from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.core.messages import ModelType
from model_serving.engines import engine_for
from model_serving.runtime.environment import project_root
from tests.suites.absence import tell_absence

__all__ = ["CLASSES", "Outcome", "outcome_of", "table"]

_FIGURES = "tensor-suite.json"
_MAKERS = {
    "catboost": "CatBoost",
    "frozen": "frozen graphs of TensorFlow 1",
    "hand": "graphs of the shapes that PyTorch and others export",
    "keras2": "Keras 2 SavedModels",
    "lightgbm": "LightGBM",
    "sklearn": "scikit-learn",
    "tf-made": "SavedModels of Keras 3 and of tf.function modules",
    "tf1-saved": "SavedModels of TensorFlow 1",
    "wrong": "minimal models, one cause each",
    "xgboost": "XGBoost",
}

CLASSES = ("right", "wrong", "fails", "rejected", "rejected as expected")
Numbers = Sequence[float] | npt.NDArray[np.float64]
_TRUTHS = {"false": "0", "true": "1"}


@dataclass(slots=True)
class Outcome:
    """What became of one model: one of ``CLASSES``, what the result is in words, and a line for each fault.

    ``has_answer``: something is known about the model that it can be compared with.
    """

    name: str
    kind: ModelType
    has_answer: bool
    verdict: str = "right"
    result: str = ""
    findings: list[str] = field(default_factory=list)


def outcome_of(path: Path) -> Outcome:
    """Loads and scores one model, as a job does. ``path`` is that of its JSON file."""
    case = json.loads(path.read_text())
    kind = ModelType(case["kind"])
    outcome = Outcome(path.stem, kind, bool(case["result"] or case["labels"] or case["values"]))
    known = tensor_model(path, case)
    try:
        model = engine_for(kind).load(known.message, known.schema)
    except ModelRejected as rejected:
        outcome.verdict = "rejected as expected" if case["expect_rejected"] else "rejected"
        outcome.findings.append(str(rejected))
        return outcome
    try:
        outcome.result = description_of(model).result
        _compare(model, known.columns(model.fields), case, outcome)
    finally:
        model.close()
    return outcome


def _compare(model: LoadedModel, columns: Columns, case: Mapping[str, Any], outcome: Outcome) -> None:
    together = _scores(model, columns)
    alone = [_scores(model, columns[place : place + 1]) for place in range(len(columns))]
    failed = [scores for scores in (together, *alone) if isinstance(scores, str)]
    if failed:
        outcome.verdict = "fails" if len(failed) == len(alone) + 1 else "wrong"
        outcome.findings.append(failed[0])
        return
    if case["expect_rejected"]:
        outcome.findings.append("it is served, but should be rejected")
    each = [scores for scores in alone if not isinstance(scores, str)]
    assert not isinstance(together, str)
    for words, scores in (("together", together), ("one by one", _joined(each))):
        outcome.findings += [f"{words}: {fault}" for fault in _faults(case, scores)]
    outcome.findings += _differences(together, _joined(each), case["tolerance"])
    if outcome.findings:
        outcome.verdict = "wrong"


def _scores(model: LoadedModel, columns: Columns) -> Scores | str:
    try:
        return model.score(columns)
    except ScoringFailed as failed:
        return str(failed)


def _joined(parts: Sequence[Scores]) -> Scores:
    labels = None if parts[0].labels is None else [label for part in parts for label in part.labels or ()]
    outputs = {name: np.concatenate([part.outputs[name] for part in parts]) for name in parts[0].outputs}
    return Scores(np.concatenate([part.result for part in parts]), labels, outputs)


def _faults(case: Mapping[str, Any], scores: Scores) -> Iterable[str]:
    tolerance = case["tolerance"]
    wanted = case["result"]
    # NaN stands for a label that is no number: its result is an index, which the library does not give.
    if (
        wanted
        and not all(math.isnan(value) for value in wanted)
        and not _close(scores.result, wanted, tolerance)
    ):
        yield f"the result is {_few(scores.result)} instead of {_few(wanted)}"
    labels = case["labels"]
    ours = [] if scores.labels is None else scores.labels
    if labels and not (len(ours) == len(labels) and all(map(_same_label, ours, labels))):
        yield f"the labels are {_few(ours) or 'not there'} instead of {_few(labels)}"
    found = [scores.result, *scores.outputs.values()]
    for name, values in (case["values"] or {}).items():
        if not any(_close(column, values, tolerance) for column in found):
            yield f"no output has the values of {name}: {_few(values)}"


def _differences(together: Scores, alone: Scores, tolerance: float) -> Iterable[str]:
    pairs = {"result": (together.result, alone.result)}
    pairs |= {name: (values, alone.outputs[name]) for name, values in together.outputs.items()}
    for name, (ours, other) in pairs.items():
        if not _close(ours, other, tolerance):
            yield f"{name} differs between a batch and single records: {_few(ours)} and {_few(other)}"
    if together.labels is not None and list(together.labels) != list(alone.labels or ()):
        yield "the labels differ between a batch and single records"


def _close(ours: Numbers, wanted: Numbers, tolerance: float) -> bool:
    expected = np.array([math.nan if value is None else value for value in wanted], dtype=np.float64)
    return len(ours) == len(expected) and np.allclose(ours, expected, tolerance, tolerance, equal_nan=True)


def _same_label(ours: str, wanted: str) -> bool:
    """Whether two labels are equal. A file of whole numbers cannot tell False and True from 0 and 1."""
    return ours == wanted or ours == _TRUTHS.get(wanted.lower())


def _few(values: Sequence[Any] | npt.NDArray[np.float64]) -> str:
    return ", ".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in values[:4])


def main(words: Sequence[str]) -> int:
    """Prints the counts.

    Returns:
        1 when some model is wrong or fails, 2 when there is no model to score.
    """
    arguments = _parser().parse_args(words)
    models = arguments.folder / "models"
    paths = [path for path in sorted(models.glob("*.json")) if arguments.only in path.stem]
    if not paths:
        tell_absence("model", models, arguments.only, "MODEL_SERVING_TENSOR_SUITE")
        return 2
    outcomes: list[Outcome] = []
    for path in paths:
        if arguments.kind and json.loads(path.read_text())["kind"] != ModelType[arguments.kind]:
            continue
        outcomes.append(outcome_of(path))
        if arguments.list:
            _tell(outcomes[-1])
    counts = Counter((outcome.verdict, outcome.has_answer) for outcome in outcomes)
    for verdict in CLASSES:
        known, others = counts[verdict, True], counts[verdict, False]
        print(f"{known:5} {verdict}" + (f" (and {others} without an answer)" if others else ""))
    if arguments.write:
        _write(outcomes)
    return int(any(counts[verdict, True] for verdict in ("wrong", "fails")))


def table(found: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Returns the lines of the table for docs/models.md: a row for each maker, a column for each class."""
    lines = ["| from | models | " + " | ".join(CLASSES) + " |", "|---|---|" + "---|" * len(CLASSES)]
    for maker, counts in found.items():
        cells = [str(counts.get(verdict, 0)) for verdict in CLASSES]
        lines.append(f"| {_MAKERS.get(maker, maker)} | {sum(counts.values())} | " + " | ".join(cells) + " |")
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.suites.tensors", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=tensor_suite_folder())
    parser.add_argument("--only", default="", help="models whose name contains this")
    parser.add_argument("--list", action="store_true", help="print what is wrong with each model")
    parser.add_argument("--kind", default="", help="models of this kind: " + ", ".join(ModelType.__members__))
    parser.add_argument(
        "--write", action="store_true", help=f"store the counts (docs/{_FIGURES}) and write docs/models.md"
    )
    return parser


def _tell(outcome: Outcome) -> None:
    if outcome.findings:
        print(f"{outcome.verdict}: {outcome.name} ({outcome.kind.name}) {outcome.result}")
    for finding in outcome.findings[:4]:
        print(f"    {finding}")


def _write(outcomes: Iterable[Outcome]) -> None:
    """Counts the models that have an answer by their maker, which their names begin with, and stores that."""
    found: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        if outcome.has_answer:
            found.setdefault(outcome.name.partition(".")[0], Counter())[outcome.verdict] += 1
    docs = project_root() / "docs"
    (docs / _FIGURES).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    page = docs / "models.md"
    written = fill_in(page.read_text(encoding="utf-8"), "tensor-suite", table(found))
    page.write_text(written, encoding="utf-8")
    print(f"wrote docs/{_FIGURES} and docs/models.md")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
