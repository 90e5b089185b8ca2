"""PMML's data types, and how their values are kept as numbers.

============================  ====================================================
dataType                      kept as
============================  ====================================================
integer, double               the number
float                         the number, rounded to 32 bits
boolean                       1 and 0
string                        the code of the text (module ``symbols``)
date                          days since 1970-01-01
time                          seconds since midnight
dateTime                      seconds since 1970-01-01, in no time zone
dateDaysSince[Y]              days since January 1 of the year Y
timeSeconds                   seconds since midnight
dateTimeSecondsSince[Y]       seconds since January 1 of the year Y
============================  ====================================================

NaN stands for a missing value in all of them.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from model_serving.engines.pmml.evaluator.reading import Unsupported, decimal

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Mask
    from model_serving.engines.pmml.evaluator.symbols import Numbers, Symbols, Texts

__all__ = [
    "BOOLEAN",
    "DOUBLE",
    "INTEGER",
    "OPTYPES",
    "STRING",
    "Kind",
    "as_single",
    "common_kind",
    "constant",
    "converted",
    "numeric_reader",
    "read_kind",
    "spelled",
    "spelled_value",
]

_SINGLE = Struct("f")
_SINCE = re.compile(r"(date|dateTime)(Days|Seconds)Since\[(\d{4})\]")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_AFTER_DATE = tuple("T Z+-")
"""What a text may go on with after its date: a time or a zone."""

_PLAIN = frozenset(
    {"string", "integer", "float", "double", "boolean", "date", "time", "dateTime", "timeSeconds"}
)
OPTYPES = ("continuous", "categorical", "ordinal")
_DAY = 86_400.0
_MOST_SINGLE = 3.4e38
"""A number up to this one can be rounded to 32 bits."""
_EPOCH = date(1970, 1, 1)
_ORIGIN = datetime(1970, 1, 1)  # noqa: DTZ001 - PMML's times have no zone


class Kind(NamedTuple):
    """The type of a value: its ``dataType`` and its ``optype``, as PMML names them."""

    data_type: str
    optype: str

    @property
    def is_text(self) -> bool:
        """Whether values are codes of texts."""
        return self.data_type == "string"

    @property
    def is_number(self) -> bool:
        """Whether values are numbers that a record's numeric field gives (``boolean`` is one)."""
        return self.data_type in {"integer", "float", "double", "boolean"}

    @property
    def is_continuous(self) -> bool:
        """Whether values are measured, not named."""
        return self.optype == "continuous"


STRING = Kind("string", "categorical")
DOUBLE = Kind("double", "continuous")
INTEGER = Kind("integer", "continuous")
BOOLEAN = Kind("boolean", "categorical")


def read_kind(element: Element, default: Kind | None = None) -> Kind:
    """Reads ``dataType`` and ``optype``; what is absent is taken from ``default``, else told by the type.

    Raises:
        Unsupported: a type is not known, or ``dataType`` is absent and there is no default.
    """
    data_type = element.get("dataType") or (default.data_type if default else None)
    if data_type is None:
        raise Unsupported(f"{element.tag} '{element.get('name')}' without dataType")
    if data_type not in _PLAIN and not _SINCE.fullmatch(data_type):
        raise Unsupported(f"dataType '{data_type}' of {element.tag} '{element.get('name')}'")
    optype = element.get("optype") or (default.optype if default else None)
    if optype is None:
        optype = "categorical" if data_type in {"string", "boolean"} else "continuous"
    if optype not in OPTYPES:
        raise Unsupported(f"optype '{optype}' of {element.tag} '{element.get('name')}'")
    return Kind(data_type, optype)


def common_kind(kinds: list[Kind]) -> Kind:
    """Returns the kind that values of several kinds have together: the widest number, else text.

    JPMML and the standard's examples agree: integer < float < double; anything beside text is text.
    """
    types = {kind.data_type for kind in kinds}
    if len(types) == 1:
        return kinds[0]
    for widest in ("string", "double", "float", "integer"):
        if widest in types and types <= {"integer", "float", "double", "boolean"} | {widest}:
            return Kind(widest, "categorical" if widest == "string" else "continuous")
    raise Unsupported(f"values of the types {', '.join(sorted(types))} together")


def constant(text: str, data_type: str, symbols: Symbols) -> float:
    """Returns a value that the document spells.

    Raises:
        Unsupported: the text does not spell a value of this type.
    """
    if data_type == "string":
        return symbols.code(text)
    try:
        return numeric_reader(data_type)(text)
    except ValueError:
        raise Unsupported(f"the value '{text}', which does not spell a value of type {data_type}") from None


def numeric_reader(data_type: str) -> Callable[[str], float]:
    """Returns what reads texts as values of a type but ``string``; it raises ValueError for others."""
    if data_type in _READERS:
        return _READERS[data_type]
    match = _SINCE.fullmatch(data_type)
    if match is None:
        raise Unsupported(f"dataType '{data_type}'")
    origin = date(int(match.group(3)), 1, 1)
    days = float((origin - _EPOCH).days)
    if match.group(2) == "Days":
        return lambda text: _number_or(text, lambda one: _read_date(one) - days)
    return lambda text: _number_or(text, lambda one: _read_moment(one) - days * _DAY)


def converted(values: Numbers, kind: Kind, to: Kind, texts: Texts) -> tuple[Numbers, Mask | None]:
    """Returns values of one type as values of another.

    Returns:
        The values, and a mask (n,) of those that do not spell a value of the type, None when there are none.

    Raises:
        Unsupported: values of one type cannot become values of the other.
    """
    source, target = kind.data_type, to.data_type
    if source == target:
        return values, None
    if target == "string":
        return _spelled_codes(values, source, texts)
    if source == "string":
        read = numeric_reader(target)
        bad: list[float] = []

        def number(text: str) -> float:
            try:
                return read(text)
            except ValueError:
                bad.append(texts.code(text))
                return np.nan

        made = texts.numbers(values, number)
        return made, (np.isin(values, bad) if bad else None)
    if target == "float":
        return values.astype(np.float32).astype(np.float64), None
    if target == "double":
        return values, None
    if target == "integer":
        return _whole(values, source)
    if target == "boolean":
        odd = ~((values == 0.0) | (values == 1.0) | np.isnan(values))
        return np.where(odd, np.nan, values), (odd if odd.any() else None)
    return _moments(values, source, target)


def _spelled_codes(values: Numbers, source: str, texts: Texts) -> tuple[Numbers, Mask | None]:
    """Returns the codes of spelled values; a whole number or a date that is infinite has no spelling."""
    spell, given = spelled_value(source), values.tolist()
    made: dict[float, float] = {}
    for value in set(given):
        with suppress(OverflowError, ValueError):
            if value == value:
                made[value] = texts.code(spell(value))
    codes = np.array([made.get(value, np.nan) for value in given])
    failed = np.isnan(codes) & ~np.isnan(values)
    return codes, (failed if failed.any() else None)


def as_single(value: float) -> float:
    """Returns a number rounded to 32 bits.

    Raises:
        OverflowError: it is too large for them.
    """
    rounded: float = _SINGLE.unpack(_SINGLE.pack(value))[0]
    return rounded


def spelled_value(data_type: str) -> Callable[[float], str]:
    """Returns what spells a value of a type as Java does: ``1`` integer, ``1.0`` double, ``true`` boolean."""
    if data_type == "integer":
        return lambda value: str(int(value))
    if data_type == "boolean":
        return lambda value: "true" if value else "false"
    if data_type == "date":
        return lambda value: date.fromordinal(_EPOCH.toordinal() + int(value)).isoformat()
    if data_type == "dateTime":
        return lambda value: (_ORIGIN + timedelta(seconds=value)).isoformat()
    if data_type == "time":
        return lambda value: (_ORIGIN + timedelta(seconds=value)).time().isoformat()
    if data_type == "float":
        return lambda value: _java_number(np.float32(value))
    return lambda value: _java_number(np.float64(value))


def spelled(value: float, kind: Kind, texts: Texts) -> str:
    """Returns the text of one value that is not missing."""
    return texts.text(value) if kind.is_text else spelled_value(kind.data_type)(value)


def _java_number(value: np.float64 | np.float32) -> str:
    """Spells a number as ``Double.toString``: with an exponent below 1e-3 and from 1e7 on."""
    plain = float(value)
    if plain != plain or plain in (np.inf, -np.inf):
        return "NaN" if plain != plain else ("Infinity" if plain > 0 else "-Infinity")
    if plain == 0.0 or 1e-3 <= abs(plain) < 1e7:
        return np.format_float_positional(value, unique=True, trim="0")
    digits = np.format_float_scientific(value, unique=True, trim="0", exp_digits=1)
    return digits.replace("e+", "E").replace("e", "E")


def _whole(values: Numbers, source: str) -> tuple[Numbers, Mask | None]:
    if np.isfinite(values).all() and (np.floor(values) == values).all():
        return values, None
    odd = ~np.isnan(values) & (values != np.floor(values)) | np.isinf(values)
    if source == "boolean" or not odd.any():
        return values, None
    return np.where(odd, np.nan, values), odd


def _moments(values: Numbers, source: str, target: str) -> tuple[Numbers, Mask | None]:
    match = _SINCE.fullmatch(target)
    if match is None or source not in {"date", "dateTime"}:
        raise Unsupported(f"a value of type {source} as {target}")
    days = float((date(int(match.group(3)), 1, 1) - _EPOCH).days)
    if match.group(2) == "Days":
        return (np.floor(values / _DAY) if source == "dateTime" else values) - days, None
    return (values * _DAY if source == "date" else values) - days * _DAY, None


def _number_or(text: str, read: Callable[[str], float]) -> float:
    try:
        return decimal(text)
    except ValueError:
        return read(text)


def _read_double(text: str) -> float:
    """Reads a number; ``true`` and ``false`` are 1 and 0, as some exporters write truth values."""
    try:
        return decimal(text)
    except ValueError:
        return _read_boolean(text)


def _read_integer(text: str) -> float:
    value = _read_double(text)
    if not value.is_integer():
        raise ValueError(text)
    return value


def _read_float(text: str) -> float:
    value = _read_double(text)
    if -_MOST_SINGLE < value < _MOST_SINGLE:  # it cannot overflow, and ``errstate`` takes its time
        return float(np.float32(value))
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def _read_boolean(text: str) -> float:
    lowered = text.strip().lower()
    if lowered in {"true", "1", "1.0"}:
        return 1.0
    if lowered in {"false", "0", "0.0"}:
        return 0.0
    raise ValueError(text)


def _read_date(text: str) -> float:
    stripped = text.strip()
    day, rest = stripped[:10], stripped[10:]
    if rest and not rest.startswith(_AFTER_DATE):
        raise ValueError(text)
    if not _DATE.fullmatch(day):  # Python also reads 20040820 and 2004-W33-5, which PMML does not have
        raise ValueError(text)
    return float((date.fromisoformat(day) - _EPOCH).days)


def _read_moment(text: str) -> float:
    if not _DATE.match(text.strip()):
        raise ValueError(text)
    moment = datetime.fromisoformat(text.strip()).replace(tzinfo=None)
    return (moment - _ORIGIN).total_seconds()


def _read_time(text: str) -> float:
    moment = time.fromisoformat(text.strip())
    return moment.hour * 3600.0 + moment.minute * 60.0 + moment.second + moment.microsecond / 1e6


_READERS: dict[str, Callable[[str], float]] = {
    "integer": _read_integer,
    "double": _read_double,
    "float": _read_float,
    "boolean": _read_boolean,
    "date": _read_date,
    "dateTime": _read_moment,
    "time": _read_time,
    "timeSeconds": lambda text: _number_or(text, _read_time),
}
