"""``python -m tests.suites.pmml [FOLDER]``: see the package."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.known_models import pmml_suite_folder
from bench.report import fill_in
from model_serving.runtime.environment import project_root
from tests.suites.absence import tell_absence
from tests.suites.pmml.documents import Outcome, document_paths, outcome_of
from tests.suites.pmml.report import figures, printed, tables

__all__ = ["main"]

_FIGURES = "pmml-suite.json"


def main(words: Sequence[str]) -> int:
    """Prints the counts.

    Returns:
        1 when some document that the reference takes is wrong or fails, 2 when there is no document to score.
    """
    arguments = _parser().parse_args(words)
    paths = document_paths(arguments.folder, arguments.only)
    if not paths:
        tell_absence("document", arguments.folder / "documents", arguments.only, "MODEL_SERVING_PMML_SUITE")
        return 2
    outcomes: list[Outcome] = []
    for path in paths:
        if arguments.kind and json.loads(path.read_text())["kind"] != arguments.kind:
            continue
        outcomes.append(outcome_of(path, measures=not arguments.fast))
        if arguments.list:
            _tell(outcomes[-1])
    found = figures(outcomes, arguments.folder)
    print(printed(found))
    if arguments.write:
        _write(found)
    return int(any(found["counts"].get(verdict) for verdict in ("wrong", "fails")))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.suites.pmml")
    parser.add_argument("folder", type=Path, nargs="?", default=pmml_suite_folder())
    parser.add_argument("--only", default="", help="documents whose name contains this")
    parser.add_argument("--kind", default="", help="documents of this kind of model")
    parser.add_argument("--list", action="store_true", help="print what is wrong in each document")
    parser.add_argument("--fast", action="store_true", help="do not measure how fast they are")
    parser.add_argument(
        "--write", action="store_true", help=f"store the counts (docs/{_FIGURES}) and write docs/models.md"
    )
    return parser


def _tell(outcome: Outcome) -> None:
    if not outcome.findings:
        return
    print(f"{outcome.verdict}: {outcome.document} ({outcome.kind})")
    for finding in outcome.findings[:4]:
        print(f"    {finding}")


def _write(found: dict[str, object]) -> None:
    """Stores the counts, without how fast the documents are: ``python -m bench suites`` measures that."""
    docs = project_root() / "docs"
    counts = {name: value for name, value in found.items() if name != "speed"}
    (docs / _FIGURES).write_text(json.dumps(counts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    page = docs / "models.md"
    text = page.read_text(encoding="utf-8")
    for name, lines in tables(found).items():
        text = fill_in(text, name, lines)
    page.write_text(text, encoding="utf-8")
    print(f"wrote docs/{_FIGURES} and docs/models.md")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
