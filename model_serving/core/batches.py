"""Batches of records and of scores, which move through the core; each has records of one data type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from model_serving.core.engine import Columns, Scores
from model_serving.core.errors import InvalidRecord, UnparsableMessage
from model_serving.core.messages import ModelToServe

__all__ = ["UNKNOWN_ORIGIN", "Decoded", "Features", "Origins", "RecordBatch", "ScoredBatch"]

Origins = npt.NDArray[np.int64]
"""Where n records came from: for each a number that only the host understands, ``UNKNOWN_ORIGIN`` or more."""

UNKNOWN_ORIGIN = -1
"""The host did not say where this record came from."""


class Features(Protocol):
    """The fields of n records that models can take."""

    def columns(self, fields: tuple[str, ...]) -> Columns:
        """The values of these k fields, in this order: n × k, float64, or objects if one is a text field."""
        ...

    def rows(self, index: npt.NDArray[np.intp]) -> Features:
        """The features of the records at the places ``index``, shape (m,)."""
        ...


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """n ≥ 1 valid records of one data type, in the order in which they came.

    ``payloads`` are the bytes that arrived. ``submission_ts`` are the times that the senders set, in epoch
    milliseconds, int64 of shape (n,). ``origins`` are given by a host that wants to know which result belongs
    to which record.
    """

    data_type: str
    payloads: Sequence[bytes] = field(repr=False)
    submission_ts: npt.NDArray[np.int64]
    features: Features = field(repr=False)
    origins: Origins | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.payloads)

    def rows(self, index: npt.NDArray[np.intp]) -> RecordBatch:
        """The records at the places ``index``, shape (m,)."""
        return RecordBatch(
            self.data_type,
            [self.payloads[place] for place in index.tolist()],
            self.submission_ts[index],
            self.features.rows(index),
            None if self.origins is None else self.origins[index],
        )


@dataclass(frozen=True, slots=True)
class Decoded:
    """n messages, decoded: the valid records by data type, and the other messages, each with its error."""

    batches: list[RecordBatch]
    refused: list[tuple[bytes, UnparsableMessage | InvalidRecord]]


@dataclass(frozen=True, slots=True)
class ScoredBatch:
    """n ≥ 1 records that one model scored at once, in the order in which they came.

    ``scores.result`` has no NaN. ``scoring_ns`` is each record's equal share of the time in the model, in
    nanoseconds; ``served_ts`` is the time after scoring, in epoch milliseconds. ``model`` has no content.
    ``origins`` are those of the records.
    """

    data_type: str
    model: ModelToServe
    submission_ts: npt.NDArray[np.int64]
    scores: Scores
    scoring_ns: int
    served_ts: int
    origins: Origins | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.submission_ts)
