"""Where the message of each version is on the models topic, so that it can be loaded when it is asked for.

The topic is read from its beginning, and followed, only after the first question; the contents are not kept.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from model_serving.core.errors import ModelRejected, UnparsableMessage
from model_serving.core.messages import Command, ModelMessage
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.errors import MessagingError
from model_serving.messaging.fetching import message_at
from model_serving.messaging.receiving import Received, Start, TopicReader
from model_serving.query.errors import HttpError
from model_serving.wire import ModelMessages

__all__ = ["ModelIndex"]

_FOR_EACH = 200
"""How many messages are remembered for a data type; the newest ones."""

_DATA_TYPES = 20_000
_LOOK_S = 0.2
_PAUSE_S = 2.0
_NEWS_S = 1.0
"""How long a message that was reported may take to be read here too, in seconds."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A model message: its place, and what it says. Empty is what it leaves to its reader."""

    partition: int
    offset: int
    name: str
    version: str
    sha256: str

    def may_be(self, name: str, version: str, sha256: str) -> bool:
        return (
            self.name == name
            and self.version in ("", version)
            and (not sha256 or self.sha256 in ("", sha256))
        )


class ModelIndex:
    """Finds model messages. Its methods may be called from several threads, and wait for Kafka."""

    def __init__(self, kafka: KafkaAccess, topic: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._messages = ModelMessages()
        self._known: dict[str, deque[_Entry]] = {}
        self._changed = threading.Condition()
        self._is_current = False
        self._failure = ""
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def close(self) -> None:
        """Stops reading."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_PAUSE_S)

    def messages(
        self, data_type: str, name: str, version: str, sha256: str, timeout_s: float
    ) -> Iterator[bytes]:
        """The messages that may have brought this version, the newest first.

        Raises:
            HttpError: the topic is not read to its end yet, or cannot be read; try again.
        """
        end_s = time.monotonic() + timeout_s
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._follow, name="model-index", daemon=True)
                self._thread.start()
            if not self._changed.wait_for(lambda: self._is_current, timeout_s):
                why = f" ({self._failure})" if self._failure else ""
                raise HttpError(
                    503, f"the models topic is still being read{why}: try again", {"Retry-After": "2"}
                )
            self._changed.wait_for(lambda: self._find(data_type, name, version, sha256), _NEWS_S)
            found = self._find(data_type, name, version, sha256)
        for entry in found:
            left_s = max(1.0, end_s - time.monotonic())
            try:
                yield message_at(self._kafka, self._topic, entry.partition, entry.offset, left_s)
            except MessagingError as error:
                raise HttpError(503, str(error), {"Retry-After": "2"}) from error

    def _find(self, data_type: str, name: str, version: str, sha256: str) -> list[_Entry]:
        entries = self._known.get(data_type, ())
        return [entry for entry in reversed(entries) if entry.may_be(name, version, sha256)]

    def _follow(self) -> None:
        while not self._stopping.is_set():
            try:
                with TopicReader(self._kafka, [self._topic], start=Start.BEGINNING) as reader:
                    for received in reader.until_end():
                        self._take(received)
                        if self._stopping.is_set():
                            return
                    with self._changed:
                        self._is_current, self._failure = True, ""
                        self._changed.notify_all()
                    while not self._stopping.is_set():
                        for received in reader.poll(_LOOK_S):
                            self._take(received)
            except MessagingError as error:
                self._failure = str(error)
                self._stopping.wait(_PAUSE_S)

    def _take(self, received: Received) -> None:
        try:
            message = self._messages.open(received.payload).read()
        except (UnparsableMessage, ModelRejected):
            return
        if message.command is not Command.DEPLOY:
            return
        entry = _entry(received, message)
        with self._changed:
            known = self._known.pop(message.data_type, None) or deque(maxlen=_FOR_EACH)
            # Read again after an interruption, a message is not remembered twice.
            if not any((one.partition, one.offset) == (entry.partition, entry.offset) for one in known):
                known.append(entry)
            self._known[message.data_type] = known
            if len(self._known) > _DATA_TYPES:
                self._known.pop(next(iter(self._known)))
            self._changed.notify_all()


def _entry(received: Received, message: ModelMessage) -> _Entry:
    sha256 = message.sha256.lower() if message.data is None else hashlib.sha256(message.data).hexdigest()
    return _Entry(received.partition, received.offset, message.name, message.version or sha256[:12], sha256)
