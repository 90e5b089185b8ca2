"""Text from messages is shown as it is and never obeyed: no markup, no emoji, no control characters."""

from __future__ import annotations

import io
import json
import re
import sys

import pytest
from rich.console import Console

from model_serving.client import reading
from model_serving.client.decoding import Kind, as_line
from model_serving.client.demo.screen import LiveScreen, PlainScreen
from model_serving.client.demo.tally import Tally
from model_serving.client.printable import as_json, as_moment, printable
from model_serving.client.reading import Form, print_status
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.topics import TopicNames
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.protos.servingresult_pb2 import ServingResult

NAME = "wine [/v2] :warning: [bold]x"
HOSTILE = "a\x1b[2J\nb\r\t\x07\x7f\x9b1m\u202eevil\u2066\u2028\ufeff"
ESCAPED = r"a\x1b[2J\nb\r\t\x07\x7f\x9b1m\u202eevil\u2066\u2028\ufeff"
STATUS = ModelStatus(
    dataType="wine", name=NAME, version="v[/]", state=ModelStatus.ACTIVE, ts=1, previous="[n, 4]"
)
REJECTED = ModelStatus(
    dataType="wine", name="other", state=ModelStatus.REJECTED, ts=2, detail=f"shape [n, 4] {HOSTILE}"
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("größer µ 葡萄酒 👩\u200d🌾", "größer µ 葡萄酒 👩\u200d🌾"),
        (NAME, NAME),
        (r"C:\new", r"C:\new"),
        (HOSTILE, ESCAPED),
        ("\U000e0041", r"\U000e0041"),
        ("", ""),
    ],
)
def test_what_a_terminal_would_obey_is_escaped_and_nothing_else(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_json_is_escaped_as_json_does_it() -> None:
    value = {"name": HOSTILE + "\U000e0041", "größe": ["µ", 1.5]}
    line = as_json(value)
    assert json.loads(line) == value
    assert printable(line) == line
    assert "größe" in line


@pytest.mark.parametrize("ts", [2**62, -(2**62)])
def test_a_time_that_no_clock_shows_is_a_number(ts: int) -> None:
    assert as_moment(ts) == f"{ts} ms"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def status_in(terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(reading, "_reports", lambda *_: [STATUS, REJECTED])
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setenv("TERM", "xterm")
    print_status(KafkaAccess("nowhere:1"), "model-status", data_type=None, form=Form.TEXT)
    # The styles of the table itself.
    return re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())


@pytest.mark.parametrize("output", [Terminal, io.StringIO])
def test_the_status_shows_names_and_texts_as_they_are(
    output: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = status_in(output(), monkeypatch)
    for text in (NAME, "v[/]", "[n, 4]", f"shape [n, 4] {ESCAPED}"):
        assert text in shown
    assert not {"\x1b", "\x9b", "\r", "\u202e"} & set(shown)


def test_a_line_of_any_topic_is_one_line() -> None:
    letter = DeadLetter(dataType=HOSTILE, topic=HOSTILE, model=HOSTILE, detail=HOSTILE)
    result = ServingResult(dataType="wine", name=HOSTILE, label=HOSTILE, outputs={HOSTILE: 1.0})
    for kind, message in ((Kind.DEAD_LETTERS, letter), (Kind.RESULTS, result), (Kind.STATUS, REJECTED)):
        line = as_line(kind, message)
        assert ESCAPED in line
        assert printable(line) == line


def test_the_demo_shows_names_and_texts_as_they_are() -> None:
    topics = TopicNames()
    tally = Tally("wine", topics)
    result = ServingResult(dataType="wine", name=NAME, version="v[/]", label="[red]", modeltype=77)
    letter = DeadLetter(reason=99, topic=topics.data)  # type: ignore[arg-type]
    for kind, message in (
        (Kind.STATUS, STATUS),
        (Kind.STATUS, REJECTED),
        (Kind.RESULTS, result),
        (Kind.DEAD_LETTERS, letter),
    ):
        tally.add(kind, message.SerializeToString(), at_s=1.0)
    shown = io.StringIO()
    live = LiveScreen(Console(file=shown, force_terminal=True, width=400, color_system=None))
    live.say(NAME)
    with live.streaming():
        live.show(tally, at_s=1.0, sent=1)
    live.summarize(tally, sent=1)
    plain = PlainScreen(Console(file=shown, width=400))
    plain.show(tally, at_s=1.0, sent=1)
    plain.summarize(tally, sent=1)
    # In the live view, in each summary, and in each list of swaps.
    assert shown.getvalue().count(NAME) >= 7
    for text in ("v[/]", "[red]", f"shape [n, 4] {ESCAPED}", "99"):
        assert text in shown.getvalue()
    assert "\u202e" not in shown.getvalue()
