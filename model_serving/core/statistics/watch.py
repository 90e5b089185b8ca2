"""Watches the fields of the records that a version scores, against a reference."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model_serving.core.engine import Columns
from model_serving.core.statistics.distribution import bounded
from model_serving.core.statistics.fields import LEAST_REFERENCE, FieldStatistics, Reference, edges_of

__all__ = [
    "EXAMPLES",
    "LEAST_REFERENCE_RECORDS",
    "MOST_WATCHED",
    "RECORDS",
    "REFERENCE_RECORDS",
    "FieldWatch",
    "encode_reference",
]

MOST_WATCHED = 256
"""The most fields of a model that are watched: its first ones."""

REFERENCE_RECORDS = 1000
LEAST_REFERENCE_RECORDS = 100
"""How many records are the reference of a version whose message has too few examples, and how many are enough
where memory is short."""

EXAMPLES, RECORDS = "examples", "records"
"""Where a reference comes from."""

Numbers = npt.NDArray[np.float64]


class FieldWatch:
    """The fields of one version.

    Without a reference, the first records become it; they are not compared with themselves, so counting
    begins anew after them.
    """

    def __init__(self, fields: Sequence[str], reference: str = "") -> None:
        """``fields`` are those of the columns; ``reference`` is what ``encode_reference`` made, or empty."""
        self._fields = tuple(fields[:MOST_WATCHED])
        self._texts: npt.NDArray[np.bool_] = np.zeros(len(self._fields), bool)
        self._waiting: list[Numbers] = []
        self._waited = 0
        self._edges: list[tuple[float, ...]] = []
        self._references: list[Reference] = []
        self._begin()
        if reference:
            self._read(reference)

    @property
    def needs(self) -> int:
        """How many more records the reference needs."""
        return 0 if self._references else REFERENCE_RECORDS - self._waited

    @property
    def size(self) -> int:
        """How many numbers are kept until the reference is complete."""
        return self._waited * len(self._fields)

    def add(self, rows: Columns, *, enough: int = REFERENCE_RECORDS) -> None:
        """Looks at n ≥ 1 records: n × k, as a model takes them.

        A reference of ``enough`` records is complete.
        """
        numbers = self._numbers(rows[:, : len(self._fields)])
        if self.needs:
            part = numbers[: max(0, enough - self._waited)]
            self._waiting.append(part)
            self._waited += len(part)
            if self._waited < enough:
                self._count(numbers)
                return
            self._refer(np.concatenate(self._waiting), RECORDS)
            self._begin()
            numbers = numbers[len(part) :]
        if len(numbers):
            self._count(numbers)

    def refer_to(self, rows: Columns) -> None:
        """Takes n ≥ 1 examples as the reference."""
        self._refer(self._numbers(rows[:, : len(self._fields)]), EXAMPLES)
        self._begin()

    def encoded(self) -> str:
        """The reference as text, for state; see ``encode_reference``."""
        parts = zip(self._fields, self._texts.tolist(), self._edges, self._references, strict=True)
        return json.dumps(
            [
                {
                    "field": field,
                    "text": text,
                    "edges": edges,
                    "count": one.count,
                    "missing": one.missing,
                    "sum": one.sum,
                    "bins": one.bins,
                }
                for field, text, edges, one in parts
            ],
            separators=(",", ":"),
        )

    def fields(self) -> list[FieldStatistics]:
        """What was seen of each field."""
        return [
            FieldStatistics(
                name,
                self._seen,
                int(self._missing[place]),
                bounded(float(self._sums[place])),
                *(
                    (self._edges[place], tuple(self._bins[place].tolist()), self._references[place])
                    if self._references and not self._texts[place]
                    else ()
                ),
            )
            for place, name in enumerate(self._fields)
        ]

    def _begin(self) -> None:
        self._seen = 0
        self._missing = np.zeros(len(self._fields), np.int64)
        self._sums = np.zeros(len(self._fields))
        self._bins = [np.zeros(len(edges) + 1, np.int64) for edges in self._edges]

    def _numbers(self, rows: Columns) -> Numbers:
        """Numbers, NaN for a missing one. A text that is set becomes 0, one that is empty NaN."""
        if rows.dtype != object:
            return np.asarray(rows, np.float64)
        for place, value in enumerate(rows[0]):
            self._texts[place] |= isinstance(value, str)
        return np.array([[_number(value) for value in row] for row in rows], np.float64)

    def _count(self, numbers: Numbers) -> None:
        present = np.isfinite(numbers)
        self._seen += len(numbers)
        self._missing += len(numbers) - present.sum(axis=0)
        whole = bool(present.all())
        with np.errstate(over="ignore"):
            self._sums += (numbers if whole else np.where(present, numbers, 0.0)).sum(axis=0)
        for place, edges in enumerate(self._edges):
            if not self._texts[place]:
                values = numbers[:, place] if whole else numbers[present[:, place], place]
                self._bins[place] += _binned(values, edges)

    def _refer(self, numbers: Numbers, source: str) -> None:
        self._waiting.clear()
        self._waited = 0
        for place in range(len(self._fields)):
            column = numbers[:, place]
            values = column[np.isfinite(column)]
            edges = edges_of(values)
            self._edges.append(edges)
            with np.errstate(over="ignore"):
                total = bounded(float(values.sum()))
            bins = tuple(_binned(values, edges).tolist())
            self._references.append(Reference(source, len(column), len(column) - len(values), total, bins))

    def _read(self, reference: str) -> None:
        """Takes a reference that was made of examples; one that does not fit the fields is left alone."""
        saved = json.loads(reference)
        if [one["field"] for one in saved] != list(self._fields):
            return
        for place, one in enumerate(saved):
            self._texts[place] = one["text"]
            self._edges.append(tuple(one["edges"]))
            self._references.append(
                Reference(EXAMPLES, one["count"], one["missing"], one["sum"], tuple(one["bins"]))
            )
        self._begin()


def encode_reference(fields: Sequence[str], examples: Sequence[Columns]) -> str:
    """The reference of a model whose message has ``examples``: rows of its columns, 1 × k each.

    Empty if there are fewer than 30. The text has about 300 bytes for a field.
    """
    if len(examples) < LEAST_REFERENCE or not fields:
        return ""
    watch = FieldWatch(fields)
    watch.refer_to(np.concatenate(examples))
    return watch.encoded()


def _number(value: Any) -> float:
    if isinstance(value, str):
        return 0.0 if value else math.nan
    return float(value)


def _binned(values: Numbers, edges: tuple[float, ...]) -> npt.NDArray[np.int64]:
    # Bin i holds the values in (edges[i-1], edges[i]].
    return np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
