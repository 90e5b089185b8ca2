"""``formatNumber`` and ``formatDatetime``: numbers and moments as texts (PMML 4.4: Built-in functions).

The standard names the formats of C's ``printf`` and ``strftime``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import STRING, Kind
from model_serving.engines.pmml.evaluator.expressions.operands import Builtin, as_kind, as_number
from model_serving.engines.pmml.evaluator.expressions.texts import constant_text
from model_serving.engines.pmml.evaluator.reading import Unsupported
from model_serving.engines.pmml.evaluator.record import Failed, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.scope import Expression, Program
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["FUNCTIONS"]

_NUMBER = re.compile(r"%([-+ 0#]*)(\d{0,3})(\.\d{1,3})?([dfeEgGs])", re.ASCII)
_ORIGIN = datetime(1970, 1, 1)  # noqa: DTZ001 - PMML's times have no zone
_DATE_LETTERS = frozenset("YymdeHIMSjpBbAahDTFRcsk")


@dataclass(frozen=True, slots=True)
class _Spelled:
    """A number or moment as a text; each different value is spelled once."""

    spell: Callable[[float], str]
    argument: Expression
    kind: Kind = STRING

    def one(self, record: Record) -> float:
        value = self.argument.one(record)
        if value != value:
            raise Failed
        return record.texts.code(self.spell(value))

    def evaluate(self, batch: Batch) -> Numbers:
        values = self.argument.evaluate(batch)
        missing = np.isnan(values)
        if missing.any():
            batch.fail(missing)
        made = {value: self._code(value, batch) for value in set(values[~missing].tolist())}
        return np.array([made.get(value, np.nan) for value in values.tolist()])

    def _code(self, value: float, batch: Batch) -> float:
        try:
            return batch.texts.code(self.spell(value))
        except (ValueError, OverflowError):
            batch.fail(self.argument.evaluate(batch) == value)
            return np.nan


def _format_number(arguments: Sequence[Expression], program: Program) -> Expression:
    pattern = constant_text(arguments[1], "pattern", program)
    number = as_number(arguments[0], program)
    bare = pattern.replace("%%", "")
    found = _NUMBER.search(bare)
    if found is None or bare.count("%") != 1:
        raise Unsupported(f"the pattern '{pattern}', which is not one of a number")
    letter = found.group(4)
    is_whole = number.kind.data_type in {"integer", "boolean"}
    if letter == "d":
        return _Spelled(lambda value: pattern % _whole(value), number)
    if letter == "s":
        return _Spelled(lambda value: pattern % (int(value) if is_whole else value), number)
    return _Spelled(lambda value: pattern % value, number)


def _whole(value: float) -> int:
    if not value.is_integer():
        raise ValueError(value)
    return int(value)


def _format_moment(arguments: Sequence[Expression], program: Program) -> Expression:
    pattern = constant_text(arguments[1], "pattern", program)
    for letter in re.findall(r"%(.?)", pattern.replace("%%", "")):
        if letter not in _DATE_LETTERS:
            raise Unsupported(f"the conversion '%{letter}' in the pattern '{pattern}'")
    moment = arguments[0]
    if moment.kind.is_text:
        moment = as_kind(moment, Kind("dateTime", "ordinal"), program)
    unit = {"date": 86_400.0, "dateTime": 1.0, "time": 1.0}.get(moment.kind.data_type)
    if unit is None:
        raise Unsupported(f"a value of type {moment.kind.data_type} where a date or time belongs")
    return _Spelled(lambda value: _moment(value * unit, pattern), moment)


_ENGLISH_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_ENGLISH_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def _moment(seconds: float, pattern: str) -> str:
    moment = _ORIGIN + timedelta(seconds=seconds)
    return re.sub(r"%(.)", lambda match: _conversion(match.group(1), moment, seconds), pattern)


def _conversion(letter: str, moment: datetime, seconds: float) -> str:
    """Spells one part of a moment; names are English, whatever language the machine speaks."""
    month, day = _ENGLISH_MONTHS[moment.month - 1], _ENGLISH_DAYS[moment.weekday()]
    hour12 = (moment.hour + 11) % 12 + 1
    half = "AM" if moment.hour < 12 else "PM"
    clock = f"{moment.hour:02}:{moment.minute:02}"
    spelled = {
        "%": "%",
        "Y": f"{moment.year:04}",
        "y": f"{moment.year % 100:02}",
        "m": f"{moment.month:02}",
        "d": f"{moment.day:02}",
        "e": f"{moment.day}",
        "H": f"{moment.hour:02}",
        "k": f"{moment.hour}",
        "I": f"{hour12:02}",
        "M": f"{moment.minute:02}",
        "S": f"{moment.second:02}",
        "j": f"{moment.timetuple().tm_yday:03}",
        "p": half,
        "B": month,
        "b": month[:3],
        "h": month[:3],
        "A": day,
        "a": day[:3],
        "D": f"{moment.month:02}/{moment.day:02}/{moment.year % 100:02}",
        "F": f"{moment.year:04}-{moment.month:02}-{moment.day:02}",
        "T": f"{clock}:{moment.second:02}",
        "R": clock,
        "c": f"{day[:3]} {month[:3]} {moment.day:02} {clock}:{moment.second:02} {moment.year:04}",
        "s": f"{int(seconds // 1)}",
    }
    return spelled[letter]


FUNCTIONS: Mapping[str, Builtin] = {
    "formatNumber": Builtin(2, 2, _format_number),
    "formatDatetime": Builtin(2, 2, _format_moment),
}
"""The functions that spell numbers and moments, by name."""
