"""The fields of records without a record type: from ``--fields``, or told from the model and the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model_serving.client.errors import WrongCall
from model_serving.client.record_cells import is_number, is_whole_number
from model_serving.client.trying.table import Table
from model_serving.core.engine import RecordSchema
from model_serving.core.messages import ModelType
from model_serving.engines.model_inputs import ModelInput

__all__ = ["FIELD_TYPES", "TEXT", "Field", "Fields", "told_fields"]

TEXT = "string"
_TRUTHS = {"true": 1.0, "false": 0.0}
_WHOLE = ("int32", "int64", "uint32", "uint64")
FIELD_TYPES = ("double", "float", *_WHOLE, "bool", TEXT)
"""The types of fields, as protobuf names them."""

_RESERVED = frozenset({"datatype", "data_type", "ts"})
"""Columns of a record that no model takes, unless the model names them."""

_LABELS = frozenset({"label", "class", "target", "quality", "outcome", "y"})


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record and its type, one of ``FIELD_TYPES``."""

    name: str
    type: str = "double"

    def number(self, cell: str) -> float:
        """Returns the number in a cell; NaN for an empty one.

        Raises:
            ValueError: the field cannot hold the value of the cell.
        """
        cell = cell.strip()
        if not cell:
            return np.nan
        if not is_number(cell) and cell.casefold() not in _TRUTHS:
            raise ValueError(
                f"'{cell[:40]}' is not a number for '{self.name}'; leave the cell empty if it is missing"
            )
        if self.type in _WHOLE and not is_whole_number(cell):
            raise ValueError(f"'{cell[:40]}' is not a whole number for '{self.name}'")
        value = _TRUTHS[cell.casefold()] if cell.casefold() in _TRUTHS else float(cell)
        return float(np.float32(value)) if self.type == "float" else value


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of records. ``label`` is a column that was taken for the label; ``note`` says why."""

    fields: tuple[Field, ...]
    label: str = ""
    note: str = ""

    def schema(self, name: str) -> RecordSchema:
        """Returns the fields as a record type with this name."""
        return RecordSchema(
            name,
            tuple(field.name for field in self.fields if field.type != TEXT),
            tuple(field.name for field in self.fields if field.type == TEXT),
        )


def told_fields(
    model_type: ModelType, inputs: Sequence[ModelInput], given: tuple[str, ...], table: Table | None
) -> Fields:
    """Returns the fields of records for a model, from its inputs and the columns of a file.

    Args:
        model_type: the type of the model.
        inputs: what the model takes; empty if that cannot be told.
        given: the value of ``--inputs``.
        table: the file with the records; None if there is none.

    Raises:
        WrongCall: the fields cannot be told.
        ClientError: the file has no column that the model takes.
    """
    if table is None:
        return _without_records(inputs, given)
    if model_type is ModelType.PMML and inputs:
        return _of_named_inputs(inputs, given, table)
    return _of_columns(inputs, given, table)


def _without_records(inputs: Sequence[ModelInput], given: tuple[str, ...]) -> Fields:
    if not inputs or any(one.width is None for one in inputs):
        if given or not inputs:
            # Without inputs, the engine says what is wrong with the model.
            return Fields(tuple(Field(name) for name in given))
        raise WrongCall(
            "what the model takes cannot be told from it: give a CSV file with its records, or --fields"
        )
    kinds = [_type(one.is_text) for one in inputs for _ in range(one.width or 1)]
    if len(given) == len(kinds):
        return Fields(tuple(map(Field, given, kinds)))
    names = tuple(name for one in inputs for name in _names(one))
    wide = ", ".join(f"{one.name} ({one.width} fields)" for one in inputs if one.width != 1)
    note = f"the model does not name its fields in {wide}: a job takes those of --inputs, or all numbers"
    return Fields(tuple(map(Field, names, kinds)), note=note if wide else "")


def _names(one: ModelInput) -> list[str]:
    if one.width == 1:
        return [one.name]
    return [f"{one.name}_{number}" for number in range(1, (one.width or 0) + 1)]


def _of_named_inputs(inputs: Sequence[ModelInput], given: tuple[str, ...], table: Table) -> Fields:
    """The fields of a model that names each of its inputs and their types."""
    names = given or tuple(one.name for one in inputs)
    fields = []
    for place, name in enumerate(names):
        column = table.column(name)
        is_text = inputs[place].is_text if place < len(inputs) else not table.is_numeric(column)
        fields.append(Field(column, _type(is_text)))
    return Fields(tuple(dict.fromkeys(fields)))


def _of_columns(inputs: Sequence[ModelInput], given: tuple[str, ...], table: Table) -> Fields:
    """The fields of a model that may take a matrix: all columns, but for a label that is one too many."""
    named = {
        found: one.is_text for one in inputs if one.width == 1 and (found := table.find(one.name)) is not None
    }
    is_by_name = bool(named) and len(named) == len(inputs)
    kinds = [one.is_text for one in inputs for _ in range(one.width or len(given))]
    for place, name in enumerate(given):
        column = table.column(name)
        named[column] = kinds[place] if len(kinds) == len(given) else not table.is_numeric(column)
    fields = [
        Field(name, _type(named[name] if name in named else not table.is_numeric(name)))
        for name in table.columns
        if name in named or name.casefold() not in _RESERVED
    ]
    numbers = [field for field in fields if field.type != TEXT]
    width = sum(one.width or 0 for one in inputs if not one.is_text)
    is_told = bool(inputs) and all(one.width for one in inputs)
    if given or is_by_name or not is_told or len(numbers) != width + 1:
        return Fields(tuple(fields))
    label = next((field for field in reversed(numbers) if field.name.casefold() in _LABELS), numbers[-1])
    note = (
        f"{table.path}: the column '{label.name}' is taken for the label, because the model takes {width} "
        f"numbers and the file has {width + 1}: if it is not, name the model's columns with --inputs"
    )
    return Fields(tuple(field for field in fields if field is not label), label.name, note)


def _type(is_text: bool) -> str:
    return TEXT if is_text else "double"
