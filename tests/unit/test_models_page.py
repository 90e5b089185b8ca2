"""The tables of docs/models.md are those of the stored figures: nobody edits them by hand."""

from __future__ import annotations

import json

from bench.report import fill_in
from model_serving.runtime.environment import project_root
from tests.suites.pmml.report import tables
from tests.suites.tensors import table


def test_the_page_has_the_tables_of_the_stored_figures() -> None:
    docs = project_root() / "docs"
    page = (docs / "models.md").read_text(encoding="utf-8")
    written = page
    for name, lines in tables(json.loads((docs / "pmml-suite.json").read_text(encoding="utf-8"))).items():
        written = fill_in(written, name, lines)
    counts = json.loads((docs / "tensor-suite.json").read_text(encoding="utf-8"))
    written = fill_in(written, "tensor-suite", table(counts))
    assert written == page
