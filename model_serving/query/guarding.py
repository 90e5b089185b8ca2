"""Middleware around every route: which hosts may be asked for, and the headers of every answer."""

from __future__ import annotations

from collections.abc import Collection

from model_serving.query.answers import error_answer
from model_serving.query.asgi import App, Message, Receive, Scope, Send

__all__ = ["LOOPBACK_NAMES", "Guard"]

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

_HEADERS = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
            b"connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
            b"frame-ancestors 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


class Guard:
    """Adds security headers to every answer, and checks the header ``Host``.

    A page of another site can have its own name resolve to this machine and then read what is served here
    (DNS rebinding). Its requests name that site in ``Host``.
    """

    def __init__(self, app: App, hosts: Collection[str] | None, origins: Collection[str]) -> None:
        """``hosts`` are the names by which the server may be asked; None: any.

        ``origins`` are the other sites whose pages may read the answers (CORS); ``*`` stands for all.
        """
        self._app = app
        self._hosts = None if hosts is None else {host.casefold() for host in hosts}
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        allowed = self._allowed_origin(sent.get(b"origin", ""))

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                there = {name.lower() for name, _ in headers}
                own = _HEADERS if allowed else (*_HEADERS, (b"cross-origin-resource-policy", b"same-origin"))
                headers += [header for header in own if header[0] not in there]
                if b"cache-control" not in there:
                    headers.append((b"cache-control", b"no-store"))
                if self._origins:
                    headers.append((b"vary", b"Origin"))
                if allowed:
                    headers.append((b"access-control-allow-origin", allowed.encode("latin-1")))
                message = {**message, "headers": headers}
            await send(message)

        host = _host_name(sent.get(b"host", ""))
        if self._hosts is not None and host not in self._hosts:
            answer = error_answer(
                421,
                "this server is not asked by this name: use localhost, or allow the name with --allow-hosts",
            )
            await answer(scope, receive, send_guarded)
        elif allowed and scope["method"] == "OPTIONS" and b"access-control-request-method" in sent:
            await _preflight(scope, receive, send_guarded)
        else:
            await self._app(scope, receive, send_guarded)

    def _allowed_origin(self, origin: str) -> str:
        return origin if origin and ("*" in self._origins or origin in self._origins) else ""


async def _preflight(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers what a browser asks before it sends a request of another site's page."""
    await send(
        {
            "type": "http.response.start",
            "status": 204,
            "headers": [
                (b"access-control-allow-methods", b"GET, POST, DELETE"),
                (b"access-control-allow-headers", b"Authorization, Content-Type, Last-Event-ID"),
                (b"access-control-max-age", b"600"),
            ],
        }
    )
    await send({"type": "http.response.body", "body": b""})


def _host_name(host: str) -> str:
    """The name in the header ``Host``, without the port and without an IPv6 address's brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].casefold()
    return host.rpartition(":")[0].casefold() if ":" in host else host.casefold()
