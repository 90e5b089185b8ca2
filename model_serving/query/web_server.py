"""Runs an application as a web server, in a thread with an event loop of its own."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any, cast

import uvicorn

from model_serving.messaging.errors import MessagingError
from model_serving.query.asgi import App

__all__ = ["WebServer"]

_HEADER_BYTES = 2 << 20
"""The largest head of a request: a data type of 100,000 characters takes 1.2 MB in a path."""

_CONNECTIONS = 1_000
_UNREAD_MS = 30_000
"""How long sent data may stay unread before the system ends the connection."""

_GRACE_S = 2
_END_S = 4.0


class WebServer:
    """A web server. Call ``start``, then ``stop``.

    Raises:
        MessagingError: the address cannot be used.
    """

    def __init__(self, app: App, host: str, port: int, *, flag: str) -> None:
        """``flag`` names the port in errors; port 0 takes a free one."""
        self._socket = _bound(host, port, flag)
        self.host, self.port = self._socket.getsockname()[:2]
        self._server = uvicorn.Server(
            uvicorn.Config(
                cast("Any", app),
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=_CONNECTIONS,
                h11_max_incomplete_event_size=_HEADER_BYTES,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="web-server", daemon=True
        )

    @property
    def url(self) -> str:
        """The address for people; ``localhost`` where the server listens on every address."""
        shown = "localhost" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104 - only compared
        return f"http://{f'[{shown}]' if ':' in shown else shown}:{self.port}"

    @property
    def is_running(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Answers requests from now on."""
        self._thread.start()

    def stop(self, before: Callable[[], None]) -> None:
        """Ends within 4 seconds. ``before`` ends what would go on for ever, such as event streams."""
        before()
        self._server.should_exit = True
        self._thread.join(_END_S)
        self._socket.close()


def _bound(host: str, port: int, flag: str) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            # A client that reads nothing would keep a connection, and what is sent to it, for ever.
            # Only Linux has this.
            with contextlib.suppress(AttributeError, OSError):
                bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)
            bound.bind(address)
            bound.listen(128)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        why = error.strerror or str(error)
        raise MessagingError(
            f"{flag} {port} at {host or 'all addresses'} cannot be used ({why}): choose another"
        ) from (error)
    return bound
