"""``MapValues``: values of one or more fields looked up in a table (PMML 4.4: Transformations)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import Kind, constant
from model_serving.engines.pmml.evaluator.expressions.discretization import result_kind, spelled_values
from model_serving.engines.pmml.evaluator.expressions.inline_table import (
    column_name,
    read_inline_table,
    refuse_locators,
)
from model_serving.engines.pmml.evaluator.reading import Unsupported, children, named, only, required

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch, Mask, Rows
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Expression, Field, Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers, Symbols

__all__ = ["compile_expression"]

_NO_ROWS: Rows = np.zeros(1, dtype=np.intp)


def compile_expression(element: Element, scope: Scope) -> Expression:
    """Reads a ``MapValues``.

    Raises:
        Unsupported: a part of it is not known, or rows with equal inputs have different outputs.
    """
    refuse_locators(element)
    parts = children(
        element,
        {"mapMissingTo", "defaultValue", "outputColumn", "dataType", "optype"},
        ("FieldColumnPair", "InlineTable"),
    )
    pairs = named(parts, "FieldColumnPair")
    table = only(parts, "InlineTable")
    if not pairs or table is None:
        raise Unsupported("a MapValues without FieldColumnPair or InlineTable")
    for pair in pairs:
        children(pair, {"field", "column"})
    fields = [scope.field(pair.get("field")) for pair in pairs]
    columns = [column_name(required(pair, "column")) for pair in pairs]
    rows = _rows(
        table, fields, columns, column_name(required(element, "outputColumn")), scope.program.symbols
    )
    texts = (*rows.values(), element.get("defaultValue"), element.get("mapMissingTo"))
    kind = result_kind(element)
    values = spelled_values(texts, kind, scope.program.symbols)
    steps = _steps(list(rows), fields)
    return _Table(kind, tuple(steps), values, texts, {key: place for place, key in enumerate(rows)})


def _rows(
    table: Element, fields: Sequence[Field], columns: Sequence[str], output: str, symbols: Symbols
) -> dict[tuple[float, ...], str]:
    """Returns the texts of the output by the inputs. Rows whose inputs no record can have are left out."""
    found: dict[tuple[float, ...], str] = {}
    for row in read_inline_table(table):
        if output not in row or not all(column in row for column in columns):
            missing = next(column for column in (*columns, output) if column not in row)
            raise Unsupported(f"a row of an InlineTable without the column '{missing}'")
        try:
            key = tuple(
                constant(row[column], _key_type(field), symbols)
                for column, field in zip(columns, fields, strict=True)
            )
        except Unsupported:
            continue
        if found.setdefault(key, row[output]) != row[output]:
            inputs = ", ".join(row[column] for column in columns)
            raise Unsupported(f"a MapValues with two rows for {inputs}")
    return found


def _key_type(field: Field) -> str:
    return "double" if field.kind.data_type == "integer" else field.kind.data_type


def _steps(keys: Sequence[tuple[float, ...]], fields: Sequence[Field]) -> list[_Step]:
    """Returns a step for each field, which tells rows apart by what was found before and the field."""
    steps = []
    places = np.zeros(len(keys), dtype=np.intp)
    for column, field in enumerate(fields):
        values, value_places = np.unique([key[column] for key in keys], return_inverse=True)
        codes, places = np.unique(places * max(len(values), 1) + value_places, return_inverse=True)
        if column == len(fields) - 1:  # the places are those of the rows
            rows = np.empty(len(codes), dtype=np.intp)
            rows[places] = np.arange(len(keys))
        else:
            rows = np.arange(len(codes))
        steps.append(_Step(field, values, codes, rows))
    return steps


@dataclass(frozen=True, slots=True)
class _Step:
    """The known values of a field, ascending, and the codes of what was found so far with such a value."""

    field: Field
    values: Numbers
    codes: Rows
    rows: Rows


@dataclass(frozen=True, slots=True)
class _Table:
    """The value of the row that the fields select; then one for no such row, then one for a missing field."""

    kind: Kind
    steps: tuple[_Step, ...]
    values: Numbers
    texts: tuple[str | None, ...]
    places: dict[tuple[float, ...], int]
    """The rows by the values of the fields."""

    def one(self, record: Record) -> float:
        # Without rows, no field but the first tells anything (see ``evaluate``).
        steps = self.steps if self.places else self.steps[:1]
        key = tuple([step.field.one(record) for step in steps])
        place = self.places.get(key)
        if place is None:
            place = -1 if any(value != value for value in key) else -2
        return self.values.item(place)

    def evaluate(self, batch: Batch) -> Numbers:
        places: Rows = _NO_ROWS
        unknown: Mask = np.zeros(batch.n, dtype=bool)
        missing: Mask | None = None
        for number, step in enumerate(self.steps):
            values = batch.value(step.field)
            total = np.add.reduce(values)
            if total != total:
                missing = np.isnan(values) if missing is None else missing | np.isnan(values)
            if not len(step.values):
                unknown[:] = True
                break
            found = np.minimum(np.searchsorted(step.values, values), len(step.values) - 1)
            unknown |= step.values[found] != values
            if number:
                codes = places * len(step.values) + found
                found = np.minimum(np.searchsorted(step.codes, codes), len(step.codes) - 1)
                unknown |= step.codes[found] != codes
            places = step.rows[found]
        selected = np.where(unknown, len(self.values) - 2, places)
        if missing is not None:
            selected[missing] = len(self.values) - 1
        made: Numbers = self.values[selected]
        return made

    def as_kind(self, kind: Kind, symbols: Symbols) -> _Table:
        """Returns the same table with values of another type, read from what the document spells."""
        return replace(self, kind=kind, values=spelled_values(self.texts, kind, symbols))
