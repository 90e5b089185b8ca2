"""How the kernel shares the cores out is part of what a figure depends on."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import surroundings


@pytest.mark.parametrize(("text", "expected"), [("1\n", True), ("0\n", False), (None, False)])
def test_the_kernels_switch_is_read(
    text: str | None, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch = tmp_path / "sched_autogroup_enabled"
    if text is not None:
        switch.write_text(text)
    monkeypatch.setattr(surroundings, "_AUTOGROUP", switch)
    assert surroundings.shares_by_session() is expected
