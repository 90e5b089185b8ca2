"""How ``TextIndex`` prepares a text: normalisations, then words (PMML 4.4: Transformations)."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from model_serving.engines.pmml.evaluator.expressions.inline_table import read_inline_table, refuse_locators
from model_serving.engines.pmml.evaluator.expressions.regular_expressions import (
    LONGEST_TEXT,
    Pattern,
    compiled,
    replacement,
)
from model_serving.engines.pmml.evaluator.reading import (
    Unsupported,
    children,
    flag,
    only,
    whole_number,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from xml.etree.ElementTree import Element

__all__ = ["Tokenizer", "read_tokenizer"]

_MOST_ROUNDS = 100
_NORMALIZATION = frozenset(
    {
        "inField",
        "outField",
        "regexField",
        "recursive",
        "isCaseSensitive",
        "maxLevenshteinDistance",
        "wordSeparatorCharacterRE",
        "tokenize",
    }
)


@dataclass(frozen=True, slots=True)
class _Normalization:
    """Replacements in a text, one after the other; ``recursive``: again until nothing changes."""

    replacements: tuple[tuple[Pattern, Callable[[re.Match[str]], str]], ...]
    recursive: bool

    def applied(self, text: str) -> str:
        """Returns the text after the replacements.

        Raises:
            ValueError: the text is or gets too long, or the replacements do not come to an end.
        """
        for _ in range(_MOST_ROUNDS if self.recursive else 1):
            before = text
            for pattern, substitute in self.replacements:
                text = pattern.replaced(text, substitute)
            if text == before or not self.recursive:
                return text
        raise ValueError(f"a TextIndexNormalization still changes the text after {_MOST_ROUNDS} rounds")


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """Makes words of texts. ``key`` is equal for tokenizers that make the same words."""

    key: tuple[object, ...]
    normalizations: tuple[_Normalization, ...]
    separator: Pattern
    word: Pattern | None
    case_sensitive: bool

    def text_tokens(self, text: str) -> list[str]:
        """Returns the words of a text that records bring.

        Raises:
            ValueError: the text is too long.
        """
        for normalization in self.normalizations:
            text = normalization.applied(text)
        return self.term_tokens(text)

    def term_tokens(self, text: str) -> list[str]:
        """Returns the words of a term, which is not normalised."""
        if not self.case_sensitive:
            text = text.lower()
        if self.word is not None:
            return self.word.matches(text)
        trimmed = (_trimmed(part) for part in self.separator.between(text))
        return [token for token in trimmed if token]


def _trimmed(token: str) -> str:
    """Returns a word without the punctuation around it."""
    first, last = 0, len(token)
    while first < last and unicodedata.category(token[first]).startswith("P"):
        first += 1
    while first < last and unicodedata.category(token[last - 1]).startswith("P"):
        last -= 1
    return token[first:last]


def read_tokenizer(element: Element, normalizations: Sequence[Element]) -> Tokenizer:
    """Reads from a ``TextIndex`` how it makes words.

    Raises:
        Unsupported: a part of it is not known, or a regular expression may take too long.
    """
    if not flag(element, "tokenize", default=True):
        raise Unsupported("tokenize 'false' of TextIndex")
    case_sensitive = flag(element, "isCaseSensitive", default=False)
    separator = element.get("wordSeparatorCharacterRE", r"\s+")
    word = element.get("wordRE", element.get("x-wordRE"))
    return Tokenizer(
        (case_sensitive, separator, word, *(id(one) for one in normalizations)),
        tuple(_normalization(one, case_sensitive=case_sensitive) for one in normalizations),
        compiled(separator),
        None if word is None else compiled(word),
        case_sensitive,
    )


def _normalization(element: Element, *, case_sensitive: bool) -> _Normalization:
    refuse_locators(element)
    parts = children(element, _NORMALIZATION, ("InlineTable",))
    table = only(parts, "InlineTable")
    if table is None:
        raise Unsupported("a TextIndexNormalization without an InlineTable")
    if whole_number(element, "maxLevenshteinDistance", 0):
        raise Unsupported("maxLevenshteinDistance of TextIndexNormalization")
    ignore_case = not flag(element, "isCaseSensitive", default=case_sensitive)
    whole_words = flag(element, "tokenize", default=True)
    replacements = []
    for row in read_inline_table(table):
        found = row.get(element.get("inField", "string"))
        stem = row.get(element.get("outField", "stem"))
        if found is None or stem is None:
            raise Unsupported("a row of a TextIndexNormalization without its input or output")
        if row.get(element.get("regexField", "regex"), "false").strip().lower() in {"true", "1"}:
            pattern = compiled(found, ignore_case=ignore_case)
            replacements.append((pattern, replacement(stem, pattern)))
        else:
            replacements.append(
                (_literal(found, ignore_case=ignore_case, whole_words=whole_words), _fixed(stem))
            )
    return _Normalization(tuple(replacements), flag(element, "recursive", default=False))


def _literal(text: str, *, ignore_case: bool, whole_words: bool) -> Pattern:
    """Returns what matches a text as it is: as whole words, or anywhere."""
    expression = re.escape(text)
    if whole_words:
        expression = rf"(?<!\w){expression}(?!\w)"
    return Pattern(re.compile(expression, re.IGNORECASE if ignore_case else 0), LONGEST_TEXT)


def _fixed(text: str) -> Callable[[re.Match[str]], str]:
    return lambda _: text
