"""A store of models that answers only on command: WebHDFS, which ``fsspec`` reads by plain HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

__all__ = ["SlowStore", "slow_store"]

_LONGEST_S = 300


class SlowStore:
    """One file under any path. A request sets ``asked`` and is not answered before ``answer``."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.asked = threading.Event()
        self.answer = threading.Event()
        self.location = ""


@contextmanager
def slow_store(content: bytes) -> Iterator[SlowStore]:
    """Gives a store on a free port of this machine. At the end it answers the requests that still wait."""
    store = SlowStore(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            store.asked.set()
            store.answer.wait(_LONGEST_S)
            url = urlsplit(self.path)
            asked = parse_qs(url.query)
            if url.path == "/content":
                start = int(asked["offset"][0])
                self._reply(200, content[start : start + int(asked["length"][0])])
            elif asked["op"] == ["OPEN"]:
                self._reply(307, b"", f"http://{self.headers['Host']}/content?{url.query}")
            else:
                status = {"type": "FILE", "length": len(content), "pathSuffix": ""}
                self._reply(200, json.dumps({"FileStatus": status}).encode())

        def _reply(self, status: int, body: bytes, location: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if location:
                self.send_header("Location", location)
            # The client may have been stopped while it waited.
            with suppress(ConnectionError):
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    store.location = f"webhdfs://127.0.0.1:{server.server_port}/model.pmml"
    thread = threading.Thread(target=server.serve_forever, name="slow-store", daemon=True)
    thread.start()
    try:
        yield store
    finally:
        store.answer.set()
        server.shutdown()
        server.server_close()
        thread.join()
