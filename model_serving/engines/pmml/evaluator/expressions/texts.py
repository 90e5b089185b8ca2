"""Built-in functions of texts (PMML 4.4: Built-in functions). Each is called once for each different text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import BOOLEAN, DOUBLE, INTEGER, STRING, Kind
from model_serving.engines.pmml.evaluator.expressions.constants import Constant
from model_serving.engines.pmml.evaluator.expressions.operands import MANY, Builtin, as_kind, as_text
from model_serving.engines.pmml.evaluator.expressions.regular_expressions import (
    compiled,
    replacement,
)
from model_serving.engines.pmml.evaluator.reading import Unsupported
from model_serving.engines.pmml.evaluator.record import Failed, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.scope import Expression, Program
    from model_serving.engines.pmml.evaluator.symbols import Numbers, Texts

__all__ = ["FUNCTIONS", "OfText", "constant_text"]

_BLANKS = "".join(map(chr, range(33)))
"""What Java's ``trim`` takes off: the space and all characters before it."""


@dataclass(frozen=True, slots=True)
class OfText:
    """A function of one text. A missing text, or one that the function refuses, makes the record fail.

    ``function`` gives a text where ``kind`` is text, else a number; it raises ValueError for what it refuses.
    """

    kind: Kind
    function: Callable[[str], str | float]
    argument: Expression

    def evaluate(self, batch: Batch) -> Numbers:
        """See ``Expression.evaluate``."""
        texts = batch.texts
        found = texts.numbers(self.argument.evaluate(batch), lambda text: self._value(text, texts))
        _fail_where_missing(found, batch)
        return found

    def one(self, record: Record) -> float:
        """See ``Expression.one``."""
        code = self.argument.one(record)
        if code != code:
            raise Failed
        try:
            value = self.function(record.texts.text(code))
        except ValueError:
            raise Failed from None
        return record.texts.code(str(value)) if self.kind.is_text else float(value)

    def _value(self, text: str, texts: Texts) -> float:
        try:
            value = self.function(text)
        except ValueError:
            return np.nan
        return texts.code(str(value)) if self.kind.is_text else float(value)


def _fail_where_missing(values: Numbers, batch: Batch) -> None:
    total = np.add.reduce(values)
    if total != total:
        batch.fail(np.isnan(values))


def constant_text(expression: Expression, what: str, program: Program) -> str:
    """Returns the text of an argument that must be a constant.

    Raises:
        Unsupported: it is something else; ``what`` names it.
    """
    if not isinstance(expression, Constant) or expression.value != expression.value:
        raise Unsupported(f"a {what} that is not a constant")
    constant = as_text(expression, program) if expression.kind.is_text else None
    if not isinstance(constant, Constant):
        raise Unsupported(f"a {what} that is not a text")
    return program.symbols.texts[int(constant.value)]


def _of_text(
    kind: Kind, function: Callable[[str], str | float], arguments: Sequence[Expression], program: Program
) -> Expression:
    return OfText(kind, function, as_text(arguments[0], program))


@dataclass(frozen=True, slots=True)
class _Substring:
    """``substring(text, first place, length)``; the first character is at place 1."""

    arguments: tuple[Expression, Expression, Expression]
    kind: Kind = STRING

    def one(self, record: Record) -> float:
        code, place, length = (argument.one(record) for argument in self.arguments)
        if not (code == code and place >= 1 and length >= 0):
            raise Failed
        first = int(place) - 1
        return record.texts.code(record.texts.text(code)[first : first + int(length)])

    def evaluate(self, batch: Batch) -> Numbers:
        codes, places, lengths = (argument.evaluate(batch) for argument in self.arguments)
        texts = batch.texts
        made: dict[tuple[float, float, float], float] = {}
        values = []
        for key in zip(codes.tolist(), places.tolist(), lengths.tolist(), strict=True):
            value = made.get(key)
            if value is None:
                code, place, length = key
                value = np.nan
                if code == code and place >= 1 and length >= 0:
                    first = int(place) - 1
                    value = texts.code(texts.text(code)[first : first + int(length)])
                made[key] = value
            values.append(value)
        found = np.array(values)
        _fail_where_missing(found, batch)
        return found


def _substring(arguments: Sequence[Expression], program: Program) -> Expression:
    text, *places = arguments
    first, length = (as_kind(place, DOUBLE, program) if place.kind.is_text else place for place in places)
    return _Substring((as_text(text, program), first, length))


@dataclass(frozen=True, slots=True)
class _Concat:
    """The texts one after the other; a missing one is left out."""

    arguments: tuple[Expression, ...]
    kind: Kind = STRING

    def one(self, record: Record) -> float:
        text = record.texts.text
        codes = [argument.one(record) for argument in self.arguments]
        return record.texts.code("".join([text(code) for code in codes if code == code]))

    def evaluate(self, batch: Batch) -> Numbers:
        texts = batch.texts
        columns = [argument.evaluate(batch) for argument in self.arguments]
        # No code is negative; two values that are missing are not equal, but -1 is equal to -1.
        rows = list(zip(*[np.where(np.isnan(one), -1.0, one).tolist() for one in columns], strict=True))
        made = {
            row: texts.code("".join([texts.text(code) for code in row if code >= 0.0]))
            for row in dict.fromkeys(rows)
        }
        return np.array([made[row] for row in rows], dtype=np.float64)


def _concat(arguments: Sequence[Expression], program: Program) -> Expression:
    return _Concat(tuple(as_text(argument, program) for argument in arguments))


def _replace(arguments: Sequence[Expression], program: Program) -> Expression:
    pattern = compiled(constant_text(arguments[1], "regular expression", program))
    substitute = replacement(constant_text(arguments[2], "replacement", program), pattern)
    return OfText(STRING, lambda text: pattern.replaced(text, substitute), as_text(arguments[0], program))


def _matches(arguments: Sequence[Expression], program: Program) -> Expression:
    """Whether some part of the text matches."""
    pattern = compiled(constant_text(arguments[1], "regular expression", program))
    return OfText(BOOLEAN, lambda text: float(pattern.found(text)), as_text(arguments[0], program))


FUNCTIONS: Mapping[str, Builtin] = {
    "uppercase": Builtin(1, 1, partial(_of_text, STRING, str.upper)),
    "lowercase": Builtin(1, 1, partial(_of_text, STRING, str.lower)),
    "trimBlanks": Builtin(1, 1, partial(_of_text, STRING, lambda text: text.strip(_BLANKS))),
    "stringLength": Builtin(1, 1, partial(_of_text, INTEGER, lambda text: float(len(text)))),
    "substring": Builtin(3, 3, _substring),
    "concat": Builtin(1, MANY, _concat),
    "replace": Builtin(3, 3, _replace),
    "matches": Builtin(2, 2, _matches),
}
"""The functions of texts by name."""
