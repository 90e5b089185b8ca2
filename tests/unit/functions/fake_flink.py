"""A stand-in for Flink's contexts and state."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from pyflink.common import Row

from functions.placement import Placement

__all__ = ["FakeFlink", "SavedState"]

SavedState = tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]
"""Keyed and broadcast state of an operator instance, each by the name of its descriptor."""


class FakeFlink:
    """All contexts that an operator is given, over state that survives the operator.

    Set ``key`` before an element of a keyed stream is processed. ``timers`` are the timers of event time as
    (time, key), ``later`` those of processing time. ``now`` is the processing time.
    """

    def __init__(self, subtask: int = 0, parallelism: int = 1) -> None:
        self.key = ""
        self.timers: list[tuple[int, str]] = []
        self.later: list[tuple[int, str]] = []
        self.now = 0
        self.counts: dict[str, FakeCounter] = {}
        self._subtask = subtask
        self._parallelism = parallelism
        self._state: dict[str, dict[str, Any]] = {}
        self._broadcast: dict[str, dict[str, Any]] = {}

    def saved(self) -> SavedState:
        """All state as it is now."""
        return copy.deepcopy((self._state, self._broadcast))

    def restore(self, saved: Sequence[SavedState]) -> None:
        """Takes this instance's part of the state that all instances of an operator have saved.

        Source: https://nightlies.apache.org/flink/flink-docs-stable/, "Broadcast State": each instance takes
        the broadcast state of one saved instance, in turn. Of the keyed state it takes its own keys.
        """
        placement = Placement(self)
        for keyed, _ in copy.deepcopy(list(saved)):
            for name, by_key in keyed.items():
                mine = {
                    key: value for key, value in by_key.items() if placement.instance(key) == self._subtask
                }
                assert not mine.keys() & self._state.get(name, {}).keys(), "two instances wrote for one key"
                self._state.setdefault(name, {}).update(mine)
        if saved:
            _, self._broadcast = copy.deepcopy(saved[self._subtask % len(saved)])

    def get_state(self, descriptor: Any) -> FakeState:
        return FakeState(self, self._state.setdefault(descriptor.name, {}), list)

    def get_list_state(self, descriptor: Any) -> FakeState:
        return FakeState(self, self._state.setdefault(descriptor.name, {}), list)

    def get_map_state(self, descriptor: Any) -> FakeState:
        return FakeState(self, self._state.setdefault(descriptor.name, {}), dict)

    def get_broadcast_state(self, descriptor: Any) -> FakeBroadcastState:
        return FakeBroadcastState(self._broadcast.setdefault(descriptor.name, {}))

    def get_index_of_this_subtask(self) -> int:
        return self._subtask

    def get_number_of_parallel_subtasks(self) -> int:
        return self._parallelism

    def get_max_number_of_parallel_subtasks(self) -> int:
        return 128

    @property
    def _keyed_state_backend(self) -> FakeFlink:
        return self

    def set_current_key(self, row: Row) -> None:
        (self.key,) = row

    def get_metrics_group(self) -> FakeFlink:
        return self

    def add_group(self, name: str, extra: str = "") -> FakeFlink | FakeGroup:
        if name == "reason":
            return FakeGroup(self.counts, extra)
        assert name == "model_serving"
        return self

    def counter(self, name: str) -> FakeCounter:
        return self.counts.setdefault(name, FakeCounter())

    def timer_service(self) -> FakeFlink:
        return self

    def register_event_time_timer(self, time: int) -> None:
        if (time, self.key) not in self.timers:
            self.timers.append((time, self.key))

    def current_processing_time(self) -> int:
        return self.now

    def register_processing_time_timer(self, time: int) -> None:
        if (time, self.key) not in self.later:
            self.later.append((time, self.key))

    def delete_processing_time_timer(self, time: int) -> None:
        if (time, self.key) in self.later:
            self.later.remove((time, self.key))

    def get_current_key(self) -> str:
        return self.key


class FakeGroup:
    """A group of counters with a label."""

    def __init__(self, counts: dict[str, FakeCounter], label: str) -> None:
        self._counts = counts
        self._label = label

    def counter(self, name: str) -> FakeCounter:
        return self._counts.setdefault(f"{name}: {self._label}", FakeCounter())


class FakeCounter:
    """A counter that can be read."""

    def __init__(self) -> None:
        self.value = 0

    def inc(self, by: int = 1) -> None:
        self.value += by


class FakeState:
    """Value, list and map state of the current key."""

    def __init__(self, flink: FakeFlink, by_key: dict[str, Any], empty: type) -> None:
        self._flink = flink
        self._by_key = by_key
        self._empty = empty

    def value(self) -> Any:
        return self._by_key.get(self._flink.key)

    def update(self, value: Any) -> None:
        self._by_key[self._flink.key] = value

    def clear(self) -> None:
        self._by_key.pop(self._flink.key, None)

    def add(self, value: Any) -> None:
        self._entries().append(value)

    def get(self, *name: Any) -> Any:
        """All values of a list state, or the value of ``name`` in a map state."""
        return self._entries().get(*name) if name else iter(self._entries())

    def put(self, name: Any, value: Any) -> None:
        self._entries()[name] = value

    def keys(self) -> Any:
        return list(self._entries())

    def remove(self, name: Any) -> None:
        self._entries().pop(name, None)

    def _entries(self) -> Any:
        return self._by_key.setdefault(self._flink.key, self._empty())


class FakeBroadcastState:
    """Broadcast state: one map for all keys."""

    def __init__(self, entries: dict[str, Any]) -> None:
        self._entries = entries

    def get(self, name: str) -> Any:
        return self._entries.get(name)

    def put(self, name: str, value: Any) -> None:
        self._entries[name] = value

    def remove(self, name: str) -> None:
        self._entries.pop(name, None)
