"""The checkpoints that a job has left: only complete ones, the newest first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from model_serving.runtime.checkpoints import RetainedCheckpoint, retained_checkpoints, why_not_writable

JOB, OTHER = "0a" * 16, "1b" * 16


def folder(root: Path, name: str, *, written_s: int | None) -> str:
    made = root / name
    made.mkdir(parents=True)
    if written_s is not None:
        (made / "_metadata").touch()
        os.utime(made / "_metadata", (written_s, written_s))
    return str(made)


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_complete_ones_the_newest_first(tmp_path: Path, scheme: str) -> None:
    old = folder(tmp_path, f"{JOB}/chk-9", written_s=100)
    savepoint = folder(tmp_path, "savepoint-0a0a0a-123", written_s=200)
    new = folder(tmp_path, f"{OTHER}/chk-10", written_s=300)
    folder(tmp_path, f"{OTHER}/chk-11", written_s=None)
    folder(tmp_path, f"{OTHER}/shared", written_s=None)
    assert retained_checkpoints(f"{scheme}{tmp_path}") == [
        RetainedCheckpoint(scheme + new, 300.0, OTHER, 10),
        RetainedCheckpoint(scheme + savepoint, 200.0),
        RetainedCheckpoint(scheme + old, 100.0, JOB, 9),
    ]


def test_the_number_decides_where_the_clock_is_too_coarse(tmp_path: Path) -> None:
    for number in (9, 10):
        folder(tmp_path, f"{JOB}/chk-{number}", written_s=100)
    assert [one.number for one in retained_checkpoints(str(tmp_path))] == [10, 9]


def test_nothing_there(tmp_path: Path) -> None:
    assert retained_checkpoints(str(tmp_path / "absent")) == []


def test_a_url_that_nothing_opens() -> None:
    with pytest.raises(ValueError, match="nosuch"):
        retained_checkpoints("nosuch://bucket/checkpoints")


def test_what_is_wrong_with_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert why_not_writable(str(tmp_path / "file" / "below")) == "Not a directory"
    assert why_not_writable("nosuch://bucket/checkpoints") is None


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_folder_that_can_be_written_to_is_left_as_it_was(tmp_path: Path, scheme: str) -> None:
    assert why_not_writable(f"{scheme}{tmp_path}") is None
    assert list(tmp_path.iterdir()) == []
