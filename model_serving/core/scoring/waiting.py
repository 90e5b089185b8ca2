"""Decides what happens to records whose data type has no model yet, and reads those that wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from model_serving.core.batches import UNKNOWN_ORIGIN, Origins
from model_serving.core.errors import NoModel, Unavailable
from model_serving.core.state import decode_waiting

__all__ = ["Admitted", "NoModelPolicy", "WaitingPolicy", "wait_text", "waiting_parts"]

_WAITING_BATCH = 512
"""How many waiting records are scored at a time. Scoring a full buffer at once would hold up a checkpoint."""


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


def waiting_parts(kept: Iterable[bytes]) -> Iterator[tuple[list[bytes], Origins | None]]:
    """Records that waited, in parts of a size to score at once, with their origins if any is known.

    ``kept`` are encoded waiting records, see ``core.state.encode_payloads``.

    Raises:
        IncompatibleState: a newer version of this software wrote them.
    """
    payloads: list[bytes] = []
    origins: list[int] = []
    for records in kept:
        waited, known = decode_waiting(records)
        payloads += waited
        # Records that were kept without origins may stand beside others after an upgrade.
        origins += [UNKNOWN_ORIGIN] * len(waited) if known is None else known
    is_known = any(origin != UNKNOWN_ORIGIN for origin in origins)
    for start in range(0, len(payloads), _WAITING_BATCH):
        part = slice(start, start + _WAITING_BATCH)
        yield payloads[part], np.array(origins[part], dtype=np.int64) if is_known else None


def wait_text(data_type: str, count: int, outage: Unavailable | None, like: str) -> str:
    """Says how many records of a data type wait, and for what.

    Args:
        data_type: the data type.
        count: how many of its records wait.
        outage: why its model server is out of reach; None: the records wait for a model.
        like: a data type that is served and spelled nearly the same; empty if there is none.
    """
    wait = "1 record waits" if count == 1 else f"{count} records wait"
    if outage is not None:
        return f"{wait}: {outage}"
    also = f", or send them as '{like}', which is served" if like else ""
    return f"{wait} for a model of data type '{data_type}': publish one{also}"
