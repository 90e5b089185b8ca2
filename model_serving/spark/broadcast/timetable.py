"""When to do something again, by data type."""

from __future__ import annotations

from model_serving.core.clock import Clock

__all__ = ["Timetable"]


class Timetable:
    """One time for each data type; those that are due are taken out."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due_ms: dict[str, int] = {}

    def __bool__(self) -> bool:
        """Whether something is to be done."""
        return bool(self._due_ms)

    def at(self, data_type: str, in_ms: int = 0) -> None:
        """Sets the time, in milliseconds from now, in place of one that was set."""
        self._due_ms[data_type] = self._clock.epoch_ms() + in_ms

    def remove(self, data_type: str) -> None:
        """Removes the time, if there is one."""
        self._due_ms.pop(data_type, None)

    def due(self) -> list[str]:
        """Removes and returns the data types whose time has come."""
        now_ms = self._clock.epoch_ms()
        due = [data_type for data_type, due_ms in self._due_ms.items() if due_ms <= now_ms]
        for data_type in due:
            del self._due_ms[data_type]
        return due
