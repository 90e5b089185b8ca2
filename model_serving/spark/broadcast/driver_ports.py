"""The core's ports over the driver's state."""

from __future__ import annotations

from model_serving.core.batches import UNKNOWN_ORIGIN
from model_serving.core.state import (
    decode_activation,
    decode_waiting,
    encode_model,
    encode_payloads,
)
from model_serving.spark.broadcast.driver_state import DriverState, Key, Kind

__all__ = ["ActiveOnDriver", "KeptOnDriver", "PendingOnDriver", "WaitingOnDriver"]


_TOGETHER = 1_000
"""Entries of waiting records are joined up to about this number of records."""


class KeptOnDriver:
    """See ``core.ports.KeptModels``."""

    def __init__(self, state: DriverState) -> None:
        self._state = state

    def history(self, data_type: str) -> bytes | None:
        """See ``core.ports.KeptModels``."""
        return self._state.get(Key(Kind.HISTORY, data_type))

    def save_history(self, data_type: str, history: bytes) -> None:
        """See ``core.ports.KeptModels``."""
        self._state.put(Key(Kind.HISTORY, data_type), history)

    def model(self, data_type: str, version: str) -> bytes:
        """See ``core.ports.KeptModels``."""
        return _there(self._state.get(Key(Kind.KEPT, data_type, version)), version)

    def save_model(self, data_type: str, version: str, model: bytes) -> None:
        """See ``core.ports.KeptModels``."""
        self._state.put(Key(Kind.KEPT, data_type, version), model)

    def drop_model(self, data_type: str, version: str) -> None:
        """See ``core.ports.KeptModels``."""
        self._state.delete(Key(Kind.KEPT, data_type, version))


class PendingOnDriver:
    """See ``core.ports.PendingModels``."""

    def __init__(self, state: DriverState) -> None:
        self._state = state

    def numbers(self, data_type: str) -> list[int]:
        """See ``core.ports.PendingModels``."""
        return [int(key.item) for key in self._state.keys(Kind.PENDING, data_type)]

    def get(self, data_type: str, number: int) -> bytes:
        """See ``core.ports.PendingModels``."""
        return _there(self._state.get(Key(Kind.PENDING, data_type, str(number))), number)

    def put(self, data_type: str, number: int, payload: bytes) -> None:
        """See ``core.ports.PendingModels``."""
        self._state.put(Key(Kind.PENDING, data_type, str(number)), payload)

    def remove(self, data_type: str, number: int) -> None:
        """See ``core.ports.PendingModels``."""
        self._state.delete(Key(Kind.PENDING, data_type, str(number)))


class ActiveOnDriver:
    """See ``core.ports.ActiveModels``: read from the activations that were carried out.

    Set ``Kind.ORDER`` before a desk carries out an activation; the desk's own writes change nothing.
    """

    def __init__(self, state: DriverState) -> None:
        self._state = state

    def get(self, data_type: str) -> bytes | None:
        """See ``core.ports.ActiveModels``."""
        order = self._state.get(Key(Kind.ORDER, data_type))
        model = None if order is None else decode_activation(order).model
        return None if model is None else encode_model(model)

    def put(self, data_type: str, model: bytes) -> None:
        """Does nothing."""

    def remove(self, data_type: str) -> None:
        """Does nothing."""


class WaitingOnDriver:
    """See ``core.ports.WaitingRecords``."""

    def __init__(self, state: DriverState) -> None:
        self._state = state
        # Data type → how many wait, the number of the last entry, and how many records that has.
        self._counts: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self._in_last: dict[str, int] = {}
        for key in sorted(state.keys(Kind.WAITING), key=_place):
            number, count = _place(key)
            self._counts[key.data_type] = self._counts.get(key.data_type, 0) + count
            self._last[key.data_type], self._in_last[key.data_type] = number, count

    @property
    def data_types(self) -> list[str]:
        """The data types whose records wait."""
        return list(self._counts)

    def count(self, data_type: str) -> int:
        """See ``core.ports.WaitingRecords``."""
        return self._counts.get(data_type, 0)

    def add(self, data_type: str, records: bytes, count: int) -> None:
        """See ``core.ports.WaitingRecords``."""
        number, added = self._last.get(data_type, 0), count - self.count(data_type)
        last = Key(Kind.WAITING, data_type, f"{number}/{self._in_last.get(data_type, 0)}")
        before = self._state.get(last)
        if before is not None and self._in_last[data_type] < _TOGETHER:
            # At a low rate records come one by one, and each would be an entry of its own.
            self._state.delete(last)
            records, added = _joined(before, records), added + self._in_last[data_type]
        else:
            number += 1
        self._state.put(Key(Kind.WAITING, data_type, f"{number}/{added}"), records)
        self._counts[data_type], self._last[data_type], self._in_last[data_type] = count, number, added

    def take(self, data_type: str) -> list[bytes]:
        """See ``core.ports.WaitingRecords``."""
        keys = sorted(self._state.keys(Kind.WAITING, data_type), key=_place)
        taken = [_there(self._state.get(key), key.item) for key in keys]
        for key in keys:
            self._state.delete(key)
        self._counts.pop(data_type, None)
        self._last.pop(data_type, None)
        self._in_last.pop(data_type, None)
        return taken


def _place(key: Key) -> tuple[int, int]:
    """The number of an entry of waiting records, and how many records it has."""
    number, _, count = key.item.partition("/")
    return int(number), int(count)


def _joined(before: bytes, after: bytes) -> bytes:
    payloads: list[bytes] = []
    origins: list[int] = []
    for records in (before, after):
        some, known = decode_waiting(records)
        payloads += some
        origins += [UNKNOWN_ORIGIN] * len(some) if known is None else known
    return encode_payloads(payloads, origins)


def _there(value: bytes | None, what: object) -> bytes:
    if value is None:
        raise KeyError(what)
    return value
