"""Decides what happens to records whose data type has no model yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from model_serving.core.errors import NoModel

__all__ = ["Admitted", "NoModelPolicy", "WaitingPolicy"]


class NoModelPolicy(Enum):
    """The values of ``--no-model``."""

    BUFFER = "buffer"
    DEAD_LETTER = "dead-letter"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Admitted:
    """How a batch without a model is split: the first ``waiting`` records wait, the others do not.

    ``error`` says why the others are refused; None means that they are dropped and counted.
    """

    waiting: int
    error: NoModel | None


@dataclass(frozen=True, slots=True)
class WaitingPolicy:
    """Decides which records wait for a model.

    In an unbounded run, ``policy`` decides, and at most ``limit`` records of a data type wait. A bounded run
    has read every model when its input ends, so every record without a model waits until then, however many
    there are. Only then ``policy`` decides between dropping and dead letters.
    """

    policy: NoModelPolicy
    limit: int
    bounded: bool

    @property
    def keeps_all(self) -> bool:
        """Whether records without a model wait, up to the limit or until the end of the input."""
        return self.bounded or self.policy is NoModelPolicy.BUFFER

    def admit(self, data_type: str, records: Sequence[bytes], already_waiting: int) -> Admitted:
        """Splits records that arrived while ``already_waiting`` other records of their data type wait."""
        if self.bounded:
            return Admitted(len(records), None)
        if self.policy is NoModelPolicy.DROP:
            return Admitted(0, None)
        if self.policy is NoModelPolicy.DEAD_LETTER:
            return Admitted(0, NoModel(data_type, "publish one, then send the record again"))
        room = max(0, self.limit - already_waiting)
        return Admitted(
            min(room, len(records)),
            NoModel(data_type, f"{self.limit} records wait for one already (--buffer-limit)"),
        )

    def at_end(self, data_type: str) -> NoModel | None:
        """Why records that still wait at the end of a bounded run are refused; None: they are dropped."""
        if self.policy is NoModelPolicy.DROP:
            return None
        return NoModel(data_type, "none came before the end of the input")
