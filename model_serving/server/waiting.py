"""Records that wait for a model, in the state topic, by the partition of the data topic they came from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from model_serving.core.state import decode_payloads
from model_serving.server.entries import Entry, Key, Kind, part_count
from model_serving.server.mirror import Mirror

__all__ = ["WaitingInState"]

_Place = tuple[int, int]
"""The partition of the data topic, and the number of the entry among those of the partition."""


class WaitingInState:
    """See ``core.ports.WaitingRecords``: the records of the partitions that this process reads.

    Set ``partition`` before records are added. The entries to write are in ``written``. When partitions come
    or go, call ``came`` or ``went``; records go where their partition goes, so they keep their order.
    """

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._waiting: dict[str, dict[_Place, bytes]] = defaultdict(dict)
        self._counts: dict[str, dict[_Place, int]] = defaultdict(dict)
        self._written: list[Entry] = []
        self.partition = 0

    def count(self, data_type: str) -> int:
        """See ``core.ports.WaitingRecords``."""
        return sum(self._counts[data_type].values()) if data_type in self._counts else 0

    def add(self, data_type: str, records: bytes, count: int) -> None:
        """See ``core.ports.WaitingRecords``."""
        number = 1 + max(
            (number for partition, number in self._waiting[data_type] if partition == self.partition),
            default=-1,
        )
        place = (self.partition, number)
        added = count - self.count(data_type)
        self._waiting[data_type][place] = records
        self._counts[data_type][place] = added
        self._written.append(Entry(_key(data_type, place), records))

    def take(self, data_type: str) -> list[bytes]:
        """See ``core.ports.WaitingRecords``."""
        entries = self._waiting.pop(data_type, {})
        self._counts.pop(data_type, None)
        for place in entries:
            self._written.append(
                Entry(_key(data_type, place), None, self._parts(data_type, place, entries[place]))
            )
        return [entries[place] for place in sorted(entries)]

    def written(self) -> list[Entry]:
        """The entries that were written since the last call."""
        written, self._written = self._written, []
        return written

    def data_types(self) -> list[str]:
        """The data types whose records wait here."""
        return [data_type for data_type, entries in self._waiting.items() if entries]

    def came(self, partitions: Collection[int]) -> None:
        """Takes over the records of these partitions, as the mirror has them."""
        for key in self._mirror.keys(Kind.WAITING):
            place = _place(key)
            if place[0] not in partitions:
                continue
            records = self._mirror.get(key)
            if records is not None:
                self._waiting[key.data_type][place] = records
                self._counts[key.data_type][place] = len(decode_payloads(records))

    def went(self, partitions: Collection[int]) -> None:
        """Gives up the records of these partitions; they stay in the state topic."""
        for data_type, entries in list(self._waiting.items()):
            for place in [place for place in entries if place[0] in partitions]:
                del entries[place]
                del self._counts[data_type][place]
            if not entries:
                del self._waiting[data_type]
                self._counts.pop(data_type, None)

    def _parts(self, data_type: str, place: _Place, records: bytes) -> int:
        return max(part_count(records), self._mirror.parts(_key(data_type, place)))


def _key(data_type: str, place: _Place) -> Key:
    return Key(Kind.WAITING, data_type, f"{place[0]}/{place[1]}")


def _place(key: Key) -> _Place:
    partition, _, number = key.item.partition("/")
    return int(partition), int(number)
