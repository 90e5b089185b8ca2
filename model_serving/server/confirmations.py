"""Says that a model is active once every member has carried out its activation."""

from __future__ import annotations

import queue
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

from model_serving.server.entries import Key, Kind
from model_serving.server.members import Members
from model_serving.server.mirror import Change, Mirror
from model_serving.server.view import StateView

__all__ = ["Confirmations"]

_Activation = tuple[str, int]
"""Data type and sequence."""


class Confirmations:
    """Reports of members → statuses. Used by the admitting member, in one thread.

    A member that has carried out a later activation of a data type has left the earlier ones behind too. If
    nobody reports an earlier one, because all who would have died, its status is made here. An empty report
    says that the member does not serve the model; it has said so on the status topic already.
    """

    def __init__(
        self, mirror: Mirror, view: StateView, members: Members, swapped: Callable[[bytes], bytes]
    ) -> None:
        """``swapped`` makes the status that an encoded activation is carried out."""
        self._mirror = mirror
        self._view = view
        self._members = members
        self._swapped = swapped
        self._changes: queue.SimpleQueue[Change] = queue.SimpleQueue()
        # Activation → the offset of the state topic where it was written.
        self._open: dict[_Activation, int] = {}
        self._orders: dict[_Activation, bytes] = {}
        self._reports: dict[_Activation, dict[str, bytes]] = defaultdict(dict)
        with mirror.changed:
            for kind in (Kind.UNCONFIRMED, Kind.REPORT):
                for key in mirror.keys(kind):
                    offset, value = mirror.offset(key), mirror.get(key)
                    if offset is not None and value is not None:
                        self._changes.put(Change(key, offset, value))
            mirror.listen(self._changed)

    def confirmed(self) -> list[bytes]:
        """The statuses to write now, in order; what they and dead members leave is deleted in the view."""
        for name in self._members.gone():
            self._view.delete(Key(Kind.MEMBER, "", name))
        while not self._changes.empty():
            self._note(self._changes.get())
        statuses = []
        for data_type, sequence in sorted(self._open):
            if not self._is_everywhere(data_type, sequence):
                continue
            reports = list(self._reports[data_type, sequence].values())
            if not reports:
                statuses.append(self._swapped(self._orders[data_type, sequence]))
            elif all(reports):
                statuses.append(reports[0])
            self._forget(data_type, sequence)
        return statuses

    @property
    def waits(self) -> bool:
        """Whether an activation is not confirmed yet."""
        return bool(self._open) or not self._changes.empty()

    def close(self) -> None:
        """Stops listening."""
        self._mirror.forget(self._changed)

    def _is_everywhere(self, data_type: str, sequence: int) -> bool:
        latest: dict[str, int] = {}
        for (of, reported), members in self._reports.items():
            if of == data_type:
                for member in members:
                    latest[member] = max(reported, latest.get(member, 0))
        there = {member for member, reported in latest.items() if reported >= sequence}
        return bool(there) and self._members.before(self._open[data_type, sequence]) <= there

    def _forget(self, data_type: str, sequence: int) -> None:
        del self._open[data_type, sequence], self._orders[data_type, sequence]
        self._view.delete(Key(Kind.UNCONFIRMED, data_type, str(sequence)))
        # Reports of later sequences stay: they stand for their members until those are confirmed.
        for of, reported in [
            place for place in self._reports if place[0] == data_type and place[1] <= sequence
        ]:
            for member in self._reports.pop((of, reported)):
                self._view.delete(Key(Kind.REPORT, data_type, f"{reported}/{member}"))

    def _note(self, change: Change) -> None:
        key = change.key
        if key.kind is Kind.UNCONFIRMED:
            place = (key.data_type, int(key.item))
            if change.value is None:
                self._open.pop(place, None)
                self._orders.pop(place, None)
            else:
                self._open[place] = change.offset
                self._orders[place] = change.value
            return
        sequence, _, member = key.item.partition("/")
        reports = self._reports[key.data_type, int(sequence)]
        if change.value is None:
            reports.pop(member, None)
        else:
            reports[member] = change.value

    def _changed(self, changes: list[Change]) -> None:
        for change in changes:
            # Deletions count too: the member before may have confirmed what is being read only now.
            if change.key.kind in {Kind.UNCONFIRMED, Kind.REPORT}:
                value = self._mirror.get(change.key) if change.value is None else change.value
                self._changes.put(replace(change, value=value))
