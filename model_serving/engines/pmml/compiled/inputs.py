"""Turns the columns of records into the numbers that a compiled model takes."""

from __future__ import annotations

from decimal import Context
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from model_serving.engines.pmml.rows import whole_number

if TYPE_CHECKING:
    from model_serving.core.engine import Columns
    from model_serving.engines.pmml.compiled.fields import Fields, Numbers

__all__ = ["Inputs"]

_LONG = 2**63
_JAVA_DECIMALS = Context(prec=34)


class Inputs:
    """Encodes the fields' values and applies their treatment."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields.all
        self._treated = [field for field in fields.all if not field.treatment.is_plain]
        self._numeric = all(field.codes is None for field in fields.all)
        self._whole = [field.column for field in fields.all if field.data_type == "integer"]

    def prepared(self, columns: Columns) -> tuple[Numbers, npt.NDArray[np.bool_] | None]:
        """Returns the values for the model, and which rows get no result.

        The values have shape (n, fields), are C-contiguous, and are NaN if missing. The rows without a result
        are a mask of shape (n,), or None when there are none.

        Raises:
            ScoringFailed: a field that takes whole numbers has a number with a fraction.
        """
        if self._whole:
            columns = self._with_longs(columns)
        if self._numeric and columns.dtype == np.float64:
            values = np.array(columns, order="C") if self._treated else np.ascontiguousarray(columns)
        else:
            values = np.empty(columns.shape)
            for index, field in enumerate(self._fields):
                values[:, index] = field.encode(columns[:, index])
        if not self._treated:
            return values, None
        void = np.zeros(len(values), dtype=bool)
        for field in self._treated:
            field.treatment.apply(values[:, field.column], void)
        return values, void

    def _with_longs(self, columns: Columns) -> Columns:
        """Converts whole numbers as Java's ``long`` does."""
        whole = columns[:, self._whole].astype(np.float64)
        odd = ~np.isnan(whole) & ((whole != np.floor(whole)) | ~(np.abs(whole) < _LONG))
        if not odd.any():
            return columns
        columns = columns.copy()
        for row, place in zip(*np.nonzero(odd), strict=True):
            value = int(_JAVA_DECIMALS.create_decimal(whole_number(float(whole[row, place]))))
            columns[row, self._whole[place]] = float((value + _LONG) % (2 * _LONG) - _LONG)
        return columns
