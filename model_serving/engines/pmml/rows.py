"""Converts rows of fields to the evaluator's JSON, and its answers to numbers and classes."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.core.messages import OutputRule
from model_serving.engines.foreign_errors import first_line
from model_serving.engines.results import spelled_number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from model_serving.core.engine import Columns
    from model_serving.engines.pmml.document import PmmlInput

__all__ = ["Classes", "RowEncoder", "numbers_of", "whole_number"]

_NO_INTEGER = -(2**63)
"""The answer of the evaluator (PMML4S 1.5.8) for "no value" when the type is integer."""


class RowEncoder:
    """Writes rows as the evaluator reads them: NaN and empty text are ``null``, PMML's missing value.

    The evaluator (PMML4S 1.5.8) reads ``null`` as -2**63 in an integer field and as false in a boolean field;
    there, only an absent value is missing. So a batch with a missing value in such a field is written as
    objects, which leave it out. Every batch is written as objects when each row may be answered with other
    columns (``by_name``).
    """

    def __init__(self, inputs: Sequence[PmmlInput], *, by_name: bool = False) -> None:
        self._by_name = by_name
        self._head = '{"columns":' + json.dumps([field.name for field in inputs]) + ',"data":'
        self._names = [json.dumps(field.name) for field in inputs]
        self._encoders = [_ENCODERS.get(field.data_type, _text) for field in inputs]
        self._only_reals = all(encoder is _real for encoder in self._encoders)
        self._never_null = [
            index for index, encoder in enumerate(self._encoders) if encoder in {_integer, _boolean}
        ]

    def encode(self, columns: Columns) -> str:
        """Returns the request for these rows, of shape (n, inputs).

        Raises:
            ScoringFailed: a field that takes whole numbers has a number with a fraction.
        """
        if self._only_reals and not self._by_name and np.isfinite(columns).all():
            return f"{self._head}{json.dumps(columns.tolist())}}}"
        rows = [
            [encode(value) for encode, value in zip(self._encoders, row, strict=True)]
            for row in columns.tolist()
        ]
        if self._by_name or any(row[index] == "null" for row in rows for index in self._never_null):
            return f"[{','.join(self._object(row) for row in rows)}]"
        return f"{self._head}[[{'],['.join(','.join(row) for row in rows)}]]}}"

    def _object(self, row: Sequence[str]) -> str:
        present = (f"{name}:{text}" for name, text in zip(self._names, row, strict=True) if text != "null")
        return f"{{{','.join(present)}}}"


def _real(value: float) -> str:
    if math.isnan(value):
        return "null"
    # JSON has no infinity; a number beyond the range of a double is read as infinity.
    return repr(value) if math.isfinite(value) else ("1e999" if value > 0 else "-1e999")


def _integer(value: float) -> str:
    return "null" if math.isnan(value) else str(whole_number(value))


def whole_number(value: float) -> int:
    """Returns the value of a field that takes whole numbers.

    Raises:
        ScoringFailed: the record's number has a fraction, or is infinite.
    """
    if not value.is_integer():
        raise ScoringFailed(f"the model takes whole numbers, but the record has {value}")
    return int(value)


def _boolean(value: float) -> str:
    return "null" if math.isnan(value) else ("true" if value else "false")


def _text(value: str) -> str:
    return json.dumps(value) if value else "null"


_ENCODERS: dict[str, Callable[[Any], str]] = {
    "double": _real,
    "float": _real,
    "integer": _integer,
    "boolean": _boolean,
}


def numbers_of(values: Sequence[Any] | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Returns the evaluator's numbers, NaN where it gives none."""
    numbers = np.array(values, dtype=np.float64)
    numbers[numbers == _NO_INTEGER] = np.nan
    return numbers


class Classes:
    """Reads predicted classes: the text of the label and the number that stands for it."""

    def __init__(self, labels: Sequence[str], rule: OutputRule) -> None:
        """Creates the reader.

        Args:
            labels: the target's values in DataDictionary order; empty when the model does not list them.
            rule: which number stands for a class.

        Raises:
            ModelRejected: ``rule`` is ARGMAX and the model lists no values, or it is not ARGMAX and a label
                does not spell a number.
        """
        self._known: dict[Any, tuple[str, float]] = {None: ("", math.nan), _NO_INTEGER: ("", math.nan)}
        if rule is OutputRule.ARGMAX and not labels:
            raise ModelRejected(
                "output ARGMAX needs the target's values in the DataDictionary, but it has none"
            )
        for index, label in enumerate(labels):
            spelled = spelled_number(label)
            if rule is not OutputRule.ARGMAX and spelled is None:
                raise ModelRejected(
                    f"the class '{first_line(label)}' does not spell a number: set output to ARGMAX, "
                    "the result is then the index of the class in the DataDictionary"
                )
            number = float(index) if rule is OutputRule.ARGMAX or spelled is None else spelled
            self._known[label] = (label, number)
            if spelled is not None:
                # Labels of a numeric type come as numbers, however the document spells them.
                self._known.setdefault(spelled, (label, number))

    def read(self, values: Sequence[Any]) -> tuple[list[str], npt.NDArray[np.float64]]:
        """Labels and results of the predicted values; "" and NaN where there is none.

        Raises:
            ScoringFailed: the model does not list a label, and the label does not spell a number.
        """
        known = [self._known.get(value) or self._read_unknown(value) for value in values]
        return [label for label, _ in known], np.array([number for _, number in known], dtype=np.float64)

    def _read_unknown(self, value: Any) -> tuple[str, float]:
        number = spelled_number(str(value))
        if number is None:
            raise ScoringFailed(f"the model predicts '{first_line(value)}', which does not spell a number")
        return str(value), number
