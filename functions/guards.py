"""Timers that look after a data type whatever checkpoint the job is restored from.

A timer that ``on_timer`` registers may be missing in a checkpoint that has the state it is for: in process
mode Flink may take a checkpoint between the timer that fired and the next one. A timer that
``process_element`` registers is never missing (``flink_jobs.environment.stream_graph``). So when state begins
to need care, guard timers are registered so far into the future that no restore can come after all of them.
Whichever checkpoint a job is restored from, the state in it is looked after, at the latest when it is twice
as old as at that checkpoint.
"""

from __future__ import annotations

from typing import Any

__all__ = ["GuardTimers"]

_DELAYS_MS = tuple(1000 << doubled for doubled in range(31))
"""The delays of the guard timers, counted from when they are set: 1 s, 2 s, 4 s … 34 years."""


class GuardTimers:
    """The guard timers of each data type that were set since the start. The data type is the current key."""

    def __init__(self) -> None:
        self._set: dict[str, tuple[int, ...]] = {}

    def set(self, data_type: str, timers: Any) -> None:
        """Sets the guards, unless they are; call it in ``process_element`` only."""
        if data_type in self._set:
            return
        now_ms = timers.current_processing_time()
        self._set[data_type] = tuple(now_ms + delay_ms for delay_ms in _DELAYS_MS)
        for time_ms in self._set[data_type]:
            timers.register_processing_time_timer(time_ms)

    def clear(self, data_type: str, timers: Any) -> None:
        """Deletes the guards, if they are set: nothing needs care any more."""
        for time_ms in self._set.pop(data_type, ()):
            timers.delete_processing_time_timer(time_ms)
