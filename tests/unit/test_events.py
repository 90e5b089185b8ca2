"""Events are one line each, whatever the texts in them hold."""

from __future__ import annotations

import io
import json
import re
from functools import partial
from pathlib import Path

import pytest

from model_serving.events import Events, LogFormat, Stream
from model_serving.protos.modelstatus_pb2 import ModelStatus

HOSTILE = "wine\n\x1b[31mred\u2028\r\x00"


def test_text_is_one_line_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    events = Events(LogFormat.TEXT, "one")
    events.tell("state", f"knows {HOSTILE}", data_types=1)
    events.tell("stopped", "stopped: größer")
    out, said = capsys.readouterr()
    first, second = said.splitlines()
    assert out == ""
    assert re.fullmatch(r"\d\d:\d\d:\d\d one: knows wine\\n\\x1b\[31mred\\u2028\\r\\x00", first)
    assert second.endswith(" one: stopped: größer")


def test_json_is_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    Events(LogFormat.JSON, "one").tell("model-active", HOSTILE, data_type=HOSTILE, load_ms=1.5)
    (line,) = capsys.readouterr().err.splitlines()
    event = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", event.pop("ts"))
    assert event == {
        "process": "one",
        "event": "model-active",
        "text": HOSTILE,
        "data_type": HOSTILE,
        "load_ms": 1.5,
    }


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (
            ModelStatus(dataType="wine", name="glm", version="v1", state="ACTIVE", detail="new"),
            "data type 'wine': model glm v1 is active (new)",
        ),
        (
            ModelStatus(dataType="wine", name="glm", state="REJECTED", detail="line 1\nline 2"),
            "data type 'wine': model glm is rejected (line 1\\nline 2)",
        ),
        (ModelStatus(dataType="", state="REMOVED"), "data type '': removed"),
    ],
)
def test_statuses_are_events(capsys: pytest.CaptureFixture[str], status: ModelStatus, said: str) -> None:
    Events(LogFormat.TEXT, "one").statuses([status.SerializeToString()])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f" one: {said}")


def test_statuses_have_their_fields_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    status = ModelStatus(dataType="wine", name="glm", version="v1", state="ACTIVE", load_ms=1.23456)
    Events(LogFormat.JSON, "one").statuses([status.SerializeToString()] * 2)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    event = json.loads(lines[0])
    assert [event[name] for name in ("event", "data_type", "model", "version", "load_ms")] == [
        "model-active",
        "wine",
        "glm",
        "v1",
        1.235,
    ]


def test_what_is_not_a_status_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    Events(LogFormat.TEXT, "one").statuses(
        [b"\xff", ModelStatus(dataType="a", state="REMOVED").SerializeToString()]
    )
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(" one: data type 'a': removed")


def test_a_closed_standard_error_stops_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    closed = (tmp_path / "closed").open("w")
    closed.close()
    monkeypatch.setattr("sys.stderr", closed)
    Events(LogFormat.TEXT, "one").tell("state", "knows nothing")


def test_a_worker_process_of_flink_logs_what_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    # As pyflink/fn_execution/beam/beam_sdk_worker_main.py leaves standard output and print(): a print() with
    # flush=True raises TypeError there, which ended the operator.
    worker = pytest.importorskip("pyflink.fn_execution.beam.beam_sdk_worker_main", reason="needs Flink")
    logged: list[str] = []
    output = io.StringIO()
    monkeypatch.setattr(output, "write", partial(worker.print_to_logging, logged.append))
    monkeypatch.setattr("sys.stdout", output)
    monkeypatch.setattr("builtins.print", worker.CustomPrint(print).print)
    Events(LogFormat.TEXT, "one", Stream.OUTPUT).tell("state", "knows nothing")
    assert [line.split(" ", 1)[1].rstrip() for line in logged] == ["one: knows nothing"]
