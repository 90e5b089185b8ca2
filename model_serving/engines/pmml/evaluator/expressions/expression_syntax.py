r"""Translates a regular expression of Perl, XML or Java to Python's syntax, and counts the ways to try it.

What differs: ``\w``, ``\d`` and ``\s`` mean ASCII (unless the expression starts with ``(?u)`` or ``(?U)``),
classes such as ``\p{L}`` and ``\h``, ``\Q...\E``, ``\z`` and ``\Z``, named groups. Classes within classes and
flags in the middle are refused.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from model_serving.engines.pmml.evaluator.reading import Unsupported

__all__ = ["LONGEST_PATTERN", "translated"]

LONGEST_PATTERN = 2_000
_DEEPEST = 30
_STEPS_OF_A_WAY = 10.0
_MOST_WAYS = 10_000.0
_HIGHEST_POWER = 6
_QUANTIFIER = re.compile(r"(\*|\+|\?|\{(\d+)(,?)(\d*)\})([+?]?)", re.ASCII)
_NAMED_GROUP = re.compile(r"\?P?<([A-Za-z]\w*)>", re.ASCII)
_START_FLAGS = re.compile(r"\(\?([imsxuU]+)\)")
_LOCAL_FLAGS = re.compile(r"\?([imsu]*)(-[imsu]+)?:")
_UNICODE = {"w": r"\w", "d": r"\d", "s": r"\s", "W": r"\W", "D": r"\D", "S": r"\S"}
_ASCII = {
    "w": "a-zA-Z0-9_",
    "d": "0-9",
    "s": r"\t-\r ",
    "W": r"\x00-/:-@\[-\^`\{-\U0010ffff",
    "D": r"\x00-/:-\U0010ffff",
    "S": r"\x00-\x08\x0e-\x1f!-\U0010ffff",
    "h": r" \t\xa0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000",
    "v": r"\n-\r\x85\u2028\u2029",
}
_POSIX = {
    "Lower": "a-z",
    "Upper": "A-Z",
    "ASCII": r"\x00-\x7f",
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Alnum": "a-zA-Z0-9",
    "Punct": r"!-/:-@\[-`\{-~",
    "Graph": "!-~",
    "Print": " -~",
    "Blank": r" \t",
    "Cntrl": r"\x00-\x1f\x7f",
    "XDigit": "0-9a-fA-F",
    "Space": r"\t-\r ",
}
_SIMPLE = {"t": r"\t", "n": r"\n", "r": r"\r", "f": r"\f", "a": r"\x07", "e": r"\x1b"}
_PLACES = {"b": r"\b", "B": r"\B", "A": r"\A", "z": r"\Z", "Z": r"(?=\n?\Z)"}


@dataclass(slots=True)
class _Cost:
    """How a part is tried: ways that do not depend on the text, and the power of its length."""

    ways: float = 1.0
    power: int = 0


def translated(text: str) -> tuple[str, int, float]:
    """Translates a regular expression.

    Returns:
        The expression for Python, the power of a text's length with which its time may grow (0: not with the
        tries), and a factor.

    Raises:
        Unsupported: a part of it is not known, or it may take too long.
    """
    if len(text) > LONGEST_PATTERN:
        raise Unsupported(f"a regular expression of {len(text)} characters; up to {LONGEST_PATTERN} are read")
    return _Translation(text).whole()


class _Translation:
    """One pass over an expression, from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._unicode = False

    def whole(self) -> tuple[str, int, float]:
        flags = ""
        start = _START_FLAGS.match(self._text)
        if start:
            self._place = start.end()
            self._unicode = "u" in start.group(1).lower()
            kept = "".join(flag for flag in dict.fromkeys(start.group(1)) if flag in "ims")
            if "x" in start.group(1):
                raise self._refused("the flag x")
            flags = f"(?{kept})" if kept else ""
        anchored = self._text.startswith(("^", "\\A"), self._place) and "m" not in flags
        python, cost, last = self._alternatives(0)
        if self._place < len(self._text):
            raise self._refused("a closing parenthesis too many")
        if last == len(self._text) and cost.power:
            cost.power -= 1  # a repetition at the very end never has to be tried again
        if cost.power > _HIGHEST_POWER or cost.ways > _MOST_WAYS:
            raise self._refused("too many repetitions beside each other: it might take too long")
        power = cost.power + (0 if anchored or not (cost.power or cost.ways > 1) else 1)
        return flags + python, power, cost.ways * _STEPS_OF_A_WAY if cost.ways > 1 else 1.0

    def _refused(self, what: str) -> Unsupported:
        return Unsupported(f"the regular expression '{self._text}': {what}")

    def _alternatives(self, depth: int) -> tuple[str, _Cost, int]:
        """Reads up to a closing parenthesis. The last item is where a repetition at the end of it ends."""
        if depth > _DEEPEST:
            raise self._refused(f"more than {_DEEPEST} groups in each other")
        branches: list[tuple[str, _Cost]] = []
        while True:
            python, cost, last = self._sequence(depth)
            branches.append((python, cost))
            if self._place >= len(self._text) or self._text[self._place] == ")":
                break
            self._place += 1
        if len(branches) == 1:
            return python, cost, last
        distinct = len({python[:1] for python, _ in branches}) == len(branches) and all(
            python[:1].isalnum() for python, _ in branches
        )
        total = _Cost(sum(one.ways for _, one in branches), max(one.power for _, one in branches))
        if distinct and all(one.ways == 1.0 for _, one in branches):
            total.ways = 1.0
        return "|".join(python for python, _ in branches), total, -1

    def _sequence(self, depth: int) -> tuple[str, _Cost, int]:
        parts: list[str] = []
        total, last = _Cost(), -1
        while self._place < len(self._text) and self._text[self._place] not in "|)":
            part, cost = self._atom(depth)
            quantifier = _QUANTIFIER.match(self._text, self._place)
            if quantifier:
                self._place = quantifier.end()
                cost = self._repeated(cost, quantifier)
                part += quantifier.group()
                if cost.power == 1:
                    last = self._place
            parts.append(part)
            total.ways = min(total.ways * cost.ways, 1e18)
            total.power += cost.power
        return "".join(parts), total, last

    def _repeated(self, cost: _Cost, quantifier: re.Match[str]) -> _Cost:
        sign, least, comma, most, mode = quantifier.groups()
        low = int(least) if least else int(sign == "+")
        high = 1 if sign == "?" else None
        if least:
            high = int(most) if most else (None if comma else low)
        if low > 1_000 or (high or 0) > 1_000:
            raise self._refused("more than 1,000 repetitions")
        if mode == "+":
            return _Cost(1.0, cost.power)  # possessive: once it matched, it is not tried again
        if high is None:
            if cost.power or cost.ways > 1:
                raise self._refused(
                    "a repetition without a limit of something that varies itself: it might take too long"
                )
            return _Cost(1.0, 1)
        ways = (high - low + 1) * min(cost.ways, 1e6) ** min(high, 20)
        return _Cost(min(ways, 1e18), cost.power * high)

    def _atom(self, depth: int) -> tuple[str, _Cost]:
        char = self._text[self._place]
        self._place += 1
        if char == "(":
            return self._group(depth)
        if char == "[":
            return self._class(), _Cost()
        if char == "\\":
            return self._escape(in_class=False), _Cost()
        if char in ".^$":
            return char, _Cost()
        if char in "*+?":
            raise self._refused("a quantifier with nothing before it")
        return re.escape(char), _Cost()

    def _group(self, depth: int) -> tuple[str, _Cost]:
        text, opening = self._text, "("
        named = _NAMED_GROUP.match(text, self._place)
        local = _LOCAL_FLAGS.match(text, self._place)
        if named:
            opening = f"(?P<{named.group(1)}>"
            self._place = named.end()
        elif local:
            opening = "(" + local.group().replace("u", "").replace("?-:", "?:")
            self._place = local.end()
        else:
            for kind in ("?=", "?!", "?<=", "?<!", "?>"):
                if text.startswith(kind, self._place):
                    opening += kind
                    self._place += len(kind)
            if opening == "(" and text.startswith("?", self._place):
                raise self._refused(f"the group '{text[self._place - 1 : self._place + 4]}'")
        inner, cost, _ = self._alternatives(depth + 1)
        if self._place >= len(text):
            raise self._refused("a parenthesis that is not closed")
        self._place += 1
        if opening in {"(?=", "(?!", "(?<=", "(?<!", "(?>"}:
            cost = _Cost(1.0, cost.power)
        return f"{opening}{inner})", cost

    def _escape(self, *, in_class: bool) -> str:
        if self._place >= len(self._text):
            raise self._refused("a backslash at the end")
        char = self._text[self._place]
        self._place += 1
        if char in _UNICODE and self._unicode:
            return _UNICODE[char]
        if char in _ASCII:
            return _ASCII[char] if in_class else f"[{_ASCII[char]}]"
        if char in _SIMPLE:
            return _SIMPLE[char]
        if char in "pP":
            return self._property(negated=char == "P", in_class=in_class)
        if char in "xu":
            return self._code(char)
        if char == "Q":
            return self._quoted(in_class=in_class)
        if char.isalnum():
            return self._place_or_reference(char, in_class=in_class)
        return re.escape(char)

    def _quoted(self, *, in_class: bool) -> str:
        end = self._text.find("\\E", self._place)
        quoted = self._text[self._place : end if end >= 0 else len(self._text)]
        self._place = end + 2 if end >= 0 else len(self._text)
        return re.escape(quoted) if in_class or len(quoted) == 1 else f"(?:{re.escape(quoted)})"

    def _place_or_reference(self, char: str, *, in_class: bool) -> str:
        if not in_class and char in _PLACES:
            return _PLACES[char]
        if not in_class and char in "123456789":
            return f"(?:\\{char})"
        if not in_class and char == "k":
            return self._named_reference()
        raise self._refused(f"the escape '\\{char}'")

    def _named_reference(self) -> str:
        name = re.compile(r"<([A-Za-z]\w*)>").match(self._text, self._place)
        if name is None:
            raise self._refused("'\\k' without a name")
        self._place = name.end()
        return f"(?P={name.group(1)})"

    def _code(self, char: str) -> str:
        pattern = r"[0-9a-fA-F]{2}|\{([0-9a-fA-F]{1,6})\}" if char == "x" else r"[0-9a-fA-F]{4}"
        found = re.compile(pattern).match(self._text, self._place)
        number = int(found.group().strip("{}"), 16) if found else sys.maxunicode + 1
        if found is None or number > sys.maxunicode:
            raise self._refused(f"'\\{char}' without the number of a character")
        self._place = found.end()
        return re.escape(chr(number))

    def _property(self, *, negated: bool, in_class: bool) -> str:
        found = re.compile(r"\{(\w+)\}|(\w)", re.ASCII).match(self._text, self._place)
        if found is None:
            raise self._refused("'\\p' without a name")
        self._place = found.end()
        name = (found.group(1) or found.group(2)).removeprefix("Is")
        ranges = _POSIX.get(name) or _category(name)
        if ranges is None:
            raise self._refused(f"the class '\\p{{{name}}}'")
        if in_class and negated:
            raise self._refused(f"the class '\\P{{{name}}}' within another")
        return ranges if in_class else f"[{'^' if negated else ''}{ranges}]"

    def _class(self) -> str:
        text = self._text
        made = "["
        if text.startswith("^", self._place):
            made += "^"
            self._place += 1
        first = True
        while self._place < len(text):
            char = text[self._place]
            self._place += 1
            if char == "]" and not first:
                return made + "]"
            if char == "[" or (char == "&" and text.startswith("&", self._place)):
                raise self._refused("a class within a class")
            if char == "\\":
                made += self._escape(in_class=True)
            elif char == "-":
                at_edge = first or text.startswith("]", self._place) or made[-1] == "-"
                made += "\\-" if at_edge else "-"
            else:
                made += re.escape(char)
            first = False
        raise self._refused("a class that is not closed")


@lru_cache(maxsize=64)
def _category(name: str) -> str | None:
    """Returns the ranges of the characters of a Unicode category such as ``L`` or ``Nd``; None: not known."""
    name = {"Alphabetic": "L", "Digit": "Nd", "Letter": "L", "Punctuation": "P"}.get(name, name)
    if not re.fullmatch(r"[CLMNPSZ][a-z]?", name):
        return None
    ranges: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)).startswith(name):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in ranges) or None
