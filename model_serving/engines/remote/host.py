"""One model server: a few connections, each with a thread of its own, that all its models share.

A request that may succeed later is repeated with growing pauses until its deadline: when the server refuses
or resets the connection, does not answer in time, or answers 429, 502, 503 or 504. Scoring changes nothing on
the server, so a request may be repeated even if it may have arrived. Every other answer is given to the
caller, whatever its status.
"""

from __future__ import annotations

import http.client
import queue
import random
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from model_serving.core.model_servers.location import ServedLocation
from model_serving.engines.foreign_errors import first_line
from model_serving.engines.remote.breaker import Breaker
from model_serving.engines.remote.connection import Answer, Connection, Request, TooLong

__all__ = ["Call", "Host", "OutOfReach"]

REQUESTS_AT_ONCE = 4
"""How many requests to a server are under way at the same time."""

_RETRIED = frozenset({429, 502, 503, 504})
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0
_GRACE_S = 0.25
"""How long after its deadline a request that still runs is cut off."""


class OutOfReach(Exception):
    """A server did not answer a request until its deadline. The text says why.

    ``of_model``: the server is there, but says that this model is not available now.
    """

    def __init__(self, why: str, *, of_model: bool = False) -> None:
        super().__init__(why)
        self.of_model = of_model


class Call:
    """A request that is under way."""

    def __init__(self, request: Request, deadline_s: float, *, once: bool) -> None:
        """``once``: it is not repeated."""
        self.request = request
        self.deadline_s = deadline_s
        self.once = once
        self._done = threading.Event()
        self._outcome: Answer | OutOfReach | TooLong | None = None
        self._connection: Connection | None = None
        # The last attempt may have hardly any time left. What the server said before then tells more.
        self._said: OutOfReach | None = None

    def answer(self) -> Answer:
        """Waits for the answer, until a little after the deadline.

        Raises:
            OutOfReach: there was none.
            TooLong: it has too many bytes.
        """
        left_s = self.deadline_s + _GRACE_S - time.monotonic()
        if not self._done.wait(max(0.0, left_s)):
            # A server may send a byte now and then for ever, and each of them within the time-out of a read.
            connection = self._connection
            if connection is not None:
                connection.cut()
            raise self._said or OutOfReach("it does not answer in time")
        if isinstance(self._outcome, Answer):
            return self._outcome
        raise self._outcome or OutOfReach("the connection was closed")

    def run(self, connection: Connection, closing: threading.Event) -> None:
        """Sends the request, and repeats it as long as that may help."""
        self._connection = connection
        try:
            self._outcome = self._answered(connection, closing)
        except (OutOfReach, TooLong) as error:
            self._outcome = error
        except Exception as error:  # noqa: BLE001 - the caller waits, and this thread has to go on
            self._outcome = OutOfReach(f"{type(error).__name__}: {first_line(error)}")
        finally:
            self._connection = None
            self._done.set()

    def give_up(self) -> None:
        """Ends a request that no thread has begun with."""
        self._done.set()

    def _answered(self, connection: Connection, closing: threading.Event) -> Answer:
        attempt = 0
        while True:
            asked_s: float | None = None
            try:
                answer = connection.ask(self.request, self.deadline_s)
                if answer.status not in _RETRIED:
                    return answer
                failed = self._said = OutOfReach(f"it answers {answer.status}", of_model=True)
                asked_s = answer.retry_after_s
            except TimeoutError as error:
                failed = self._said or OutOfReach(_told(error))
            except (OSError, http.client.HTTPException) as error:
                failed, self._said = OutOfReach(_told(error)), None
            pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(attempt, 10))
            pause_s = max(pause_s * random.uniform(0.5, 1.5), asked_s or 0.0)  # noqa: S311 - no secret
            if self.once or time.monotonic() + pause_s >= self.deadline_s or closing.wait(pause_s):
                raise failed
            attempt += 1


class Host:
    """A model server that models are scored by. Use ``send``, and ``close`` at the end.

    ``breaker`` is open while the server cannot be reached at all.
    """

    def __init__(self, location: ServedLocation, context: ssl.SSLContext | None) -> None:
        """``location`` is that of any of its models; ``context`` is needed for ``https`` only."""
        self.breaker = Breaker()
        self._location = location
        self._context = context
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._threads = 0
        self._under_way = 0

    def send(self, requests: Sequence[Request], deadline_s: float, *, once: bool = False) -> list[Call]:
        """Sends requests, several at the same time, until ``deadline_s`` of ``time.monotonic``.

        ``once``: requests that fail are not repeated.
        """
        calls = [Call(request, deadline_s, once=once) for request in requests]
        with self._lock:
            self._under_way += len(calls)
            # Threads start when there is work for them, because most servers have few models and records.
            while self._threads < min(self._under_way, REQUESTS_AT_ONCE):
                self._threads += 1
                threading.Thread(target=self._work, name="ask-model-server", daemon=True).start()
        for call in calls:
            self._calls.put(call)
        return calls

    def close(self) -> None:
        """Gives up requests that are under way, and closes the connections."""
        self._closing.set()
        with self._lock:
            threads = self._threads
        for _ in range(threads):
            self._calls.put(None)

    def _work(self) -> None:
        connection = Connection(self._location, self._context)
        while (call := self._calls.get()) is not None:
            if self._closing.is_set():
                call.give_up()
            else:
                call.run(connection, self._closing)
            with self._lock:
                self._under_way -= 1
        connection.close()


def _told(error: Exception) -> str:
    """Why a server is out of reach, in a few words."""
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "it refuses the connection"
    if isinstance(error, (ConnectionError, http.client.RemoteDisconnected, http.client.IncompleteRead)):
        return "it closes the connection"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({first_line(error.verify_message)})"
    with suppress(AttributeError):
        return first_line(error.strerror) if error.strerror else first_line(error)  # type: ignore[attr-defined]
    return f"it does not speak HTTP ({type(error).__name__})"
