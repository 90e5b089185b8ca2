"""Keeps the core's state as bytes in the state of Spark's ``transformWithState``.

Spark's state is that of the key whose rows it has given. What a batch reads every time is one small value
(``Care``); the contents of models are read one by one, and only where a model is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from model_serving.spark.keyed.care import Care, decode_care, encode_care, new_mark

__all__ = [
    "ActiveInSpark",
    "Handles",
    "KeptInSpark",
    "KeyedState",
    "ListHandle",
    "MapHandle",
    "PendingInSpark",
    "TimerHandle",
    "ValueHandle",
    "WaitingInSpark",
]


class ValueHandle(Protocol):
    """The methods of Spark's ``ValueState`` that are used here. Values are tuples of one element."""

    def get(self) -> tuple[bytes] | None:
        """The value; None if there is none."""
        ...

    def update(self, newValue: tuple[bytes]) -> None:  # noqa: N803 - Spark's name
        """Replaces the value."""
        ...

    def clear(self) -> None:
        """Removes the value."""
        ...


class MapHandle(Protocol):
    """The methods of Spark's ``MapState`` that are used here."""

    def getValue(self, key: tuple[object]) -> tuple[bytes] | None:  # noqa: N802 - Spark's name
        """The value of a key; None if there is none."""
        ...

    def updateValue(self, key: tuple[object], value: tuple[bytes]) -> None:  # noqa: N802
        """Replaces the value of a key."""
        ...

    def removeKey(self, key: tuple[object]) -> None:  # noqa: N802
        """Removes a key."""
        ...

    def keys(self) -> Iterator[tuple[object]]:
        """All keys."""
        ...


class ListHandle(Protocol):
    """The methods of Spark's ``ListState`` that are used here."""

    def get(self) -> Iterator[tuple[bytes]]:
        """All values."""
        ...

    def appendValue(self, newState: tuple[bytes]) -> None:  # noqa: N802, N803
        """Adds a value at the end."""
        ...

    def clear(self) -> None:
        """Removes all values."""
        ...


class TimerHandle(Protocol):
    """The methods of Spark's ``StatefulProcessorHandle`` for timers. Times are epoch milliseconds."""

    def registerTimer(self, expiryTimestampMs: int) -> None:  # noqa: N802, N803
        """Registers a timer; it fires in the first batch that begins at that time or later."""
        ...

    def deleteTimer(self, expiryTimestampMs: int) -> None:  # noqa: N802, N803
        """Removes a timer."""
        ...


@dataclass(frozen=True, slots=True)
class Handles:
    """Spark's handles of one task, which are those of the key that Spark has set."""

    care: ValueHandle
    history: ValueHandle
    active: ValueHandle
    kept: MapHandle
    pending: MapHandle
    waiting: ListHandle
    timers: TimerHandle


@dataclass(slots=True)
class KeyedState:
    """The state of the data type that is being carried out: call ``open`` before, and ``save`` after.

    ``care`` is what is known of it; whoever changes it calls ``touch``.
    """

    handles: Handles | None = None
    data_type: str = ""
    care: Care = field(default_factory=Care)
    _saved: bytes = b""
    _changed: bool = False

    def open(self, handles: Handles, data_type: str) -> Care:
        """Reads what is known of a data type, whose key Spark has set.

        Raises:
            IncompatibleState: a newer version of this software wrote it.
        """
        saved = handles.care.get()
        self.handles, self.data_type = handles, data_type
        self.care = decode_care(_first(saved))
        self._saved, self._changed = encode_care(self.care), False
        return self.care

    def touch(self) -> None:
        """Something of the data type's state has changed."""
        self._changed = True

    def save(self) -> None:
        """Writes what is known of the data type, if it has changed."""
        if self._changed:
            self.care.revision = new_mark()
        data = encode_care(self.care)
        if data != self._saved:
            self.of(self.data_type).care.update((data,))
            self._saved = data
        self._changed = False

    def of(self, data_type: str) -> Handles:
        """The handles, for a data type that must be the one whose key Spark has set.

        Raises:
            RuntimeError: it is another one; what were written now would be lost.
        """
        if self.handles is None or data_type != self.data_type:
            raise RuntimeError(f"the state of data type '{data_type}' is not at hand, '{self.data_type}' is")
        return self.handles

    def set_timer(self, due_ms: int) -> None:
        """Sees to it that a timer of the data type fires at ``due_ms`` or earlier; 0: none is needed.

        An earlier one stays: who is called then says again when to call.
        """
        care, timers = self.care, self.of(self.data_type).timers
        if not due_ms or 0 < care.timer_ms <= due_ms:
            return
        if care.timer_ms:
            timers.deleteTimer(care.timer_ms)
        timers.registerTimer(due_ms)
        care.timer_ms = due_ms


class KeptInSpark:
    """See ``core.ports.KeptModels``."""

    def __init__(self, state: KeyedState) -> None:
        self._state = state

    def history(self, data_type: str) -> bytes | None:
        """See ``core.ports.KeptModels``."""
        saved = self._state.of(data_type).history.get()
        return _first(saved)

    def save_history(self, data_type: str, history: bytes) -> None:
        """See ``core.ports.KeptModels``."""
        self._state.of(data_type).history.update((history,))
        self._state.touch()

    def model(self, data_type: str, version: str) -> bytes:
        """See ``core.ports.KeptModels``."""
        saved = self._state.of(data_type).kept.getValue((version,))
        if saved is None:
            raise KeyError(version)
        return bytes(saved[0])

    def save_model(self, data_type: str, version: str, model: bytes) -> None:
        """See ``core.ports.KeptModels``."""
        self._state.of(data_type).kept.updateValue((version,), (model,))
        self._state.touch()

    def drop_model(self, data_type: str, version: str) -> None:
        """See ``core.ports.KeptModels``."""
        self._state.of(data_type).kept.removeKey((version,))
        self._state.touch()


class PendingInSpark:
    """See ``core.ports.PendingModels``."""

    def __init__(self, state: KeyedState) -> None:
        self._state = state

    def numbers(self, data_type: str) -> Iterable[int]:
        """See ``core.ports.PendingModels``."""
        if not self._state.care.pending:
            return []
        return [int(str(number)) for (number,) in self._state.of(data_type).pending.keys()]  # noqa: SIM118

    def get(self, data_type: str, number: int) -> bytes:
        """See ``core.ports.PendingModels``."""
        saved = self._state.of(data_type).pending.getValue((number,))
        if saved is None:
            raise KeyError(number)
        return bytes(saved[0])

    def put(self, data_type: str, number: int, payload: bytes) -> None:
        """See ``core.ports.PendingModels``."""
        self._state.of(data_type).pending.updateValue((number,), (payload,))
        self._state.care.pending += 1
        self._state.touch()

    def remove(self, data_type: str, number: int) -> None:
        """See ``core.ports.PendingModels``."""
        self._state.of(data_type).pending.removeKey((number,))
        self._state.care.pending -= 1
        self._state.touch()


class ActiveInSpark:
    """See ``core.ports.ActiveModels``."""

    def __init__(self, state: KeyedState) -> None:
        self._state = state

    def get(self, data_type: str) -> bytes | None:
        """See ``core.ports.ActiveModels``."""
        handles = self._state.of(data_type)
        saved = handles.active.get() if self._state.care.serving else None
        return _first(saved)

    def put(self, data_type: str, model: bytes) -> None:
        """See ``core.ports.ActiveModels``."""
        self._state.of(data_type).active.update((model,))
        self._state.care.serving = new_mark()
        self._state.touch()

    def remove(self, data_type: str) -> None:
        """See ``core.ports.ActiveModels``."""
        self._state.of(data_type).active.clear()
        self._state.care.serving = ""
        self._state.touch()


class WaitingInSpark:
    """See ``core.ports.WaitingRecords``."""

    def __init__(self, state: KeyedState) -> None:
        self._state = state

    def count(self, data_type: str) -> int:
        """See ``core.ports.WaitingRecords``."""
        self._state.of(data_type)
        return self._state.care.waiting

    def add(self, data_type: str, records: bytes, count: int) -> None:
        """See ``core.ports.WaitingRecords``."""
        self._state.of(data_type).waiting.appendValue((records,))
        self._state.care.waiting = count
        self._state.touch()

    def take(self, data_type: str) -> list[bytes]:
        """See ``core.ports.WaitingRecords``."""
        handles = self._state.of(data_type)
        if not self._state.care.waiting:
            return []
        records = [bytes(saved) for (saved,) in handles.waiting.get()]
        handles.waiting.clear()
        self._state.care.waiting = 0
        self._state.touch()
        return records


def _first(saved: tuple[bytes] | None) -> bytes | None:
    # Spark gives a bytearray.
    return None if saved is None else bytes(saved[0])
