"""The stream of events: nothing is missed, nothing piles up, and it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from model_serving.query import event_routes, streaming
from model_serving.query.asgi import Message
from model_serving.query.encoding import encoded
from model_serving.query.ports import Change, Happening
from tests.unit.query.stand_in import KnownHere, Served, answered

LETTER = {"dataType": "a", "reason": "NO_MODEL"}
Event = tuple[str, str, Any]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_routes, "_PAUSE_S", 0.0)
    monkeypatch.setattr(event_routes, "_HEARTBEAT_S", 0.01)


def status(data_type: str) -> Change:
    return Change(Happening.STATUS, data_type)


def statistics(data_type: str) -> Change:
    return Change(Happening.STATISTICS, data_type)


def dead_letter(number: int) -> Change:
    return Change(Happening.DEAD_LETTER, "a", lambda: encoded(LETTER | {"ts": number}))


def parsed(text: str) -> list[Event]:
    """Id, kind and content of each event; an id alone has no kind."""
    events = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in fields:
            events.append((fields.get("id", ""), fields["event"], json.loads(fields["data"])))
        elif "id" in fields:
            events.append((fields["id"], "", None))
    return events


class Client:
    """A client of the stream in the same thread. After each heartbeat it runs a step, at last it leaves."""

    def __init__(
        self, served: Served, *steps: Callable[[], object], last_id: str = "", query: str = ""
    ) -> None:
        self.text = ""
        self.beats = 0
        self._steps = list(steps)
        self._left = asyncio.Event()
        self._request: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/api/v1/events",
            "raw_path": b"/api/v1/events",
            "query_string": query.encode(),
            "headers": [(b"last-event-id", last_id.encode())],
        }
        asyncio.run(asyncio.wait_for(self._run(served, scope), 60))

    async def _run(self, served: Served, scope: dict[str, Any]) -> None:
        await served.app(scope, self._receive, self._send)

    async def _receive(self) -> Message:
        if self._request:
            return self._request.pop()
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        body = message.get("body", b"").decode()
        self.text += body
        if body.startswith(": "):
            self.beats += 1
            if self._steps:
                self._steps.pop(0)()
            else:
                self._left.set()

    @property
    def events(self) -> list[Event]:
        return parsed(self.text)


def test_a_new_client_gets_the_whole_state_first() -> None:
    served = Served(KnownHere("b", "a"))
    client = Client(served)
    assert client.text.startswith("retry: 2000\n\n")
    assert [(kind, content.get("dataType")) for _, kind, content in client.events if kind] == [
        ("reset", None),
        ("status", "a"),
        ("status", "b"),
    ]
    assert client.events[0][2] == {"dataTypes": 2, "complete": True}
    # The number comes last: who is interrupted before begins afresh.
    assert [number for number, _, _ in client.events] == ["", "", "", f"{served.hub.run}-0"]
    assert served.hub.streams == 0


def test_with_very_many_data_types_a_client_asks_for_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_routes, "_WHOLE_STATE", 1)
    first, last = Client(Served(KnownHere("a", "b"))).events
    assert first[1:] == ("reset", {"dataTypes": 2, "complete": False})
    assert last[1] == ""


def test_what_happens_is_sent_as_it_comes_with_a_number() -> None:
    served = Served(KnownHere("a"))
    tell = served.known.tell
    client = Client(served, lambda: tell(status("a"), dead_letter(7)), lambda: tell(statistics("a")))
    run = served.hub.run
    assert client.events[-3:] == [
        (f"{run}-1", "status", json.loads(served.known.data_type("a"))),
        (f"{run}-2", "dead-letter", LETTER | {"ts": 7}),
        (f"{run}-3", "statistics", json.loads(served.known.data_type("a"))),
    ]


def test_a_client_that_comes_back_gets_what_it_missed_once_for_each_data_type() -> None:
    served = Served(KnownHere("a", "b"))
    served.known.tell(statistics("a"), dead_letter(1))
    for _ in range(1_000):
        served.known.tell(statistics("b"))
        served.known.tell(statistics("a"))
    served.known.tell(dead_letter(2))
    client = Client(served, last_id=f"{served.hub.run}-2")
    assert [(kind, content["dataType"]) for _, kind, content in client.events] == [
        ("statistics", "b"),
        ("statistics", "a"),
        ("dead-letter", "a"),
    ]
    assert client.events[-1][2]["ts"] == 2
    assert Client(served, last_id=client.events[-1][0]).events == []


@pytest.mark.parametrize(
    "last_id", ["", "x", "00000000-1", "{run}-99", "{run}-", "{run}--1", "{run}-1\u0661"]
)
def test_a_number_that_says_nothing_here_begins_afresh(last_id: str) -> None:
    served = Served(KnownHere("a"))
    served.known.tell(statistics("a"))
    client = Client(served, last_id=last_id.replace("{run}", served.hub.run))
    assert [kind for _, kind, _ in client.events] == ["reset", "status", ""]


def test_what_is_forgotten_begins_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_DATA_TYPES", 2)
    served = Served(KnownHere("a", "b", "c"))
    served.known.tell(*map(statistics, "abc"))
    assert Client(served, last_id=f"{served.hub.run}-0").events[0][1] == "reset"
    assert [kind for _, kind, _ in Client(served, last_id=f"{served.hub.run}-1").events] == ["statistics"] * 2


def test_dead_letters_are_held_up_to_a_number() -> None:
    served = Served(KnownHere("a"))
    served.known.tell(*map(dead_letter, range(2_000)))
    kept = [content["ts"] for _, _, content in Client(served, last_id=f"{served.hub.run}-1500").events]
    assert kept == list(range(1_500, 2_000))
    assert Client(served, last_id=f"{served.hub.run}-1499").events[0][1] == "reset"


def test_a_client_may_ask_for_some_data_types_only() -> None:
    served = Served(KnownHere("a", "b", "c"))
    client = Client(
        served,
        lambda: served.known.tell(*map(statistics, "abc"), dead_letter(1)),
        query="data_type=b&data_type=c",
    )
    assert [(kind, content.get("dataType")) for _, kind, content in client.events if kind] == [
        ("reset", None),
        *(("status", "b"), ("status", "c"), ("statistics", "b"), ("statistics", "c")),
    ]


def test_a_quiet_stream_has_heartbeats_and_ends_when_the_client_goes() -> None:
    served = Served(KnownHere())
    client = Client(served, lambda: None, lambda: None)
    assert client.beats == 3
    assert served.hub.streams == 0


def test_streams_end_with_the_server() -> None:
    served = Served(KnownHere("a"))
    client = Client(served, served.hub.close, lambda: pytest.fail("the stream goes on"))
    assert client.beats == 1
    assert served.known.listeners == []


def test_a_client_that_does_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_routes, "_PATIENCE_S", 0.01)
    served = Served(KnownHere("a"))
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)
        if len(sent) > 1:
            await asyncio.Event().wait()

    async def run() -> None:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/api/v1/events",
            "raw_path": b"/api/v1/events",
            "query_string": b"",
            "headers": [],
        }
        await asyncio.wait_for(served.app(scope, receive, send), 60)

    asyncio.run(run())
    assert len(sent) == 2
    assert served.hub.streams == 0


def test_there_is_a_limit_of_streams() -> None:
    served = Served(KnownHere())
    served.hub.streams = 200
    status, content = answered(served.app, "GET", "/api/v1/events")
    assert status == 503
    assert "200 streams" in json.loads(content)["detail"]
