"""Built-in functions of dates and times (PMML 4.4: Built-in functions)."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import INTEGER, Kind
from model_serving.engines.pmml.evaluator.expressions.constants import Constant
from model_serving.engines.pmml.evaluator.expressions.operands import Builtin, as_kind, numeric
from model_serving.engines.pmml.evaluator.reading import Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from model_serving.engines.pmml.evaluator.scope import Expression, Program

__all__ = ["FUNCTIONS"]

_DAY = 86_400.0
_EPOCH = date(1970, 1, 1).toordinal()
_DATE = Kind("date", "ordinal")
_MOMENT = Kind("dateTime", "ordinal")
_TIME = Kind("time", "ordinal")


def _year(argument: Expression) -> int:
    """Returns the year that a function counts from, as the days from 1970-01-01 to its first day."""
    if not isinstance(argument, Constant) or not argument.kind.is_number:
        raise Unsupported("a year that is not a constant number")
    try:
        return date(int(argument.value), 1, 1).toordinal() - _EPOCH
    except (ValueError, OverflowError):
        raise Unsupported(f"the year {argument.value:g}") from None


def _days(arguments: Sequence[Expression], program: Program) -> Expression:
    """Days from January 1st of a year to a date; negative before it."""
    origin = float(_year(arguments[1]))
    moment = arguments[0]
    if moment.kind.data_type == "dateTime":
        return numeric(INTEGER, lambda seconds: np.floor(seconds / _DAY) - origin, (moment,))
    return numeric(INTEGER, lambda days: days - origin, (_dated(moment, _DATE, program),))


def _seconds(arguments: Sequence[Expression], program: Program) -> Expression:
    """Seconds from midnight of January 1st of a year to a moment."""
    origin = float(_year(arguments[1])) * _DAY
    moment = arguments[0]
    if moment.kind.data_type == "date":
        return numeric(INTEGER, lambda days: days * _DAY - origin, (moment,))
    return numeric(INTEGER, lambda seconds: np.floor(seconds) - origin, (_dated(moment, _MOMENT, program),))


def _since_midnight(arguments: Sequence[Expression], program: Program) -> Expression:
    """Seconds from midnight to a time of day."""
    moment = arguments[0]
    if moment.kind.data_type == "dateTime":
        return numeric(INTEGER, lambda seconds: np.floor(np.mod(seconds, _DAY)), (moment,))
    return numeric(INTEGER, np.floor, (_dated(moment, _TIME, program),))


def _dated(moment: Expression, kind: Kind, program: Program) -> Expression:
    if moment.kind.data_type != kind.data_type and not moment.kind.is_text:
        raise Unsupported(f"a value of type {moment.kind.data_type} where a {kind.data_type} belongs")
    return as_kind(moment, kind, program)


FUNCTIONS: Mapping[str, Builtin] = {
    "dateDaysSinceYear": Builtin(2, 2, _days),
    "dateSecondsSinceYear": Builtin(2, 2, _seconds),
    "dateSecondsSinceMidnight": Builtin(1, 1, _since_midnight),
}
"""The functions of dates and times by name."""
