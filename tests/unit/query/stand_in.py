"""A query server over what a test says is known; its publisher and scorer remember what they got."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from fastapi.testclient import TestClient

from model_serving.core.messages import Command
from model_serving.observe.figures import Figures
from model_serving.observe.ranking import Order
from model_serving.query.app import Access, build_app
from model_serving.query.asgi import App, Message
from model_serving.query.commanding import Commanding
from model_serving.query.digests import Digests, digest_of
from model_serving.query.encoding import Json, encoded
from model_serving.query.errors import HttpError
from model_serving.query.parts import Parts
from model_serving.query.ports import Change, Deployment, Document, Listener
from model_serving.query.streaming import EventHub

TOKEN = "0123456789abcdef0123456789abcdef"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def serving(version: str = "v1", **fields: Any) -> Document:
    return {
        "name": "m",
        "description": "d",
        "modelType": 2,
        "since": 1_000,
        "usage": 3,
        "duration": 1.5,
        "min": 0.25,
        "max": 1.0,
        "version": version,
        "sha256": "ab" * 32,
        "previous": "",
    } | fields


class KnownHere:
    """See ``query.ports.Known``."""

    def __init__(self, *names: str) -> None:
        self.found: dict[str, Document] = {name: serving() for name in names}
        self.letters: list[Document] = []
        self.shown: list[Figures] = []
        self.letter_counts: dict[tuple[str, str], int] = {}
        self.wait: dict[str, int] = {}
        self.listeners: list[Listener] = []
        self.age: float | None = None
        self.sorted_by: list[tuple[Order, threading.Thread]] = []

    def age_s(self) -> float | None:
        return self.age

    def names(self, search: str = "") -> Sequence[str]:
        return sorted(name for name in self.found if search.casefold() in name.casefold())

    def serving_names(self) -> Sequence[str]:
        return self.names()

    def data_types(self, search: str, order: Order, *, descending: bool, offset: int, limit: int) -> Json:
        self.sorted_by.append((order, threading.current_thread()))
        names = self.names(search)
        items = [self._document(name) for name in names[offset : offset + limit]]
        return encoded({"total": len(names), "offset": offset, "items": items})

    def serving(self, data_type: str) -> Document | None:
        return self.found.get(data_type)

    def data_type(self, name: str) -> Json | None:
        return encoded(self._document(name)) if name in self.found else None

    def _document(self, name: str) -> Document:
        return {"dataType": name, "id": digest_of(name), "serving": self.found[name]}

    def versions(self, name: str) -> list[Json] | None:
        return [encoded({"version": "v1", "scored": 3})] if name in self.found else None

    def series(self, name: str) -> Json | None:
        return encoded({"dataType": name, "points": []}) if name in self.found else None

    def dead_letters(self, limit: int, data_type: str | None = None) -> list[Json]:
        return [encoded(one) for one in self.letters if data_type in (None, one["dataType"])][:limit]

    def letters_by_reason(self, data_type: str | None = None) -> Mapping[str, int]:
        found = self.dead_letters(len(self.letters), data_type)
        return {"NO_MODEL": len(found)} if found else {}

    def dead_letter_counts(self) -> Mapping[tuple[str, str], int]:
        return self.letter_counts

    def waiting(self) -> Mapping[str, int]:
        return self.wait

    def figures(self) -> Iterable[Figures]:
        return self.shown

    def rollbacks(self) -> Mapping[str, int]:
        return {"a": 2}

    def listen(self, listener: Listener) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def tell(self, *changes: Change) -> None:
        for listener in self.listeners:
            listener(changes)


class HealthHere:
    """See ``query.ports.Health``."""

    def __init__(self) -> None:
        self.unready = ""

    def problem(self, path: str) -> str | None:
        return self.unready if path == "/readyz" else ""


class PublisherHere:
    """See ``query.ports.Publisher``."""

    def __init__(self) -> None:
        self.deployed: list[tuple[Deployment, bytes]] = []
        self.commands: list[tuple[Command, str]] = []
        self.refusal: HttpError | None = None

    def deploy(self, model: Deployment) -> Document:
        if self.refusal is not None:
            raise self.refusal
        self.deployed.append((model, model.file.read_bytes()))
        return {"command": "DEPLOY", "dataType": model.data_type, "name": model.name}

    def command(self, command: Command, data_type: str) -> Document:
        self.commands.append((command, data_type))
        return {"command": command.name, "dataType": data_type}


class ScorerHere:
    """See ``query.ports.Scorer``."""

    def __init__(self) -> None:
        self.asked: list[tuple[Document, str, Document]] = []

    def score(self, serving: Document, data_type: str, record: Document) -> Document:
        self.asked.append((serving, data_type, record))
        return {"result": 6.0, "label": "6", "outputs": {}, "version": serving["version"]}

    def close(self) -> None:
        pass


def answered(
    app: App,
    method: str,
    path: str,
    *,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> tuple[int, bytes]:
    """Sends a request with the path as it is, which the test client would change; status and body."""
    given = {"host": "localhost"} | dict(headers or {})
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode("ascii"),
        "query_string": query.encode("ascii"),
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1", "replace")) for name, value in given.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 5500),
    }
    answer: list[Any] = []
    asked: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if not asked:
            await asyncio.Event().wait()
        return asked.pop()

    async def send(message: Message) -> None:
        answer.append(message)

    async def run() -> None:
        await app(scope, receive, send)

    asyncio.run(run())
    return answer[0]["status"], b"".join(one.get("body", b"") for one in answer[1:])


def sent(app: App, method: str, path: str, body: bytes = b"", kind: str = "") -> tuple[int, Any]:
    """The same for an answer in JSON."""
    status, content = answered(app, method, path, headers={"content-type": kind}, body=body)
    return status, json.loads(content)


@dataclass
class Served:
    """A query server in this process, and what stands behind it."""

    known: Any
    tokens: tuple[bytes, ...] = (TOKEN.encode(),)
    scores: bool = True
    upload_limit: int = 1_000
    access: Access = field(default_factory=Access)
    health: Any = field(default_factory=HealthHere)
    publisher: PublisherHere = field(default_factory=PublisherHere)
    scorer: Any = field(default_factory=ScorerHere)
    lag: Any = None

    def __post_init__(self) -> None:
        self.hub = EventHub(self.known)
        self.parts = Parts(
            self.known,
            self.health,
            self.hub,
            Digests(self.known),
            Commanding(self.tokens, self.publisher, self.upload_limit),
            self.scorer if self.scores else None,
            self.lag,
        )
        self.app = build_app(self.parts, self.access)
        self.client = TestClient(self.app, raise_server_exceptions=False, base_url="http://localhost:5500")
