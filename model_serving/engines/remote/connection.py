"""One connection to a model server, kept open between requests.

It uses ``http.client``, which does what it is told and nothing else: no redirects, no proxies from the
environment, no cookies, no decompression. So a request goes to the location's host or nowhere, and an answer
is read up to a number of bytes and until a deadline, however it is sent.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field

from model_serving.core.model_servers.location import ServedLocation

__all__ = ["Answer", "Connection", "Request", "TooLong", "secure_context"]

_CHUNK = 1 << 16
_CONNECT_S = 3.0
"""The longest that one attempt to connect takes, in seconds: a host that is down often does not answer."""


class TooLong(Exception):
    """An answer has more bytes than are read."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request: GET without a ``body``, else POST of JSON. At most ``most_bytes`` of the answer are read."""

    path: str
    body: bytes | None = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    most_bytes: int


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer. ``retry_after_s`` is what the server asks for in ``Retry-After``, None if nothing."""

    status: int
    body: bytes = field(repr=False)
    retry_after_s: float | None = None


def secure_context(ca_file: str) -> ssl.SSLContext:
    """How servers prove who they are: by the system's authorities, or by those in ``ca_file``.

    Raises:
        OSError: the file cannot be read, or has no certificate in it (``ssl.SSLError``).
    """
    return ssl.create_default_context(cafile=ca_file or None)


class Connection:
    """A connection to a host. Requests come one at a time; ``cut`` may be called from another thread."""

    def __init__(self, location: ServedLocation, context: ssl.SSLContext | None) -> None:
        """``context`` is needed for ``https`` only."""
        self._http: http.client.HTTPConnection
        if location.is_secure:
            self._http = http.client.HTTPSConnection(location.host, location.port, context=context)
        else:
            self._http = http.client.HTTPConnection(location.host, location.port)
        self._is_used = False

    def ask(self, request: Request, deadline_s: float) -> Answer:
        """Sends a request and reads its answer, until ``deadline_s`` of ``time.monotonic``.

        A server may have closed a connection that was idle; then the request is sent again at once on a new
        one.

        Raises:
            OSError: the server is out of reach, or takes too long (``TimeoutError``).
            http.client.HTTPException: what comes is not HTTP, or ends in the middle.
            TooLong: the answer is too long.
        """
        try:
            if self._is_used:
                with suppress(ConnectionError, http.client.BadStatusLine):
                    return self._ask(request, deadline_s)
                self.close()
            return self._ask(request, deadline_s)
        except BaseException:
            self.close()
            raise

    def cut(self) -> None:
        """Ends a request that is under way: the thread in ``ask`` gets an error."""
        sock = self._http.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Closes the connection; the next request opens it again."""
        self._is_used = False
        self._http.close()

    def _ask(self, request: Request, deadline_s: float) -> Answer:
        if self._http.sock is None:
            self._http.timeout = min(_CONNECT_S, _left_s(deadline_s))
            self._http.connect()
        self._http.sock.settimeout(_left_s(deadline_s))
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", **request.headers}
        if request.body is None:
            self._http.request("GET", request.path, headers=headers)
        else:
            headers["Content-Type"] = "application/json"
            self._http.request("POST", request.path, request.body, headers)
        with self._http.getresponse() as response:
            body = self._read(response, request.most_bytes, deadline_s)
            self._is_used = not response.will_close
            return Answer(response.status, body, _seconds(response.getheader("Retry-After")))

    def _read(self, response: http.client.HTTPResponse, most_bytes: int, deadline_s: float) -> bytes:
        if response.length is not None and response.length > most_bytes:
            raise TooLong(f"its answer has {response.length} bytes, more than {most_bytes}")
        parts, size = [], 0
        # Not `read`, which waits until all of it is there, each part within a time-out of its own.
        while part := response.read1(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > most_bytes:
                raise TooLong(f"its answer has more than {most_bytes} bytes")
            _left_s(deadline_s)
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        return b"".join(parts)


def _left_s(deadline_s: float) -> float:
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("it takes too long")
    return left_s


def _seconds(text: str | None) -> float | None:
    """``Retry-After`` in seconds (RFC 9110, 10.2.3); a date is not read."""
    return float(text) if text and text.isascii() and text.isdecimal() and len(text) < 6 else None
