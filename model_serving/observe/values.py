"""What a board answers: plain values without behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = [
    "Change",
    "Letter",
    "Place",
    "Rejection",
    "Standing",
]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """The place of a message in its topic."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Rejection:
    """A rejected model, and the reason in ``detail``. ``ts`` is epoch milliseconds."""

    name: str
    version: str
    detail: str
    ts: int


@dataclass(frozen=True, slots=True)
class Change:
    """A model that began to serve (``state`` is ACTIVE), or the end of serving (REMOVED).

    ``since`` is the earliest report about it, epoch milliseconds; ``subtasks`` are all that reported it.
    ``load_ms`` is the longest time that one of them took to load it. ``model_type`` is the number on the
    wire, ``previous`` the version before, ``size`` the size of the model's content in bytes.
    """

    state: str
    name: str
    version: str
    previous: str
    since: int
    description: str = ""
    model_type: int = 0
    sha256: str = ""
    size: int = 0
    detail: str = ""
    load_ms: float = 0.0
    subtasks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What the status topic says of a data type.

    ``changes`` and ``rejections`` have the oldest first, and the last change is what holds now. ``waiting``
    is the number of records that waited for a model when the hosts last said so, 0 since a model is active.
    """

    changes: tuple[Change, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    waiting: int = 0

    @property
    def now(self) -> Change | None:
        """The last change; None if no model was ever accepted."""
        return self.changes[-1] if self.changes else None


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter. ``payload`` has the first bytes only, ``size`` is the number of all of them.

    ``ts`` is epoch milliseconds, ``topic`` is where the message arrived.
    """

    place: Place
    ts: int
    reason: str
    detail: str
    payload: bytes = field(repr=False)
    size: int
    topic: str
    data_type: str
    model: str = ""
    version: str = ""

    @property
    def order(self) -> tuple[int, int, int]:
        """When it was given up, then its place."""
        return self.ts, self.place.partition, self.place.offset
