"""Regular expressions of documents, compiled for Python's ``re`` with a bound on the time that they take.

The standard's are those of Perl and XML, exporters write Java's. They come from outside, and ``re`` searches
by trying out, so an expression may take time that grows with a power of the text's length, or doubles with
each character. The translation (module ``expression_syntax``) counts the ways to try: it refuses what may
double, and here a text is refused that is too long for the power. ``STEPS`` tries take some seconds at worst.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from model_serving.engines.pmml.evaluator.expressions.expression_syntax import translated
from model_serving.engines.pmml.evaluator.reading import Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LONGEST_TEXT", "STEPS", "Pattern", "compiled", "replacement"]

LONGEST_TEXT = 1_000_000
STEPS = 3e8


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled regular expression, and the length of texts up to which it may be used."""

    expression: re.Pattern[str]
    longest: int

    def found(self, text: str) -> bool:
        """Returns whether some part of a text matches.

        Raises:
            ValueError: the text is too long.
        """
        return self.expression.search(self._bounded(text)) is not None

    def replaced(self, text: str, substitute: Callable[[re.Match[str]], str]) -> str:
        """Returns a text with a substitute for each match.

        Raises:
            ValueError: the text is too long.
        """
        return self.expression.sub(substitute, self._bounded(text))

    def matches(self, text: str) -> list[str]:
        """Returns the parts of a text that match.

        Raises:
            ValueError: the text is too long.
        """
        return [match.group() for match in self.expression.finditer(self._bounded(text))]

    def between(self, text: str) -> list[str]:
        """Returns the parts of a text that lie between matches.

        Raises:
            ValueError: the text is too long.
        """
        parts, start = [], 0
        for match in self.expression.finditer(self._bounded(text)):
            parts.append(text[start : match.start()])
            start = match.end()
        return [*parts, text[start:]]

    def _bounded(self, text: str) -> str:
        if len(text) > self.longest:
            raise ValueError(f"a text of {len(text)} characters, more than {self.longest}")
        return text


@lru_cache(maxsize=256)  # many terms of a document name the same expressions
def compiled(text: str, *, ignore_case: bool = False) -> Pattern:
    """Compiles a regular expression.

    Raises:
        Unsupported: it is wrong, or it may take too long.
    """
    python, power, ways = translated(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expression = re.compile(python, re.IGNORECASE if ignore_case else 0)
    except (re.error, OverflowError, RecursionError) as error:
        raise Unsupported(f"the regular expression '{text}' ({error})") from None
    longest = LONGEST_TEXT if power == 0 else int((STEPS / ways) ** (1.0 / power))
    return Pattern(expression, min(longest, LONGEST_TEXT))


def replacement(text: str, pattern: Pattern) -> Callable[[re.Match[str]], str]:
    r"""Returns what makes the substitute of a match: ``$1`` and ``${name}`` are groups, ``\`` escapes.

    Raises:
        Unsupported: it names a group that the expression does not have.
    """
    parts: list[str | int] = []
    place = 0
    while place < len(text):
        char = text[place]
        if char == "\\" and place + 1 < len(text):
            parts.append(text[place + 1])
            place += 2
        elif char == "$":
            group, place = _group(text, place + 1, pattern.expression)
            parts.append(group)
        else:
            parts.append(char)
            place += 1
    if all(isinstance(part, str) for part in parts):
        fixed = "".join(map(str, parts))
        return lambda _: fixed
    return lambda match: "".join(
        part if isinstance(part, str) else (match.group(part) or "") for part in parts
    )


def _group(text: str, place: int, expression: re.Pattern[str]) -> tuple[int, int]:
    """Returns the group that a reference names, and the place behind the reference."""
    named = re.match(r"\{([A-Za-z][A-Za-z0-9]*)\}", text[place:])
    if named and named.group(1) in expression.groupindex:
        return expression.groupindex[named.group(1)], place + named.end()
    digits = re.match(r"[0-9]+", text[place:])
    for length in range(len(digits.group()) if digits else 0, 0, -1):  # as many digits as name a group
        number = int(text[place : place + length])
        if number <= expression.groups:
            return number, place + length
    raise Unsupported(f"the replacement '{text}', which names a group that the expression does not have")
