"""Compares a compiled model with the evaluator before it serves: they must give the same answers.

The rows are the same each time that a model is compared. If the evaluator fails on a row and the compiled
model does not, that is a difference too: both must fail, or give the same answer.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from model_serving.core.errors import ScoringFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from model_serving.core.engine import Columns, Scores
    from model_serving.engines.pmml.compiled.fields import Field, Fields, Numbers

__all__ = ["difference", "probe_rows"]

_ROWS = 400
_LEAST_ROWS = 48
_SECONDS = 0.4
"""The comparison stops after this time, but not before ``_LEAST_ROWS``; large forests are slow in Java."""

_RELATIVE, _ABSOLUTE = 1e-9, 1e-12
_HUGE = (0.0, 1e-300, 1e9, -1e9, 1e300, -1e300, np.inf, -np.inf)
_HUGE_KINDS = (16, 19)
_WIDEST = 1e300
_UNKNOWN_TEXT = "\N{REPLACEMENT CHARACTER}"


def difference(
    compiled: Callable[[Columns], Scores],
    evaluator: Callable[[Columns], Scores],
    fields: Fields,
    at_a_time: int,
) -> str | None:
    """Returns the first difference between the two in one line, None when they agree.

    Args:
        compiled: scores with the compiled model.
        evaluator: scores with the evaluator.
        fields: the model's fields.
        at_a_time: the number of rows that the evaluator gets in one call.
    """
    rows = probe_rows(fields)
    asked = 0
    start = time.monotonic()
    while asked < len(rows):
        if asked >= _LEAST_ROWS and time.monotonic() - start > _SECONDS:
            break
        some = rows[asked : asked + min(at_a_time, _LEAST_ROWS)]
        asked += len(some)
        found = _unlike(_outcome(compiled, some), _outcome(evaluator, some))
        if found is not None:
            return found
    return None


def probe_rows(fields: Fields) -> Columns:
    """Returns rows of shape (400, fields) on which models differ.

    Their values are in the ranges of the model, at its thresholds and just beside them, missing, and huge.
    """
    rng = np.random.default_rng(20_000)
    columns = [list(_values(field, rng)) for field in fields.all]
    rows = np.empty((_ROWS, len(columns)), dtype=object)
    for index, values in enumerate(columns):
        rows[:, index] = values
    if all(field.data_type != "string" for field in fields.all):
        return rows.astype(np.float64)
    return rows


def _values(field: Field, rng: np.random.Generator) -> Iterator[float | str]:
    """Gives a field's value for every row.

    Of 20 rows, 8 have values in the ranges, 8 at thresholds, 1 has some missing values, and 1 has almost only
    missing values. In 2 of the 20 rows a fifth of the fields is huge; every field has every huge number once.
    """
    categories = _categories(field)
    low, high, close = _numbers(field)
    for row in range(_ROWS):
        kind = row % 20
        draw = rng.random()
        if (kind == 17 and draw < 0.3) or (kind == 18 and draw < 0.9):
            yield "" if field.data_type == "string" else np.nan
        elif categories:
            yield categories[int(rng.integers(len(categories)))]
        elif kind in _HUGE_KINDS and _huge_turn(row) // len(_HUGE) == field.column % 5:
            yield _fitting(field, _HUGE[_huge_turn(row) % len(_HUGE)])
        elif 8 <= kind < 16:
            yield _fitting(field, float(rng.choice(close)))
        else:
            yield _fitting(field, float(rng.uniform(low, high)))


def _huge_turn(row: int) -> int:
    return len(_HUGE_KINDS) * (row // 20) + _HUGE_KINDS.index(row % 20)


def _categories(field: Field) -> list[float | str]:
    """Returns the known categories, each twice, and an unknown one; none for a continuous field."""
    if field.codes is None:
        return []
    known = list(field.codes)
    numbers = [key for key in known if not isinstance(key, str)]
    unknown = _UNKNOWN_TEXT if field.data_type == "string" else max([0.0, *numbers]) + 1.0
    return [*known, *known, unknown]


def _numbers(field: Field) -> tuple[float, float, Numbers]:
    """Returns the ends of a field's range, and the thresholds with the numbers next to them."""
    treatment = field.treatment
    named = [*field.numbers, *treatment.valid, *treatment.invalid, *treatment.missing]
    for interval in treatment.intervals:
        named += [interval.low, interval.high]
    if treatment.outliers != "asIs":
        named += [treatment.low, treatment.high]
    numbers = np.unique([value for value in named if np.isfinite(value)] or [-1.0, 0.0, 1.0])
    low, high = np.clip(numbers[[0, -1]], -_WIDEST, _WIDEST).tolist()
    margin = 0.1 * (high - low) + 1e-3
    if len(numbers) > _ROWS:
        numbers = numbers[np.linspace(0, len(numbers) - 1, _ROWS).astype(int)]
    close = np.concatenate([numbers, np.nextafter(numbers, -np.inf), np.nextafter(numbers, np.inf)])
    return low - margin, high + margin, close


def _fitting(field: Field, value: float) -> float:
    """Rounds the value if the field takes whole numbers."""
    if field.data_type != "integer":
        return value
    return float(np.clip(np.round(value), -1e15, 1e15))


def _outcome(score: Callable[[Columns], Scores], rows: Columns) -> Scores | None:
    try:
        return score(rows)
    except ScoringFailed:
        return None


def _unlike(compiled: Scores | None, evaluator: Scores | None) -> str | None:
    if compiled is None or evaluator is None:
        return None if compiled is evaluator else "an error where Java gives none, or the other way round"
    if compiled.labels != evaluator.labels:
        pairs = zip(compiled.labels or (), evaluator.labels or (), strict=False)
        ours, theirs = next((pair for pair in pairs if pair[0] != pair[1]), (None, None))
        return f"the class '{ours}' instead of '{theirs}'"
    if not _close(compiled.result, evaluator.result):
        return "other results"
    if list(compiled.outputs) != list(evaluator.outputs):
        return "other outputs"
    for name, values in compiled.outputs.items():
        if not _close(values, evaluator.outputs[name]):
            return f"other values of {name}"
    return None


def _close(ours: Numbers, theirs: Numbers) -> bool:
    return np.allclose(ours, theirs, rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True)
