"""What has changed, for clients that follow it: numbered, and held once for all of them.

A client that is slow or comes back asks for what is newer than the last number it has. It gets the present
state of each data type that changed, not each state in between, so nothing piles up for it.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from model_serving.query.encoding import Json
from model_serving.query.ports import Change, Happening, Known

__all__ = ["Event", "EventHub"]

_LETTERS = 500
"""How many dead letters are held for clients that come back."""

_DATA_TYPES = 40_000
"""For how many data types and kinds the last change is held."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event to send. Without a ``letter``, the present state of the data type is to be sent."""

    number: int
    kind: Happening
    data_type: str
    letter: Callable[[], Json] | None = None


class EventHub:
    """Numbers what changes, and wakes those who wait for it. Changes come from any thread."""

    def __init__(self, known: Known) -> None:
        # A number says nothing to another process: it is sent together with this name.
        self.run = secrets.token_hex(4)
        self.known = known
        self.streams = 0
        self._lock = threading.Lock()
        self._number = 0
        self._forgotten = 0
        self._latest: dict[tuple[Happening, str], int] = {}
        self._letters: deque[Event] = deque(maxlen=_LETTERS)
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._closed = False
        self._forget: Callable[[], None] = known.listen(self._heard)

    @property
    def number(self) -> int:
        """The number of the last change."""
        return self._number

    @property
    def is_closed(self) -> bool:
        """Whether every stream should end."""
        return self._closed

    def close(self) -> None:
        """Ends every stream."""
        self._forget()
        with self._lock:
            self._closed = True
        self._wake()

    def since(self, number: int, only: Collection[str] = ()) -> tuple[list[Event], int] | None:
        """What changed after ``number``, in this order, and up to which number; None if some is forgotten.

        ``only``: the data types that are asked for; empty: all.
        """
        with self._lock:
            if number < self._forgotten or number > self._number:
                return None
            found, last = list(self._newer(number)), self._number
        wanted = [event for event in found if not only or event.data_type in only]
        return sorted(wanted, key=lambda event: event.number), last

    async def wait(self, number: int, timeout_s: float) -> None:
        """Waits for a change after ``number``, or the end of the hub; at most ``timeout_s`` seconds."""
        woken = asyncio.Event()
        waiting = (asyncio.get_running_loop(), woken)
        with self._lock:
            if self._number > number or self._closed:
                return
            self._waiting.add(waiting)
        try:
            await asyncio.wait_for(woken.wait(), timeout_s)
        except TimeoutError:
            return
        finally:
            with self._lock:
                self._waiting.discard(waiting)

    def _newer(self, number: int) -> Iterator[Event]:
        for (kind, data_type), last in reversed(self._latest.items()):
            if last <= number:
                break
            yield Event(last, kind, data_type)
        for event in reversed(self._letters):
            if event.number <= number:
                break
            yield event

    def _heard(self, changes: Sequence[Change]) -> None:
        with self._lock:
            for change in changes:
                self._number += 1
                if change.letter is None:
                    key = (change.kind, change.data_type)
                    # Taken out first, so that the newest change is the last entry.
                    self._latest.pop(key, None)
                    self._latest[key] = self._number
                    if len(self._latest) > _DATA_TYPES:
                        self._forgotten = self._latest.pop(next(iter(self._latest)))
                else:
                    if len(self._letters) == _LETTERS:
                        self._forgotten = max(self._forgotten, self._letters[0].number)
                    self._letters.append(Event(self._number, change.kind, change.data_type, change.letter))
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, set()
        for loop, woken in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(woken.set)
