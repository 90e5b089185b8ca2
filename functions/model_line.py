"""The model messages of a data type that wait for their turn: in Flink state, in their order."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from pyflink.datastream import RuntimeContext

from functions.types import PENDING_MODELS
from model_serving.core.admission.loads import Load
from model_serving.core.admission.preparation import Prepared
from model_serving.core.errors import ModelRejected

__all__ = ["Attempt", "Line", "PendingMessages"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A message that is being carried out: its preparation under way, or why there is none."""

    payload: bytes
    data_type: str
    name: str
    version: str
    under_way: Load[Prepared] | Prepared | ModelRejected


@dataclass(slots=True)
class Line:
    """What is known in memory of a data type's messages in state: their numbers and sizes, first one first.

    ``attempt`` is the first one's, if it has begun. ``due`` is the time of the timer that looks after it,
    epoch milliseconds; 0 when a timer from before a restart does. ``guards`` are the times of those timers
    that look after it in any case, as far as they were registered since the start.
    """

    waiting: deque[tuple[int, int]] = field(default_factory=deque)
    attempt: Attempt | None = None
    due: int = 0
    guards: tuple[int, ...] = ()


class PendingMessages:
    """The messages that wait, by data type. Every call is about the current key, ``data_type``."""

    def __init__(self, context: RuntimeContext) -> None:
        self._state = context.get_map_state(PENDING_MODELS)
        self._lines: dict[str, Line] = {}
        self.bytes = 0
        """All that wait and are known in memory."""

    def line(self, data_type: str) -> Line:
        """The messages of the data type; after a restart they are found in state."""
        line = self._lines.get(data_type)
        if line is None:
            line = Line()
            for number in sorted(self._state.keys()):
                self._remember(line, number, self._state.get(number))
            if line.waiting:
                self._lines[data_type] = line
        return line

    def add(self, data_type: str, line: Line, payload: bytes) -> None:
        """Puts a message at the end."""
        number = line.waiting[-1][0] + 1 if line.waiting else 0
        self._state.put(number, payload)
        self._remember(line, number, payload)
        self._lines[data_type] = line

    def first(self, line: Line) -> bytes:
        """The message whose turn it is."""
        payload: bytes = self._state.get(line.waiting[0][0])
        return payload

    def remove_first(self, data_type: str, line: Line) -> None:
        """Takes the first message out: it is carried out."""
        number, size = line.waiting.popleft()
        self._state.remove(number)
        self.bytes -= size
        line.attempt = None
        if not line.waiting:
            del self._lines[data_type]

    def _remember(self, line: Line, number: int, payload: bytes) -> None:
        line.waiting.append((number, len(payload)))
        self.bytes += len(payload)
