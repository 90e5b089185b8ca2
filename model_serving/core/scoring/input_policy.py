"""Finds records that lack a value which their model takes."""

from __future__ import annotations

from enum import Enum

import numpy as np
import numpy.typing as npt

from model_serving.core.engine import Columns
from model_serving.core.errors import InvalidRecord
from model_serving.core.scoring.finite import all_finite

__all__ = ["MissingPolicy", "is_complete", "lacks_value", "missing_value"]


class MissingPolicy(Enum):
    """The values of ``--missing``: what happens to a record that lacks a value which its model takes."""

    REJECT = "reject"
    PASS = "pass"  # noqa: S105 - not a password


def is_complete(columns: Columns) -> bool:
    """Whether no row lacks a value. This test is fast, because it is made for every batch."""
    if columns.dtype != object:
        return all_finite(columns)
    return not lacks_value(columns).any()


def lacks_value(columns: Columns) -> npt.NDArray[np.bool_]:
    """For each of n rows, whether a number in it is NaN or infinite: shape (n,).

    A text that is not set is empty, as in protobuf, and counts as a value.
    """
    if columns.dtype != object:
        return np.asarray(~np.isfinite(columns).all(axis=1))
    return np.array([any(map(_is_no_number, row)) for row in columns], dtype=bool)


def missing_value(fields: tuple[str, ...], row: npt.NDArray[np.generic]) -> InvalidRecord:
    """The error for a row that lacks a value; its text names the first such field."""
    field, value = next(
        (field, value) for field, value in zip(fields, row, strict=True) if _is_no_number(value)
    )
    return InvalidRecord(
        f"its field {field} has no finite value ({value}): send one, or start the job with --missing pass"
    )


def _is_no_number(value: object) -> bool:
    return isinstance(value, float) and not np.isfinite(value)
