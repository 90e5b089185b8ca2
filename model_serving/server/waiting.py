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
        # Kept beside the entries, because every added record asks for them.
        self._totals: dict[str, int] = defaultdict(int)
        self._last: dict[tuple[str, int], int] = {}
        self._written: list[Entry] = []
        self.partition = 0

    def count(self, data_type: str) -> int:
        """See ``core.ports.WaitingRecords``."""
        return self._totals.get(data_type, 0)

    def add(self, data_type: str, records: bytes, count: int) -> None:
        """See ``core.ports.WaitingRecords``."""
        place = (self.partition, 1 + self._last.get((data_type, self.partition), -1))
        self._keep(data_type, place, records, count - self.count(data_type))
        self._written.append(Entry(_key(data_type, place), records))

    def take(self, data_type: str) -> list[bytes]:
        """See ``core.ports.WaitingRecords``."""
        entries = self._waiting.get(data_type, {})
        taken = []
        for place in sorted(entries):
            records = self._drop(data_type, place)
            taken.append(records)
            self._written.append(Entry(_key(data_type, place), None, self._parts(data_type, place, records)))
        return taken

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
                self._keep(key.data_type, place, records, len(decode_payloads(records)))

    def went(self, partitions: Collection[int]) -> None:
        """Gives up the records of these partitions; they stay in the state topic."""
        for data_type, entries in list(self._waiting.items()):
            for place in [place for place in entries if place[0] in partitions]:
                self._drop(data_type, place)

    def _keep(self, data_type: str, place: _Place, records: bytes, count: int) -> None:
        partition, number = place
        self._waiting[data_type][place] = records
        self._counts[data_type][place] = count
        self._totals[data_type] += count
        self._last[data_type, partition] = max(number, self._last.get((data_type, partition), -1))

    def _drop(self, data_type: str, place: _Place) -> bytes:
        entries, counts = self._waiting[data_type], self._counts[data_type]
        records = entries.pop(place)
        self._totals[data_type] -= counts.pop(place)
        if not entries:
            del self._waiting[data_type], self._counts[data_type], self._totals[data_type]
        # All entries of a partition are dropped together, so its numbers begin again.
        self._last.pop((data_type, place[0]), None)
        return records

    def _parts(self, data_type: str, place: _Place, records: bytes) -> int:
        return max(part_count(records), self._mirror.parts(_key(data_type, place)))


def _key(data_type: str, place: _Place) -> Key:
    return Key(Kind.WAITING, data_type, f"{place[0]}/{place[1]}")


def _place(key: Key) -> _Place:
    partition, _, number = key.item.partition("/")
    return int(partition), int(number)
