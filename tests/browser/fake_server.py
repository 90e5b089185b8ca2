"""A stand-in for the query server: the same routes and headers, with the answers of a scenario."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles

import model_serving
from tests.browser.scenario import Scenario

__all__ = ["TOKEN", "FakeServer"]

TOKEN = "a-token-of-the-tests"

_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
_END = object()
_PAGE = Path(model_serving.__file__).parent / "observe" / "page"


class FakeServer:
    """A context manager: serves a scenario in a thread of its own. A test may replace `scenario` at any time.

    ``commands`` has what was asked for with a token, the oldest first. While ``answers_nothing``
    is set, every answer is an error.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.commands: list[tuple[str, str, Any]] = []
        self.answers_nothing = False
        self._streams: set[asyncio.Queue[Any]] = set()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        config = uvicorn.Config(_app(self), log_level="error", lifespan="off", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fake query server", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._server.should_exit = True
        self._thread.join(30)
        self._socket.close()

    def reset(self, scenario: Scenario) -> None:
        """Begins afresh, with another scenario."""
        self.scenario = scenario
        self.commands.clear()
        self.answers_nothing = False

    def send(self, kind: str, document: Any) -> None:
        """Sends an event to every page."""
        text = f"event: {kind}\ndata: {json.dumps(document)}\n\n"
        self._put(text)

    def cut(self) -> None:
        """Ends every event stream."""
        self._put(_END)

    async def events(self) -> AsyncIterator[str]:
        """What a page hears."""
        stream: asyncio.Queue[Any] = asyncio.Queue()
        self._streams.add(stream)
        try:
            yield "retry: 2000\n\n"
            while (text := await stream.get()) is not _END:
                yield text
        finally:
            self._streams.discard(stream)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        await self._server.serve(sockets=[self._socket])

    def _put(self, what: Any) -> None:
        assert self._loop is not None
        if self._loop.is_closed():
            return
        done = threading.Event()

        def put() -> None:
            for stream in self._streams:
                stream.put_nowait(what)
            done.set()

        self._loop.call_soon_threadsafe(put)
        assert done.wait(30)


def _app(server: FakeServer) -> FastAPI:
    app = FastAPI()

    @app.middleware("http")
    async def _guard(request: Request, go_on: Any) -> Response:
        # The routes see the path as it was sent, because names have slashes.
        request.scope["path"] = request.scope["raw_path"].decode()
        down = JSONResponse({"detail": "the server is down"}, 503)
        answer: Response = down if server.answers_nothing else await go_on(request)
        answer.headers.update(_HEADERS)
        return answer

    @app.get("/api/v1/events")
    async def _events() -> Response:
        return StreamingResponse(server.events(), media_type="text/event-stream")

    @app.api_route("/api/v1/data-types/{rest:path}", methods=["POST", "DELETE"])
    async def _command(request: Request, rest: str) -> Response:
        if not rest.endswith("/score") and request.headers.get("authorization") != f"Bearer {TOKEN}":
            return JSONResponse({"detail": "commands need a token"}, 401)
        return await _take(server, request, rest)

    _add_lists(app, server)
    _add_data_types(app, server)
    app.mount("/", StaticFiles(directory=_PAGE, html=True))
    return app


def _add_lists(app: FastAPI, server: FakeServer) -> None:
    @app.get("/api/v1/data-types")
    async def _data_types(
        search: str = "", sort: str = "name", descending: bool = False, offset: int = 0, limit: int = 50
    ) -> Response:
        known = server.scenario.data_types
        names = sorted(name for name in known if search.casefold() in name.casefold())
        if sort == "throughput":
            names.sort(key=lambda name: known[name]["throughput"], reverse=descending)
        items = [known[name] for name in names[offset : offset + limit]]
        return JSONResponse({"total": len(names), "offset": offset, "items": items})

    @app.get("/api/v1/dead-letters")
    async def _letters(limit: int = 20, data_type: str | None = None) -> Response:
        letters = server.scenario.letters
        found = [one for one in letters if data_type in (None, one["dataType"])]
        without = Counter(one["reason"] for one in letters if not one["dataType"])
        counts = Counter(one["reason"] for one in found)
        return JSONResponse({"items": found[:limit], "counts": counts, "withoutDataType": without})


def _add_data_types(app: FastAPI, server: FakeServer) -> None:
    @app.get("/api/v1/data-types/{name:path}/versions")
    async def _versions(name: str) -> Response:
        found = server.scenario.versions.get(_named(server, name), [])
        return JSONResponse({"dataType": name, "versions": found})

    @app.get("/api/v1/data-types/{name:path}/series")
    async def _series(name: str) -> Response:
        nothing: dict[str, Any] = {"dataType": name, "intervalS": 5, "points": [], "swaps": []}
        return JSONResponse(server.scenario.series.get(_named(server, name), nothing))

    @app.get("/api/v1/data-types/{name:path}")
    async def _data_type(name: str) -> Response:
        found = server.scenario.data_types.get(_named(server, name))
        return JSONResponse(found or {"detail": "nothing is known of it"}, 200 if found else 404)


async def _take(server: FakeServer, request: Request, rest: str) -> Response:
    name, _, what = rest.partition("/")
    if what == "models":
        form = await request.form()
        content = {
            key: one if isinstance(one, str) else (await one.read()).decode() for key, one in form.items()
        }
    else:
        content = await request.json() if what == "score" else {}
    server.commands.append((what or "remove", unquote(name), content))
    if what == "score":
        outputs = {"5": 0.71, "6": 0.29}
        return JSONResponse(
            {"result": 5.0, "label": "5", "outputs": outputs, "name": "wine", "version": "28066910fdf8"}
        )
    return JSONResponse({"dataType": unquote(name)}, 202)


def _named(server: FakeServer, sent: str) -> str:
    """The data type that a path means: by its name, or by its id."""
    name = unquote(sent)
    return next((one for one, known in server.scenario.data_types.items() if known["id"] == name), name)
