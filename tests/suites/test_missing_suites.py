"""A suite whose folder is not there ends with a line that says so, and never as if all were right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.suites import tensors
from tests.suites.pmml import __main__ as pmml


@pytest.mark.parametrize(
    ("main", "place", "variable"),
    [
        (pmml.main, "documents", "MODEL_SERVING_PMML_SUITE"),
        (tensors.main, "models", "MODEL_SERVING_TENSOR_SUITE"),
    ],
)
def test_no_folder_is_not_a_success(
    main: object, place: str, variable: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "absent"
    assert callable(main)
    assert main([str(folder)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert str(folder / place) in said.err
    assert variable in said.err
