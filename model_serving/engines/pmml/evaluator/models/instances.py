"""The training instances of a NearestNeighborModel: the rows of its InlineTable as values of fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.batch import Batch
from model_serving.engines.pmml.evaluator.data_types import numeric_reader
from model_serving.engines.pmml.evaluator.expressions.inline_table import refuse_locators
from model_serving.engines.pmml.evaluator.reading import NOTHING, Unsupported, children, only, required
from model_serving.engines.pmml.evaluator.symbols import Texts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.data_types import Kind
    from model_serving.engines.pmml.evaluator.scope import Field, Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers, Symbols

__all__ = ["Instances"]

_ATTRIBUTES = frozenset({"isTransformed", "recordCount", "fieldCount"})


class Instances:
    """The rows of a table. Names of cells may have any prefix: what stands before a colon does not count."""

    def __init__(self, element: Element, scope: Scope) -> None:
        """Reads TrainingInstances.

        Raises:
            Unsupported: a part is not known, or there are no rows.
        """
        refuse_locators(element)
        parts = children(element, _ATTRIBUTES, ("InstanceFields", "InlineTable"))
        table, fields = only(parts, "InlineTable"), only(parts, "InstanceFields")
        if table is None or fields is None:
            raise Unsupported("TrainingInstances without InstanceFields and an InlineTable")
        self._scope = scope
        self._columns: dict[str, str] = {}
        for field in children(fields, NOTHING, ("InstanceField",)):
            children(field, {"field", "column"})
            name = required(field, "field")
            self._columns[name] = _local(field.get("column", name))
        self._rows = [
            {_local(cell.tag): (cell.text or "").strip() for cell in row}
            for row in table
            if _local(row.tag) == "row"
        ]
        if not self._rows:
            raise Unsupported("an InlineTable without a row")

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self._rows)

    def texts(self, name: str) -> list[str | None]:
        """Returns the cells of a field; None where a row has none, or an empty one.

        Raises:
            Unsupported: the field is not among the InstanceFields.
        """
        column = self._columns.get(name)
        if column is None:
            raise Unsupported(f"no InstanceField '{name}'")
        return [row.get(column) or None for row in self._rows]

    def values(self, name: str, kind: Kind) -> Numbers:
        """Returns the values of a field, shape (rows,), NaN for missing ones.

        Raises:
            Unsupported: the field is not there, or a cell does not spell a value of this type.
        """
        values, strange = _read(self.texts(name), kind, self._scope.program.symbols)
        if strange is not None:
            raise Unsupported(
                f"the value '{strange}' of InstanceField '{name}', which is not of type {kind.data_type}"
            )
        return values

    def compared(self, fields: Sequence[Field], names: Sequence[str]) -> Numbers:
        """Returns the values of fields that are compared, shape (fields, rows).

        The table has their values, or those of the fields that they are derived from.

        Args:
            fields: the fields.
            names: the names of targets and of ids, which fields are not derived from.

        Raises:
            Unsupported: the values cannot be told from the table.
        """
        program = self._scope.program
        texts = Texts(program.symbols)
        batch = Batch(len(self._rows), texts)
        known: set[int] = set()
        for name in self._columns:
            field = None if name in names else self._scope.find(name)
            if field is None:
                continue
            values, strange = _read(self.texts(name), field.kind, program.symbols)
            # A value that does not fit counts only if the field is used.
            batch.put(field, values, np.isnan(values) if strange is not None else None)
            known.add(field.slot)
        made = []
        for field in fields:
            if field.slot not in known and field.expression is None:
                raise Unsupported(
                    f"KNNInput '{field.name}', which is no InstanceField and is not derived from any"
                )
            values = batch.value(field)
            if batch.failed is not None:
                raise Unsupported(f"training instances with a value that does not fit '{field.name}'")
            made.append(_kept(values, texts, program.symbols) if field.kind.is_text else values)
        return np.array(made)


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _read(cells: Sequence[str | None], kind: Kind, symbols: Symbols) -> tuple[Numbers, str | None]:
    """Returns the values, and a cell that does not spell a value of the type, None if there is none."""
    if kind.is_text:
        return np.array([np.nan if cell is None else symbols.code(cell) for cell in cells]), None
    read = numeric_reader(kind.data_type)
    strange: str | None = None
    values = []
    for cell in cells:
        try:
            values.append(np.nan if cell is None else read(cell))
        except ValueError:
            strange = cell
            values.append(np.nan)
    return np.array(values), strange


def _kept(codes: Numbers, texts: Texts, symbols: Symbols) -> Numbers:
    """Returns codes that are valid in every batch, also of texts that a transformation has made."""
    return np.array([np.nan if code != code else symbols.code(texts.text(code)) for code in codes.tolist()])
