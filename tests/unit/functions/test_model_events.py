"""A Flink job tells what becomes of models, unless its log is to be quiet."""

from __future__ import annotations

import pytest

from functions import model_events
from functions.emitting import emit
from model_serving.core.channels import Channel, Emitted
from model_serving.protos.modelstatus_pb2 import ModelStatus

STATUS = ModelStatus(
    dataType="wine", name="glm", version="v1", state="REJECTED", detail="no"
).SerializeToString()


def test_statuses_that_are_emitted_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    list(emit(Emitted(side=[(Channel.STATUSES, STATUS), (Channel.DEAD_LETTERS, b"letter")])))
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith(" model-serving: data type 'wine': model glm v1 is rejected (no)")


def test_a_quiet_log_tells_none(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_events, "_IS_TOLD", False)
    list(emit(Emitted(side=[(Channel.STATUSES, STATUS)])))
    assert capsys.readouterr().out == ""
