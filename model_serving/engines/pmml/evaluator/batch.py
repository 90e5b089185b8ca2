"""A batch of records while it is scored: the values of all fields, each computed at its first use."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from model_serving.engines.pmml.evaluator.prediction import ModelNode, Prediction
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Field
    from model_serving.engines.pmml.evaluator.symbols import Numbers, Texts

__all__ = ["Batch", "Gather", "Mask", "Rows"]

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]


class Batch:
    """n records. Values are float64 of shape (n,), NaN for missing (see ``data_types``).

    A value that cannot be computed for a record (an invalid input that the document refuses, a text that is
    not a number) makes the record fail: ``failed`` is a mask of such records, None while there are none. A
    failure counts only for what uses the value: it is kept with the field and counted at each use, so a
    branch that a record does not take cannot make it fail (see ``aside``).
    """

    __slots__ = (
        "_failures",
        "_parent",
        "_predictions",
        "_rows",
        "_values",
        "failed",
        "faults",
        "inputs",
        "memory",
        "n",
        "record",
        "texts",
    )

    def __init__(self, n: int, texts: Texts, parent: Batch | None = None, rows: Rows | None = None) -> None:
        """Creates a batch without values. ``rows`` are the records' places in ``parent``."""
        self.n = n
        self.texts = texts
        self.failed: Mask | None = None
        self.inputs: Numbers | None = None if parent is None or parent.inputs is None else parent.inputs[rows]
        """The values of the input fields, shape (n, inputs), once they have been treated. A record of which a
        value is invalid has failed already."""
        self.faults: list[tuple[int, Mask]] = []
        """Places of input fields, each with a mask of the records that fail by its value."""
        self.memory: dict[object, Numbers] = {}
        """What several expressions compute together, by what they share."""
        self.record: Record | None = None
        """The record that computes the fields of a batch of one, if there is one."""
        self._values: dict[int, Numbers] = {}
        self._failures: dict[int, Mask] = {}
        self._predictions: dict[int, tuple[Prediction, Mask | None]] = {}
        self._parent = parent
        self._rows = rows

    def put(self, field: Field, values: Numbers, failed: Mask | None = None) -> None:
        """Sets the values of an input field."""
        self._values[field.slot] = values
        if failed is not None:
            self._failures[field.slot] = failed

    def value(self, field: Field) -> Numbers:
        """Returns the values of a field, not to be changed, and counts the records that fail in it."""
        slot = field.slot
        found = self._values.get(slot)
        if found is None:
            found = self._computed(field)
        if self._failures:
            failed = self._failures.get(slot)
            if failed is not None:
                self.fail(failed)
        return found

    def prepare(self, field: Field) -> None:
        """Computes the values of a field before they are used; who fails in it does not fail for that."""
        if field.slot not in self._values:
            with self.aside():
                self.value(field)

    def prediction(self, node: ModelNode) -> Prediction:
        """Returns what a model predicts for every record, and counts the records that fail in it."""
        found = self._predictions.get(node.index)
        if found is None:
            found = self._predictions[node.index] = self._predicted(node)
        if found[1] is not None:
            self.fail(found[1])
        return found[0]

    def fail(self, records: Mask) -> None:
        """Marks records of which a value cannot be computed."""
        self.failed = records if self.failed is None else self.failed | records

    def take(self, rows: Rows) -> Batch:
        """Returns a batch of some of the records, which shares the texts."""
        return Batch(len(rows), self.texts, self, rows)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Inside of it, ``failed`` starts empty and the caller reads it; afterwards it is as before."""
        outer, self.failed = self.failed, None
        try:
            yield
        finally:
            self.failed = outer

    def _predicted(self, node: ModelNode) -> tuple[Prediction, Mask | None]:
        parent, rows = self._parent, self._rows
        known = None if parent is None else parent._predictions.get(node.index)  # noqa: SLF001
        if known is not None and rows is not None:
            return known[0].take(rows), None if known[1] is None else known[1][rows]
        outer, self.failed = self.failed, None
        prediction = node.predict(self)
        made = (prediction, self.failed)
        self.failed = outer
        return made

    def _computed(self, field: Field) -> Numbers:
        inputs = self.inputs
        if inputs is not None and field.column >= 0:
            values: Numbers = inputs[:, field.column]
            self._values[field.slot] = values
            return values
        if self.record is not None:
            values = self._values[field.slot] = np.array((field.one(self.record),))
            return values
        parent = self._parent
        outer, self.failed = self.failed, None
        if field.expression is None or (parent is not None and field.slot in parent._values):  # noqa: SLF001
            values = self._inherited(field)
        else:
            values = field.expression.evaluate(self)
        self._values[field.slot] = values
        failed: Mask | None = self.failed  # mypy does not see that ``evaluate`` sets it
        if failed is not None:
            self._failures[field.slot] = failed
        self.failed = outer
        return values

    def _inherited(self, field: Field) -> Numbers:
        parent, rows = self._parent, self._rows
        if parent is None or rows is None:
            # A field that is declared and that no record brings, such as the target.
            return np.full(self.n, np.nan)
        with parent.aside():
            values = parent.value(field)[rows]
            if parent.failed is not None:
                self.fail(parent.failed[rows])
        return values


class Gather:
    """Several fields as a matrix. Input fields are copied together, which is much faster than one by one."""

    __slots__ = ("_columns", "_fields", "_only_inputs", "_others")

    def __init__(self, fields: Sequence[Field]) -> None:
        self._fields = tuple(fields)
        columns = [field.column for field in fields]
        # The columns of fields that are not inputs are filled in afterwards.
        self._columns = np.array(columns, dtype=np.intp) if max(columns, default=-1) >= 0 else None
        self._only_inputs = columns if min(columns, default=0) >= 0 else None
        self._others = [(place, field) for place, field in enumerate(self._fields) if field.column < 0]

    def matrix(self, batch: Batch) -> Numbers:
        """Returns the values, shape (n, fields), C-contiguous; they may be changed. Counts failures."""
        if batch.record is not None:
            return np.array([self.row(batch.record)])
        if self._columns is not None and batch.inputs is not None:
            made = batch.inputs.take(self._columns, axis=1)
            for column, field in self._others:
                made[:, column] = batch.value(field)
            return made
        made = np.empty((batch.n, len(self._fields)))
        for column, field in enumerate(self._fields):
            made[:, column] = batch.value(field)
        return made

    def row(self, record: Record) -> list[float]:
        """Returns the values of one record alone."""
        if self._only_inputs is None:
            return [field.one(record) for field in self._fields]
        row = record.row
        return [row[column] for column in self._only_inputs]
