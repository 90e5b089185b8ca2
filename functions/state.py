"""Keeps the core's state as bytes in Flink's keyed or broadcast state.

Keyed state is that of the current key. Flink sets the key before each element, so the data type that the core
names is already the current key, except where one row holds the records of several data types.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyflink.datastream import RuntimeContext

from functions.chunks import CHUNK_BYTES, chunks_of
from functions.placement import CurrentKey
from functions.types import (
    ACTIVE_MODEL,
    HISTORY,
    KEPT_MODELS,
    PENDING_CHUNKS,
    PENDING_MODELS,
    SWAP_REPORTS,
    WAITING,
    WAITING_COUNT,
)

__all__ = [
    "BroadcastActiveModels",
    "KeyedActiveModels",
    "KeyedKeptModels",
    "KeyedPendingModels",
    "KeyedSwapReports",
    "KeyedWaitingRecords",
]


class KeyedKeptModels:
    """See ``core.ports.KeptModels``."""

    def __init__(self, context: RuntimeContext) -> None:
        self._history = context.get_state(HISTORY)
        self._models = context.get_map_state(KEPT_MODELS)

    def history(self, data_type: str) -> bytes | None:
        """See ``core.ports.KeptModels``."""
        saved: bytes | None = self._history.value()
        return saved

    def save_history(self, data_type: str, history: bytes) -> None:
        """See ``core.ports.KeptModels``."""
        self._history.update(history)

    def model(self, data_type: str, version: str) -> bytes:
        """See ``core.ports.KeptModels``."""
        saved: bytes = self._models.get(version)
        return saved

    def save_model(self, data_type: str, version: str, model: bytes) -> None:
        """See ``core.ports.KeptModels``."""
        self._models.put(version, model)

    def drop_model(self, data_type: str, version: str) -> None:
        """See ``core.ports.KeptModels``."""
        self._models.remove(version)


class KeyedPendingModels:
    """See ``core.ports.PendingModels``. Large messages are in chunks."""

    def __init__(self, context: RuntimeContext) -> None:
        self._state = context.get_map_state(PENDING_MODELS)
        self._chunks = context.get_map_state(PENDING_CHUNKS)

    def numbers(self, data_type: str) -> Iterable[int]:
        """See ``core.ports.PendingModels``."""
        return list(self._state.keys())

    def get(self, data_type: str, number: int) -> bytes:
        """See ``core.ports.PendingModels``."""
        saved: bytes | int = self._state.get(number)
        if isinstance(saved, bytes):
            return saved
        return b"".join([self._chunks.get(f"{number}/{place}") for place in range(saved)])

    def put(self, data_type: str, number: int, payload: bytes) -> None:
        """See ``core.ports.PendingModels``."""
        if len(payload) <= CHUNK_BYTES:
            self._state.put(number, payload)
            return
        chunks = [chunk for chunk, _ in chunks_of(payload)]
        for place, chunk in enumerate(chunks):
            self._chunks.put(f"{number}/{place}", chunk)
        self._state.put(number, len(chunks))

    def remove(self, data_type: str, number: int) -> None:
        """See ``core.ports.PendingModels``."""
        saved = self._state.get(number)
        for place in range(0 if isinstance(saved, bytes) else saved):
            self._chunks.remove(f"{number}/{place}")
        self._state.remove(number)


class KeyedActiveModels:
    """See ``core.ports.ActiveModels``. Each method first makes its data type the current key."""

    def __init__(self, context: RuntimeContext, key: CurrentKey) -> None:
        self._state = context.get_state(ACTIVE_MODEL)
        self._key = key

    def get(self, data_type: str) -> bytes | None:
        """See ``core.ports.ActiveModels``."""
        self._key.become(data_type)
        saved: bytes | None = self._state.value()
        return saved

    def put(self, data_type: str, model: bytes) -> None:
        """See ``core.ports.ActiveModels``."""
        self._key.become(data_type)
        self._state.update(model)

    def remove(self, data_type: str) -> None:
        """See ``core.ports.ActiveModels``."""
        self._key.become(data_type)
        self._state.clear()


class BroadcastActiveModels:
    """See ``core.ports.ActiveModels``. For each element, set ``state`` to its context's broadcast state."""

    def __init__(self) -> None:
        self.state: Any = None

    def get(self, data_type: str) -> bytes | None:
        """See ``core.ports.ActiveModels``."""
        saved: bytes | None = self.state.get(data_type)
        return saved

    def put(self, data_type: str, model: bytes) -> None:
        """See ``core.ports.ActiveModels``."""
        self.state.put(data_type, model)

    def remove(self, data_type: str) -> None:
        """See ``core.ports.ActiveModels``."""
        self.state.remove(data_type)


class KeyedWaitingRecords:
    """See ``core.ports.WaitingRecords``. Each method first makes its data type the current key."""

    def __init__(self, context: RuntimeContext, key: CurrentKey) -> None:
        self._records = context.get_list_state(WAITING)
        self._count = context.get_state(WAITING_COUNT)
        self._key = key

    def count(self, data_type: str) -> int:
        """See ``core.ports.WaitingRecords``."""
        self._key.become(data_type)
        return self._count.value() or 0

    def add(self, data_type: str, records: bytes, count: int) -> None:
        """See ``core.ports.WaitingRecords``."""
        self._key.become(data_type)
        self._records.add(records)
        self._count.update(count)

    def take(self, data_type: str) -> list[bytes]:
        """See ``core.ports.WaitingRecords``."""
        self._key.become(data_type)
        if not self._count.value():
            return []
        records = list(self._records.get())
        self._records.clear()
        self._count.clear()
        return records


class KeyedSwapReports:
    """See ``core.ports.SwapReports``."""

    def __init__(self, context: RuntimeContext) -> None:
        self._state = context.get_map_state(SWAP_REPORTS)

    def sequences(self, data_type: str) -> Iterable[int]:
        """See ``core.ports.SwapReports``."""
        return list(self._state.keys())

    def get(self, data_type: str, sequence: int) -> bytes | None:
        """See ``core.ports.SwapReports``."""
        saved: bytes | None = self._state.get(sequence)
        return saved

    def put(self, data_type: str, sequence: int, reporters: bytes) -> None:
        """See ``core.ports.SwapReports``."""
        self._state.put(sequence, reporters)

    def remove(self, data_type: str, sequence: int) -> None:
        """See ``core.ports.SwapReports``."""
        self._state.remove(sequence)
