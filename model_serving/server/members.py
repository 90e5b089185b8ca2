"""Who serves, as the state topic tells: members register there, and show now and then that they live."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from uuid import uuid4

from confluent_kafka import KafkaException

from model_serving.server.entries import Entry, Key, Kind
from model_serving.server.mirror import Change, Mirror
from model_serving.server.ports import EntrySender

__all__ = ["ALIVE_S", "Members", "Registration", "Signs"]

_EVERY_S = 2.0
_LOOK_S = 0.5
_HUNG_S = 600.0
"""After so long without a round, Kafka gives the partitions of a member to others (max.poll.interval.ms)."""

_GONE_S = 3_600.0
ALIVE_S = 12.0
"""How long a member counts as alive after its last sign. Longer than Kafka waits before it gives the
partitions of a dead member to others, so a member that may still score is never left out."""


class Registration:
    """This member's entry. ``Signs`` calls ``sign`` often; call ``leave`` at the end.

    Make it before the state topic is read: what it has of this name is of processes before this one.
    """

    def __init__(self, name: str, sender: EntrySender, mirror: Mirror) -> None:
        self._key = Key(Kind.MEMBER, "", name)
        self._sender = sender
        self._mirror = mirror
        self._start = uuid4().hex
        self._before: set[str] = set()
        self._since: int | None = None
        self._next_s = 0.0
        self.is_taken_over = False
        """Whether another process has registered with the same name later."""
        mirror.listen(self._changed)

    def sign(self, now_s: float) -> None:
        """Shows that this member lives, if it is time to."""
        if now_s >= self._next_s:
            self._next_s = now_s + _EVERY_S
            entry = {"start": self._start} | ({} if self._since is None else {"since": self._since})
            self._sender.send([Entry(self._key, json.dumps(entry).encode())])

    @property
    def is_known(self) -> bool:
        """Whether the registration has come back from the state topic."""
        return self._since is not None

    @property
    def since(self) -> int:
        """The offset of the state topic where this member registered.

        Raises:
            RuntimeError: the registration has not come back yet.
        """
        if self._since is None:
            raise RuntimeError("the registration is not known yet")
        return self._since

    def leave(self) -> None:
        """Removes this member's entry."""
        self._mirror.forget(self._changed)
        if not self.is_taken_over:
            self._sender.send([Entry(self._key, None)])

    def _changed(self, changes: list[Change]) -> None:
        for change in changes:
            if change.key != self._key or not change.value:
                continue
            start = json.loads(change.value)["start"]
            if start == self._start:
                self._since = change.offset if self._since is None else self._since
            elif self._since is None:
                self._before.add(start)
            elif start not in self._before:
                self.is_taken_over = True


class Signs(threading.Thread):
    """Shows in a thread of its own that this member lives.

    A round of serving may take longer than a member may be silent: it loads a model, or waits for a model
    server. Meanwhile the member keeps its partitions and its old models, so others must go on to count it.
    """

    def __init__(self, registration: Registration, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__(name="signs", daemon=True)
        self._registration = registration
        self._monotonic_s = monotonic_s
        self._ended = threading.Event()
        self._round_s = monotonic_s()

    def tick(self) -> None:
        """Call it in each round of serving."""
        self._round_s = self._monotonic_s()

    def look(self) -> None:
        """Gives a sign if it is time to, unless this member hangs.

        Raises:
            KafkaException: an earlier message was not delivered.
        """
        now_s = self._monotonic_s()
        if now_s - self._round_s <= _HUNG_S:
            self._registration.sign(now_s)

    def run(self) -> None:
        """Gives signs until ``stop`` is called, or the state topic takes nothing any more."""
        try:
            self.look()
            while not self._ended.wait(_LOOK_S):
                self.look()
        except KafkaException:
            # The serving thread uses the same sender, and says so.
            return

    def stop(self) -> None:
        """Ends the thread."""
        self._ended.set()
        self.join()


class Members:
    """The members that live: name → the offset of the state topic where the member registered.

    The state topic has one order for everybody. A member that registered before an activation must say that
    it has carried it out; one that registered after has read it before its first record.
    """

    def __init__(self, mirror: Mirror, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._mirror = mirror
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._members: dict[str, tuple[str, int, float]] = {}
        with mirror.changed:
            for key in mirror.keys(Kind.MEMBER):
                value, offset = mirror.get(key), mirror.offset(key)
                if value is not None and offset is not None:
                    self._note(key.item, value, offset)
            mirror.listen(self._changed)

    def gone(self) -> list[str]:
        """Members that have given no sign for an hour, each once: they were killed and do not come back."""
        now_s = self._monotonic_s()
        with self._lock:
            gone = [name for name, (_, _, seen_s) in self._members.items() if now_s - seen_s > _GONE_S]
            for name in gone:
                del self._members[name]
        return gone

    def before(self, offset: int) -> set[str]:
        """The living members that registered before this offset."""
        now_s = self._monotonic_s()
        with self._lock:
            return {
                name
                for name, (_, since, seen_s) in self._members.items()
                if since < offset and now_s - seen_s <= ALIVE_S
            }

    def close(self) -> None:
        """Stops listening."""
        self._mirror.forget(self._changed)

    def _changed(self, changes: list[Change]) -> None:
        for change in changes:
            if change.key.kind is not Kind.MEMBER:
                continue
            if change.value is None:
                with self._lock:
                    self._members.pop(change.key.item, None)
            else:
                self._note(change.key.item, change.value, change.offset)

    def _note(self, name: str, value: bytes, offset: int) -> None:
        entry = json.loads(value)
        with self._lock:
            start, since, _ = self._members.get(name, ("", 0, 0.0))
            if start != entry["start"]:
                since = entry.get("since", offset)
            self._members[name] = (entry["start"], since, self._monotonic_s())
