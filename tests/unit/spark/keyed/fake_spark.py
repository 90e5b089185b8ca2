"""Spark's keyed state and timers in memory: a batch's changes are kept only if the batch succeeds."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from model_serving.core.channels import Emitted
from model_serving.spark.keyed.rows import RoutedRow
from model_serving.spark.keyed.serving import KeyedServing
from model_serving.spark.keyed.state import Handles

__all__ = ["FakeQuery"]


@dataclass
class _Values:
    """The state of one key: what Spark keeps of each handle, and the times of the timers."""

    single: dict[str, bytes] = field(default_factory=dict)
    maps: dict[str, dict[object, bytes]] = field(default_factory=dict)
    lists: dict[str, list[bytes]] = field(default_factory=dict)
    timers: set[int] = field(default_factory=set)


class _Attempt:
    """The handles of one attempt of a batch; ``key`` is the key that Spark has set."""

    def __init__(self, state: dict[str, _Values]) -> None:
        self.state = copy.deepcopy(state)
        self.key = ""
        self.handles = Handles(
            care=_Value(self, "care"),
            history=_Value(self, "history"),
            active=_Value(self, "active"),
            kept=_Map(self, "kept"),
            pending=_Map(self, "pending"),
            waiting=_List(self, "waiting"),
            timers=self,
        )

    @property
    def values(self) -> _Values:
        return self.state.setdefault(self.key, _Values())

    def registerTimer(self, expiryTimestampMs: int) -> None:  # noqa: N802, N803 - Spark's names
        self.values.timers.add(expiryTimestampMs)

    def deleteTimer(self, expiryTimestampMs: int) -> None:  # noqa: N802, N803
        self.values.timers.remove(expiryTimestampMs)


@dataclass
class _Value:
    attempt: _Attempt
    name: str

    def get(self) -> Any:
        value = self.attempt.values.single.get(self.name)
        # Spark gives bytearrays.
        return None if value is None else (bytearray(value),)

    def update(self, newValue: tuple[bytes]) -> None:  # noqa: N803
        (self.attempt.values.single[self.name],) = newValue

    def clear(self) -> None:
        self.attempt.values.single.pop(self.name, None)


@dataclass
class _Map:
    attempt: _Attempt
    name: str

    def _map(self) -> dict[object, bytes]:
        return self.attempt.values.maps.setdefault(self.name, {})

    def getValue(self, key: tuple[object]) -> Any:  # noqa: N802
        value = self._map().get(key[0])
        return None if value is None else (bytearray(value),)

    def updateValue(self, key: tuple[object], value: tuple[bytes]) -> None:  # noqa: N802
        (self._map()[key[0]],) = value

    def removeKey(self, key: tuple[object]) -> None:  # noqa: N802
        self._map().pop(key[0], None)

    def keys(self) -> Iterator[tuple[object]]:
        return iter([(key,) for key in self._map()])


@dataclass
class _List:
    attempt: _Attempt
    name: str

    def get(self) -> Iterator[Any]:
        return iter([(bytearray(value),) for value in self.attempt.values.lists.get(self.name, [])])

    def appendValue(self, newState: tuple[bytes]) -> None:  # noqa: N802, N803
        self.attempt.values.lists.setdefault(self.name, []).extend(newState)

    def clear(self) -> None:
        self.attempt.values.lists.pop(self.name, None)


class FakeQuery:
    """Runs batches one after the other; any process (a ``KeyedServing``) may carry out any of them."""

    def __init__(self) -> None:
        self._state: dict[str, _Values] = {}
        self.now_ms = 1_000_000

    def timers(self, data_type: str) -> set[int]:
        """The times of a data type's timers, from now on, in milliseconds."""
        values = self._state.get(data_type, _Values())
        return {time - self.now_ms for time in values.timers}

    def writes(self, data_type: str) -> dict[str, bytes]:
        """The single values in the state of a data type."""
        return dict(self._state.get(data_type, _Values()).single)

    def batch(
        self,
        process: KeyedServing,
        rows: dict[str, list[RoutedRow]] | None = None,
        *,
        bounded: bool = False,
        fails: bool = False,
        after: Callable[[Emitted], None] = lambda emitted: None,
    ) -> list[Emitted]:
        """Runs a batch with rows by data type, then fires the timers that are due.

        Args:
            process: the process that carries the batch out.
            rows: the rows by data type, in any order.
            bounded: whether the run ends with its input.
            fails: the batch fails after it was carried out, so its changes of the state are lost.
            after: is called after each output.

        Returns:
            What the batch has given.
        """
        attempt, given = _Attempt(self._state), []
        for data_type, of in (rows or {}).items():
            attempt.key = data_type
            for emitted in process.take(attempt.handles, data_type, of, self.now_ms):
                given.append(emitted)
                after(emitted)
        due = [(time, key) for key, values in attempt.state.items() for time in values.timers]
        for time, key in sorted(one for one in due if one[0] <= self.now_ms):
            attempt.key = key
            ended = bounded and not rows
            given += process.look(attempt.handles, key, time, self.now_ms, ended=ended)
            # Spark removes a timer after it has fired.
            attempt.values.timers.discard(time)
        if not fails:
            self._state = attempt.state
        return given
