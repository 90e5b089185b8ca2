"""A fixed sample of the PMML suite through the engine: nothing in it is wrong (all: ``make suites``)."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.known_models import pmml_suite_folder
from tests.suites.pmml.documents import document_paths, outcome_of

FOLDER = pmml_suite_folder()
EACH = 7  # every seventh document: some of every maker and kind, in a few seconds
SAMPLE = document_paths(FOLDER)[::EACH]

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"PMML suite not found ({FOLDER})")


@pytest.mark.parametrize("path", SAMPLE, ids=[path.stem for path in SAMPLE])
def test_a_document_is_right_or_refused(path: Path) -> None:
    outcome = outcome_of(path)
    if outcome.verdict == "rejected":
        (why,) = outcome.findings
        assert "\n" not in why
        assert "Exception" not in why
        return
    assert (outcome.verdict, outcome.findings) == ("right", [])


def test_most_of_the_sample_is_scored() -> None:
    outcomes = [outcome_of(path) for path in SAMPLE]
    taken = [one for one in outcomes if one.is_taken]
    assert sum(one.verdict == "right" for one in taken) >= 0.95 * len(taken)
