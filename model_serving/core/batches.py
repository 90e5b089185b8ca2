"""Records and their scores many at a time: what moves through the core, one batch for each data type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from model_serving.core.engine import Columns, Scores
from model_serving.core.errors import InvalidRecord, UnparsableMessage
from model_serving.core.messages import ModelToServe

__all__ = ["Decoded", "Features", "RecordBatch", "ScoredBatch"]


class Features(Protocol):
    """The fields of n records that models can take."""

    def columns(self, fields: tuple[str, ...]) -> Columns:
        """Those fields, in that order: n × k, float64, or objects when a text field is among them."""
        ...

    def rows(self, index: npt.NDArray[np.intp]) -> Features:
        """The features of the records at these places."""
        ...


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """n ≥ 1 valid records of one data type, in the order in which they came.

    ``payloads`` are the bytes that arrived, ``submission_ts`` the senders' clocks in epoch milliseconds,
    int64 of shape (n,).
    """

    data_type: str
    payloads: Sequence[bytes] = field(repr=False)
    submission_ts: npt.NDArray[np.int64]
    features: Features = field(repr=False)

    def __len__(self) -> int:
        return len(self.payloads)

    def rows(self, index: npt.NDArray[np.intp]) -> RecordBatch:
        """The records at these places."""
        return RecordBatch(
            self.data_type,
            [self.payloads[place] for place in index.tolist()],
            self.submission_ts[index],
            self.features.rows(index),
        )


@dataclass(frozen=True, slots=True)
class Decoded:
    """What n messages hold: the valid records by data type, and the others, each with its error."""

    batches: list[RecordBatch]
    refused: list[tuple[bytes, UnparsableMessage | InvalidRecord]]


@dataclass(frozen=True, slots=True)
class ScoredBatch:
    """n ≥ 1 records that one model scored at once, in the order in which they came.

    ``scores.result`` has no NaN. ``scoring_ns`` is each record's equal share of the time in the model,
    ``served_ts`` the instant after it in epoch milliseconds. ``model`` comes without its content.
    """

    data_type: str
    model: ModelToServe
    submission_ts: npt.NDArray[np.int64]
    scores: Scores
    scoring_ns: int
    served_ts: int

    def __len__(self) -> int:
        return len(self.submission_ts)
