"""Computes which instance of a keyed operator holds the state of a data type, and sets the current key.

Flink gives a keyed operator one key at a time. If records of a thousand data types arrive in turn, one row
for each data type would cost a trip from the JVM to Python for each record. So one row carries the records of
all data types that go to the same instance: Flink routes the row by the key of one of them, and the operator
sets the keys of the others itself.

Source of the assignment: ``KeyGroupRangeAssignment``, ``MathUtils.murmurHash`` and ``Row.hashCode`` of Flink
(https://nightlies.apache.org/flink/flink-docs-stable/, "Concepts: Stateful Stream Processing", Key Groups).
"""

from __future__ import annotations

from collections.abc import Iterable

from pyflink.datastream import RuntimeContext

from functions.internals import current_key_setter, task_of
from model_serving.core.batches import RecordBatch

__all__ = ["CurrentKey", "Placement", "key_group", "subtask_index"]

_REMEMBERED = 100_000
"""How many data types have their instance remembered, because a hash in Python takes microseconds."""

_ROW_OF_ONE = 62
"""The number that ``Row.hashCode`` adds to the hash of a row's only field."""


def subtask_index(context: RuntimeContext) -> int:
    """The index of this parallel instance of the operator, from 0."""
    return task_of(context).index


def key_group(data_type: str, key_groups: int) -> int:
    """The key group of a data type, from 0; ``key_groups`` is their number (Flink's "max parallelism")."""
    code = 0
    units = data_type.encode("utf-16-le", "surrogatepass")
    for at in range(0, len(units), 2):
        code = (31 * code + (units[at] | units[at + 1] << 8)) & 0xFFFFFFFF
    return _murmur((code + _ROW_OF_ONE) & 0xFFFFFFFF) % key_groups


class Placement:
    """The instance of each data type, for operators of one parallelism."""

    def __init__(self, context: RuntimeContext) -> None:
        task = task_of(context)
        self._instances = task.parallelism
        self._key_groups = task.key_groups
        self._known: dict[str, int] = {}

    def instance(self, data_type: str) -> int:
        """The index of the instance that holds the state of this data type."""
        known = self._known.get(data_type)
        if known is None:
            known = key_group(data_type, self._key_groups) * self._instances // self._key_groups
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[data_type] = known
        return known

    def together(self, batches: list[RecordBatch]) -> Iterable[list[RecordBatch]]:
        """The batches in one list for each instance; each list keeps the order of ``batches``."""
        if self._instances == 1 or len(batches) < 2:
            return [batches] if batches else []
        gathered: dict[int, list[RecordBatch]] = {}
        for batch in batches:
            gathered.setdefault(self.instance(batch.data_type), []).append(batch)
        return gathered.values()


class CurrentKey:
    """The current key of a keyed operator's state and timers, which can change while a row is processed.

    PyFlink has no public way to change the key. Both of its modes set the key again before each element, so
    nothing has to be put back.
    """

    def __init__(self, context: RuntimeContext) -> None:
        self._placement = Placement(context)
        self._subtask = subtask_index(context)
        self._set = current_key_setter(context)
        self._now: str | None = None

    def is_now(self, data_type: str | None) -> None:
        """Tells which data type's key Flink has set for the current element; None if it is not known."""
        self._now = data_type

    def become(self, data_type: str) -> None:
        """Makes state and timers those of this data type, until the next element.

        Raises:
            RuntimeError: another instance holds the state of this data type.
        """
        if data_type == self._now:
            return
        place = self._placement.instance(data_type)
        if place != self._subtask:
            # State written here would be lost at the next restore.
            raise RuntimeError(
                f"records of data type '{data_type}' came to instance {self._subtask} instead of {place}: "
                "this Flink assigns keys to instances differently from the one that the job was made for"
            )
        self._set(data_type)
        self._now = data_type


def _murmur(code: int) -> int:
    code = code * 0xCC9E2D51 & 0xFFFFFFFF
    code = (code << 15 | code >> 17) & 0xFFFFFFFF
    code = code * 0x1B873593 & 0xFFFFFFFF
    code = (code << 13 | code >> 19) & 0xFFFFFFFF
    code = code * 5 + 0xE6546B64 & 0xFFFFFFFF
    code ^= 4
    code ^= code >> 16
    code = code * 0x85EBCA6B & 0xFFFFFFFF
    code ^= code >> 13
    code = code * 0xC2B2AE35 & 0xFFFFFFFF
    code ^= code >> 16
    # Java reads this as a signed int. It negates a negative one, except for the least int, which becomes 0.
    return code if code < 1 << 31 else (1 << 32) - code & 0x7FFFFFFF
