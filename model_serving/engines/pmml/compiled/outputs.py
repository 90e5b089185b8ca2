"""Finds the columns that the compiled model fills in, and the rows that their values come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_serving.engines.pmml.compiled.reading import NOTHING, NotCompiled, check, only

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.compiled.targets import Target
    from model_serving.engines.pmml.gateway import OutputColumn

__all__ = ["rows_of_columns"]

_ATTRIBUTES = frozenset(
    {"name", "displayName", "optype", "dataType", "feature", "value", "targetField", "isFinalResult"}
)
_TEXTS = frozenset({"predictedValue", "predictedDisplayValue", "entityId"})
"""The features of columns that are not read when they are text."""

_PROBABILITY = "probability"


def rows_of_columns(
    parts: Collection[Element],
    columns: Sequence[OutputColumn],
    numbers: Collection[int],
    target: Target,
    *,
    is_tree: bool,
) -> dict[str, int]:
    """Returns the row in ``Evaluation.rows`` of every column that is used.

    Args:
        parts: the parts of the model.
        columns: the columns of the evaluator's answers.
        numbers: the indices of the columns that are used.
        target: the model's target.
        is_tree: whether the model is a single tree, which gives a confidence.

    Raises:
        NotCompiled: a column is not known exactly.
    """
    output = only(parts, "Output")
    given = [] if output is None else check(output, NOTHING, ("OutputField",))
    if len(given) > len(columns):
        raise NotCompiled("outputs that the evaluator does not give")
    rows = {}
    for index, column in enumerate(columns):
        field = given[index] if index < len(given) else None
        if field is not None:
            _check_field(field, column, target)
        if index in numbers:
            rows[column.name] = _row(column, field, target, is_tree=is_tree)
        elif column.feature not in _TEXTS:
            raise NotCompiled(f"the output {column.name} of {column.feature} as text")
    return rows


def _check_field(field: Element, column: OutputColumn, target: Target) -> None:
    check(field, _ATTRIBUTES)
    same = (field.get("name"), field.get("feature", "predictedValue")) == (column.name, column.feature)
    if not same or field.get("isFinalResult", "true") != "true":
        raise NotCompiled(f"the output {field.get('name')}, which is not given as it is written")
    if field.get("targetField", target.name) != target.name:
        raise NotCompiled("an output of another target")


def _row(column: OutputColumn, field: Element | None, target: Target, *, is_tree: bool) -> int:
    if target.classes is not None:
        of_predicted = len(target.classes)
        if column.feature == "confidence" and is_tree:
            return of_predicted + 1
        if column.feature == _PROBABILITY:
            label = (
                field.get("value")
                if field is not None
                else column.name.partition(f"{_PROBABILITY}_")[2] or None
            )
            return of_predicted if label is None else target.index(label)
    raise NotCompiled(f"the output {column.name} of {column.feature}")
