"""What is known of each data type, and which data types are forgotten when there are too many."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from model_serving.core.statistics.distribution import Distribution
from model_serving.observe.answers import DataType
from model_serving.observe.letters import LetterFold
from model_serving.observe.limits import Limits
from model_serving.observe.sources import StatisticsFold, added_up
from model_serving.observe.statuses import StatusFold

__all__ = ["Entries", "Entry", "Percentiles"]


@dataclass(slots=True)
class Percentiles:
    """The median and the 99th percentile of a latency, which is added up when they are first asked for.

    ``parts`` do not change any more, so this may be asked from any thread while messages are folded.
    """

    parts: Sequence[Distribution]
    _values: tuple[float, float] | None = None

    def values(self) -> tuple[float, float]:
        """The median and the 99th percentile, milliseconds; 0 without a record."""
        if self._values is None:
            total = added_up(self.parts)
            p50, p99 = total.quantiles((0.5, 0.99)) if total.count else (0.0, 0.0)
            self._values = p50, p99
        return self._values


@dataclass(slots=True)
class Entry:
    """A data type's folds, and what was made from them until the next message.

    ``answer`` is the whole answer, ``latency`` only what a list is sorted by.
    """

    statuses: StatusFold = field(default_factory=StatusFold)
    statistics: StatisticsFold = field(default_factory=StatisticsFold)
    letters: LetterFold = field(default_factory=LetterFold)
    answer: DataType | None = None
    latency: Percentiles | None = None

    @property
    def served(self) -> bool:
        """Whether a model was ever reported: others are known from records only, whose senders are many."""
        return self.statuses.served or self.statistics.served


class Entries:
    """The entries by data type.

    When there are more than the limits allow, those without a model are forgotten first, and of these the one
    that was not heard of for the longest time.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._served: OrderedDict[str, Entry] = OrderedDict()
        self._others: OrderedDict[str, Entry] = OrderedDict()
        self._characters = 0
        self._sorted_names: tuple[str, ...] | None = None
        self.forgotten = 0
        """How many data types were forgotten."""

    def get(self, data_type: str) -> Entry | None:
        """The entry of a data type; None if nothing is known of it."""
        return self._served.get(data_type) or self._others.get(data_type)

    def touch(self, data_type: str) -> Entry:
        """The entry of a data type that a message has come for, a new one if there is none."""
        entry = self._served.pop(data_type, None) or self._others.pop(data_type, None)
        if entry is None:
            entry = Entry()
            self._characters += len(data_type)
            self._sorted_names = None
        entry.answer = entry.latency = None
        (self._served if entry.served else self._others)[data_type] = entry
        return entry

    def settle(self, data_type: str, entry: Entry) -> list[tuple[str, Entry]]:
        """Files the entry after its message was folded; returns the data types that are forgotten now."""
        if entry.served and data_type in self._others:
            self._served[data_type] = self._others.pop(data_type)
        dropped = []
        while len(self) > self._limits.data_types or self._characters > self._limits.name_characters:
            name, forgotten = (self._others or self._served).popitem(last=False)
            self._characters -= len(name)
            self._sorted_names = None
            self.forgotten += 1
            dropped.append((name, forgotten))
        return dropped

    def sorted_names(self) -> tuple[str, ...]:
        """All data types."""
        if self._sorted_names is None:
            self._sorted_names = tuple(sorted((*self._served, *self._others)))
        return self._sorted_names

    def __iter__(self) -> Iterator[Entry]:
        yield from self._served.values()
        yield from self._others.values()

    def __len__(self) -> int:
        return len(self._served) + len(self._others)
