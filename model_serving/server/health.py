"""Tells over HTTP whether a server lives and serves, for whatever starts and watches it."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from model_serving.messaging.errors import MessagingError

__all__ = ["Health", "serve_health"]

_STUCK_S = 60.0
"""How long one round of the serving loop may take. Loading a model at its first record takes seconds."""


class Health:
    """What the serving loop says about itself."""

    def __init__(self) -> None:
        self._round_s = time.monotonic()
        self._reads = False

    def tick(self, *, reads: bool) -> None:
        """The loop has made a round; ``reads``: it has joined the group and knows the state."""
        self._round_s = time.monotonic()
        self._reads = reads

    def problem(self, path: str) -> str | None:
        """What is wrong, for ``/healthz`` or ``/readyz``; empty if nothing is; None for another path."""
        if path not in {"/healthz", "/readyz"}:
            return None
        silent_s = time.monotonic() - self._round_s
        if silent_s > _STUCK_S:
            return f"the serving loop has not come round for {silent_s:.0f} s"
        if path == "/readyz" and not self._reads:
            return "it does not serve yet"
        return ""


def serve_health(health: Health, port: int) -> ThreadingHTTPServer:
    """Answers ``GET /healthz`` and ``GET /readyz`` with 200, or 503 and the reason. Shut it down at the end.

    Raises:
        MessagingError: the port cannot be used.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            problem = health.problem(self.path)
            body = f"{'ok' if problem == '' else problem or 'not found'}\n".encode()
            self.send_response(200 if problem == "" else 404 if problem is None else 503)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Writes nothing: a health check a second would fill the log."""

    try:
        server = ThreadingHTTPServer(("", port), Handler)
    except OSError as error:
        raise MessagingError(
            f"--http-port {port} cannot be used ({error.strerror}): choose another"
        ) from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
