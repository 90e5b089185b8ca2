"""The model store that needs nothing but Kafka: contents of models are entries of the state topic."""

from __future__ import annotations

import threading

from confluent_kafka import KafkaException

from model_serving.core.model_store import StoreFailed
from model_serving.server.entries import Entry, Key, Kind
from model_serving.server.mirror import Mirror
from model_serving.server.ports import EntrySender

__all__ = ["ContentsInState"]

_PATIENCE_S = 30.0


class ContentsInState:
    """See ``core.model_store.ModelStore``. An object never changes, so it may be written at any time."""

    def __init__(self, mirror: Mirror, sender: EntrySender, topic: str) -> None:
        self._mirror = mirror
        self._sender = sender
        self._topic = topic
        self._lock = threading.Lock()
        # Paths whose deletion the mirror may not have shown yet.
        self._deleted: set[str] = set()

    @property
    def mostly_waits(self) -> bool:
        """See ``core.model_store.ModelStore``. A content is compressed here, and Kafka works on it too."""
        return False

    def put(self, path: str, content: bytes) -> None:
        """See ``core.model_store.ModelStore``."""
        key = Key(Kind.CONTENT, "", path)
        # One at a time: each waits until Kafka has it, and many together would fill the sender's queue.
        with self._lock:
            if path not in self._deleted and self._mirror.get(key) == content:
                return
            self._deleted.discard(path)
            try:
                self._sender.send([Entry(key, content)])
            except KafkaException as error:
                raise StoreFailed(f"the state topic '{self._topic}' takes nothing ({error})") from error
            if not self._sender.flush(_PATIENCE_S):
                raise StoreFailed(f"the state topic '{self._topic}' takes nothing for {_PATIENCE_S:g} s")

    def get(self, path: str) -> bytes:
        """See ``core.model_store.ModelStore``."""
        content = self._mirror.get(Key(Kind.CONTENT, "", path))
        if content is None:
            raise FileNotFoundError(path)
        return content

    def delete(self, path: str) -> None:
        """See ``core.model_store.ModelStore``."""
        key = Key(Kind.CONTENT, "", path)
        with self._lock:
            self._deleted.add(path)
            try:
                self._sender.send([Entry(key, None, max(1, self._mirror.parts(key)))])
            except KafkaException as error:
                raise StoreFailed(f"the state topic '{self._topic}' takes nothing ({error})") from error

    def __str__(self) -> str:
        """See ``core.model_store.ModelStore``."""
        return f"the state topic '{self._topic}'"
