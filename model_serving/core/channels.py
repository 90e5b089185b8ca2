"""The output of the core and its destinations. A host moves these bytes and does nothing else with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from model_serving.core.batches import RecordBatch
from model_serving.core.messages import Reason

__all__ = ["AT_ONCE", "Channel", "Counts", "Emitted", "Retry", "SwapReport"]


class Channel(Enum):
    """The topics that messages go to, apart from the results topic."""

    DEAD_LETTERS = "dead-letters"
    STATUSES = "statuses"
    ROLLBACKS = "rollbacks"
    """Messages for the models topic that take back a failing model."""


@dataclass(slots=True)
class Counts:
    """How many records were scored and dropped, messages dead-lettered, and models swapped.

    ``letters`` are the dead letters by their reason; None if there are none.
    ``waiting`` is the change in the number of records that wait for a model, or for the server that scores
    them, which may be negative.
    """

    scored: int = 0
    dropped: int = 0
    dead_lettered: int = 0
    swaps: int = 0
    waiting: int = 0
    letters: dict[Reason, int] | None = None

    def letter(self, reason: Reason, count: int = 1) -> None:
        """Counts dead letters."""
        self.dead_lettered += count
        if self.letters is None:
            self.letters = {}
        self.letters[reason] = self.letters.get(reason, 0) + count

    def add_letters(self, other: Counts) -> None:
        """Adds the dead letters of other counts."""
        for reason, count in (other.letters or {}).items():
            self.letter(reason, count)


AT_ONCE = 0
"""A sequence that no activation has, because activations count from 1."""


@dataclass(frozen=True, slots=True)
class SwapReport:
    """One instance has carried out the activation ``sequence`` of a data type.

    ``status`` is the message for the status topic, which is written once all instances have reported. With
    the sequence ``AT_ONCE`` it is written at once, because it is not about a swap.
    """

    data_type: str
    sequence: int
    reporter: str
    status: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Retry:
    """Records of a data type wait for a model server: call ``ServingDesk.retry`` in ``in_ms`` milliseconds.

    ``full``: as many wait as may. Then take no more records of any data type before ``retry`` has returned
    without a full one, or as few as the host can: every record that is taken waits too, and none is lost.
    """

    data_type: str
    in_ms: int
    full: bool


@dataclass(slots=True)
class Emitted:
    """The output of one call to the core.

    ``results`` are messages for the results topic; ``origins`` has the origin of each result's record, or
    nothing where the host does not give them (see ``core.batches.Origins``). ``side`` are messages with
    their channel. ``activations`` are (data type, activation as bytes) for the operators that serve the data
    type. ``unmatched`` are batches that cannot be scored now, at a desk where records do not wait.
    ``began_to_wait`` are data types whose records wait now and did not wait before; ``retries`` are those
    whose records wait for a model server.
    """

    results: list[bytes] = field(default_factory=list)
    origins: list[int] = field(default_factory=list)
    side: list[tuple[Channel, bytes]] = field(default_factory=list)
    activations: list[tuple[str, bytes]] = field(default_factory=list)
    swaps: list[SwapReport] = field(default_factory=list)
    unmatched: list[RecordBatch] = field(default_factory=list)
    began_to_wait: list[str] = field(default_factory=list)
    retries: list[Retry] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)

    def on(self, channel: Channel) -> Iterator[bytes]:
        """The side messages of one channel, in their order."""
        return (message for of, message in self.side if of is channel)
