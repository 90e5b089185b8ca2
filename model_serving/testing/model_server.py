"""A model server for tests: TensorFlow Serving's REST API and the Open Inference Protocol v2.

It answers as the real servers do: status, metadata, predictions in row and column form, ``{"b64": …}``, NaN
as a token, errors as ``{"error": "…"}``. It scores by any callable, and can be told to be slow, to fail, to
answer wrongly, to hang and to go away::

    with FakeModelServer(ServedModel("wine", {"x": tensor}, {"y": tensor}, score)) as server:
        server.tfserving("wine")  # http://127.0.0.1:PORT/v1/models/wine

Sources: https://www.tensorflow.org/tfx/serving/api_rest and
https://github.com/kserve/open-inference-protocol, "HTTP/REST".
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from model_serving.testing.served_model import Refused, ServedModel
from model_serving.testing.serving_protocols import answered

__all__ = ["Asked", "Behaviour", "FakeModelServer", "ServedModel"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the server does with requests whose path contains ``path``.

    ``delay_s``: it takes so long. ``status`` and ``body``: it answers this. ``headers`` are added.
    ``cut_after``: it closes the connection after so many bytes of the body. ``hang``: it does not answer
    until it is told to behave otherwise. ``drip_s``: it sends a byte of the body in so many seconds.
    ``times``: only for so many requests; None: for all.
    """

    path: str = ""
    delay_s: float = 0.0
    status: int | None = None
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    hang: bool = False
    drip_s: float = 0.0
    times: int | None = None


class FakeModelServer:
    """A server on 127.0.0.1. It listens inside of a ``with`` block, or between ``start`` and ``stop``."""

    def __init__(self, *models: ServedModel, tls: ssl.SSLContext | None = None, delay_s: float = 0.0) -> None:
        """``delay_s`` is how long scoring takes beyond what the callable takes."""
        self.models = {model.name: model for model in models}
        self.port = 0
        self.asked: list[Asked] = []
        self._tls = tls
        self._delay_s = delay_s
        self._behaviour = Behaviour()
        self._left: int | None = None
        self._changed = threading.Condition()
        self._listening: _Listening | None = None

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``, without a slash at the end."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def tfserving(self, name: str) -> str:
        """The location of a model in TensorFlow Serving's API."""
        return f"{self.url}/v1/models/{name}"

    def openinference(self, name: str) -> str:
        """The location of a model in the Open Inference Protocol."""
        return f"{self.url}/v2/models/{name}"

    def behave(self, behaviour: Behaviour | None = None) -> None:
        """Behaves otherwise from the next request on; None: as a good server does. Ends all hanging."""
        with self._changed:
            self._behaviour = behaviour or Behaviour()
            self._left = self._behaviour.times
            self._changed.notify_all()

    def start(self) -> None:
        """Listens: on a free port, or again on the one before."""
        self._listening = _Listening(self)
        self.port = self._listening.server_address[1]
        threading.Thread(target=self._listening.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Goes away: connections are closed, and new ones are refused."""
        listening, self._listening = self._listening, None
        if listening is not None:
            self.behave()
            listening.go_away()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def told(self, path: str) -> Behaviour:
        """What to do with a request; waits while it is to hang."""
        with self._changed:
            while True:
                behaviour = self._behaviour
                if behaviour.path not in path or self._left == 0:
                    return Behaviour()
                if not behaviour.hang:
                    break
                self._changed.wait()
            if self._left is not None:
                self._left -= 1
            return behaviour

    def score(self, asked: Asked) -> tuple[int, bytes]:
        """The status and the body that a good server answers."""
        try:
            status, body = 200, answered(self.models, asked.method, asked.path, asked.body)
        except Refused as refused:
            status, body = refused.status, refused.body
        if self._delay_s and asked.method == "POST":
            time.sleep(self._delay_s)
        return status, body


class _Listening(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, server: FakeModelServer) -> None:
        self.server = server
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", server.port), _Handler)
        if server._tls is not None:  # noqa: SLF001 - the two classes are one thing
            self.socket = server._tls.wrap_socket(self.socket, server_side=True)  # noqa: SLF001

    def process_request(self, request: object, client_address: object) -> None:
        if isinstance(request, socket.socket):
            request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.add(request)
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def shutdown_request(self, request: object) -> None:
        self._open.discard(request)
        super().shutdown_request(request)  # type: ignore[arg-type]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no news."""

    def go_away(self) -> None:
        self.shutdown()
        self.server_close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # a whole answer in one packet

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *words: object) -> None:
        """Tests read no logs."""

    def _answer(self) -> None:
        listening = self.server
        assert isinstance(listening, _Listening)
        fake = listening.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = Asked(self.command, self.path, dict(self.headers.items()), body)
        fake.asked.append(asked)
        told = fake.told(self.path)
        if told.delay_s:
            time.sleep(told.delay_s)
        status, content = fake.score(asked) if told.status is None else (told.status, b"")
        if told.body is not None:
            content = told.body
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in told.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if told.cut_after is not None:
            self.wfile.write(content[: told.cut_after])
            self.close_connection = True
        elif told.drip_s:
            for byte in content:
                self.wfile.write(bytes((byte,)))
                self.wfile.flush()
                time.sleep(told.drip_s)
        else:
            self.wfile.write(content)
