"""Scores a document's own ``ModelVerification`` and compares (PMML 4.4, Model Verification).

Whoever made the document wrote some records into it with the values that the model gives for them. A model
that gives others here is not the model that was meant, whether the document or its reader is at fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_serving.core.errors import ModelRejected
from model_serving.engines.foreign_errors import first_line
from model_serving.engines.pmml.evaluator.data_types import numeric_reader, spelled
from model_serving.engines.pmml.evaluator.reading import decimal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

    from model_serving.core.engine import Columns
    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.compiler import Compiled
    from model_serving.engines.pmml.evaluator.data_types import Kind
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["verify"]

_MOST_ROWS = 200
_PRECISION, _ZERO_THRESHOLD = 1e-6, 1e-16
"""What the standard takes for granted where a VerificationField does not say."""

_LEAST_PRECISION, _LEAST_ZERO = 1e-6, 1e-9
"""Exporters write 1E-13, but two right programs that add in another order, or in 32 bits, differ by more."""


@dataclass(frozen=True, slots=True)
class _Column:
    """A VerificationField: the name of its field, the name of its cells, and how near a number must come."""

    field: str
    cell: str
    precision: float
    zero: float

    def agrees(self, wanted: float, found: float) -> bool:
        """Whether a number is near enough; a number near zero only has to be near zero."""
        if abs(wanted) <= self.zero and abs(found) <= self.zero:
            return True
        return wanted == found or abs(found - wanted) <= self.precision * abs(wanted)


def verify(compiled: Compiled, model: Element) -> None:
    """Scores the verification records of the outer model, at most 200 of them, and compares.

    Values of fields that are neither outputs nor the target are not compared, nor are cells that are empty.

    Raises:
        ModelRejected: a record has another value.
    """
    verification = model.find("ModelVerification")
    if verification is None:
        return
    columns = [_column(one) for one in verification.iterfind("VerificationFields/VerificationField")]
    rows = [_cells(row) for row in verification.findall("InlineTable/row")[:_MOST_ROWS]]
    compared = [column for column in columns if _is_answer(column.field, compiled)]
    if not rows or not compared:
        return
    with np.errstate(all="ignore"):
        batch = compiled.inputs.batch(_records(compiled, columns, rows))
        for column in compared:
            _compare(column, rows, compiled, batch)


def _column(element: Element) -> _Column:
    field = element.get("field", "")
    return _Column(
        field,
        element.get("column", field).rpartition(":")[2],
        max(_number(element.get("precision"), _PRECISION), _LEAST_PRECISION),
        max(_number(element.get("zeroThreshold"), _ZERO_THRESHOLD), _LEAST_ZERO),
    )


def _number(text: str | None, default: float) -> float:
    if text is None:
        return default
    try:
        return decimal(text)
    except ValueError:
        return default


def _cells(row: Element) -> dict[str, str]:
    return {cell.tag.rpartition(":")[2]: cell.text or "" for cell in row}


def _is_answer(name: str, compiled: Compiled) -> bool:
    node = compiled.node
    return any(output.field.name == name for output in node.outputs) or bool(
        node.target.name and name == node.target.name
    )


def _records(compiled: Compiled, columns: Sequence[_Column], rows: Sequence[Mapping[str, str]]) -> Columns:
    """Returns the records as the model takes them; what is absent or not a number is missing."""
    cells = {column.field: column.cell for column in columns}
    made = np.empty((len(rows), len(compiled.input_fields)), dtype=object)
    for place, data in enumerate(compiled.input_fields):
        cell = cells.get(data.name, "")
        for index, row in enumerate(rows):
            text = row.get(cell, "")
            made[index, place] = _value(text, data.kind) if data.kind.is_number else text
    return made


def _value(text: str, kind: Kind) -> float:
    try:
        return numeric_reader(kind.data_type)(text)
    except ValueError:
        return np.nan


def _compare(column: _Column, rows: Sequence[Mapping[str, str]], compiled: Compiled, batch: Batch) -> None:
    kind, values = _answers(column.field, compiled, batch)
    failed = np.zeros(batch.n, dtype=bool) if batch.failed is None else batch.failed
    for index, row in enumerate(rows):
        wanted = row.get(column.cell, "").strip()
        if not wanted:
            continue
        found = float(values[index])
        if failed[index] or found != found:
            said = "nothing"
        elif _same(wanted, found, column, kind, batch):
            continue
        else:
            said = f"'{spelled(found, kind, batch.texts)}'"
        raise ModelRejected(
            f"row {index + 1} of the document's own ModelVerification expects "
            f"'{first_line(wanted)}' for the field '{first_line(column.field)}', but the model gives {said}: "
            "export the model again, or publish it without its ModelVerification"
        )


def _answers(name: str, compiled: Compiled, batch: Batch) -> tuple[Kind, Numbers]:
    node = compiled.node
    for output in node.outputs:
        if output.field.name == name:
            return output.field.kind, batch.value(output.field)
    return node.predictor.kind, batch.prediction(node).value


def _same(wanted: str, found: float, column: _Column, kind: Kind, batch: Batch) -> bool:
    if kind.is_text:
        return spelled(found, kind, batch.texts) == wanted
    try:
        number = numeric_reader(kind.data_type)(wanted)
    except ValueError:
        return True  # not a value of the field's type, such as N/A: nothing to compare with
    return column.agrees(number, found)
