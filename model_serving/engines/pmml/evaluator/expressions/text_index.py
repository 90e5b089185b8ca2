"""``TextIndex``: how often a term stands in a text (PMML 4.4: Transformations).

All terms that are looked for in the same words share an index: the words of each different text of a batch
are made once, and counted for all terms together.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import DOUBLE, INTEGER, Kind
from model_serving.engines.pmml.evaluator.expressions.compiler import EXPRESSIONS
from model_serving.engines.pmml.evaluator.expressions.compiler import compile_expression as compile_term
from model_serving.engines.pmml.evaluator.expressions.constants import Constant
from model_serving.engines.pmml.evaluator.expressions.edit_distance import occurrences
from model_serving.engines.pmml.evaluator.expressions.operands import as_text
from model_serving.engines.pmml.evaluator.expressions.text_tokens import Tokenizer, read_tokenizer
from model_serving.engines.pmml.evaluator.reading import (
    Unsupported,
    children,
    choice,
    named,
    required,
    whole_number,
)
from model_serving.engines.pmml.evaluator.record import ByBatch, Failed, Record

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.scope import Expression, Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["compile_expression"]

_WEIGHTS = ("termFrequency", "binary", "logarithmic", "augmentedNormalizedTermFrequency")
_ATTRIBUTES = frozenset(
    {
        "textField",
        "localTermWeights",
        "isCaseSensitive",
        "maxLevenshteinDistance",
        "countHits",
        "wordSeparatorCharacterRE",
        "tokenize",
        "wordRE",
        "x-wordRE",
    }
)


def compile_expression(element: Element, scope: Scope) -> Expression:
    """Reads a ``TextIndex``.

    Raises:
        Unsupported: a part of it is not known.
    """
    parts = children(element, _ATTRIBUTES, {"TextIndexNormalization", *EXPRESSIONS})
    terms = [part for part in parts if part.tag != "TextIndexNormalization"]
    if len(terms) != 1:
        raise Unsupported("a TextIndex without one term")
    program = scope.program
    text = as_text(scope.field(required(element, "textField")), program)
    term = as_text(compile_term(terms[0], scope), program)
    tokenizer = read_tokenizer(element, named(parts, "TextIndexNormalization"))
    weight = choice(element, "localTermWeights", _WEIGHTS, "termFrequency")
    kind = INTEGER if weight in {"termFrequency", "binary"} else DOUBLE
    distance = whole_number(element, "maxLevenshteinDistance", 0)
    if distance < 0:
        raise Unsupported("a maxLevenshteinDistance of TextIndex below 0")
    best = choice(element, "countHits", ("allHits", "bestHits"), "allHits") == "bestHits"
    if distance == 0 and isinstance(term, Constant) and term.value == term.value:
        words = tuple(tokenizer.term_tokens(program.symbols.texts[int(term.value)]))
        index = program.shared.setdefault(("TextIndex", id(text), *tokenizer.key), _Index(text, tokenizer))
        if not isinstance(index, _Index):
            raise TypeError(index)
        return _Term(kind, index, index.column(words), weight)
    return _Search(kind, text, term, tokenizer, weight, distance, best)


def _weighted(counts: Numbers, most: Numbers, weight: str) -> Numbers:
    """Returns the weights of terms that texts have ``counts`` times; ``most``: of their commonest words."""
    if weight == "binary":
        return np.minimum(counts, 1.0)
    if weight == "logarithmic":
        made: Numbers = np.log10(1.0 + counts)
        return made
    if weight == "augmentedNormalizedTermFrequency":
        share = counts / np.where(most == 0.0, 1.0, most)
        augmented: Numbers = 0.5 * (np.minimum(counts, 1.0) + share)
        return augmented
    return counts


@dataclass(eq=False, slots=True)
class _Index:
    """All terms that are looked for in the words of a text. It gets its terms while the document is read."""

    text: Expression
    tokenizer: Tokenizer
    columns: dict[tuple[str, ...], int] = field(default_factory=dict)
    lengths: set[int] = field(default_factory=set)

    def column(self, words: tuple[str, ...]) -> int:
        """Returns the column of a term; the first column of counts is that of the commonest word."""
        self.lengths.add(len(words))
        return self.columns.setdefault(words, len(self.columns) + 1)

    def counts(self, batch: Batch) -> Numbers:
        """Returns how often each term stands in each record's text, shape (n, 1 + terms)."""
        known = batch.memory.get(self)
        if known is not None:
            return known
        codes = self.text.evaluate(batch)
        made = np.zeros((batch.n, 1 + len(self.columns)))
        rows: dict[float, int] = {}
        for row, code in enumerate(codes.tolist()):
            if code != code:
                made[row] = np.nan
            elif code in rows:
                made[row] = made[rows[code]]
            else:
                rows[code] = row
                self._count(batch.texts.text(code), made[row])
        batch.memory[self] = made
        return made

    def _count(self, text: str, counts: Numbers) -> None:
        try:
            words = self.tokenizer.text_tokens(text)
        except ValueError:  # too long: the records with this text have no result
            counts[0] = -1.0
            return
        if not words:
            return
        counts[0] = max(Counter(words).values())
        columns = self.columns
        for length in self.lengths:
            groups = zip(*(words[start:] for start in range(length)), strict=False)
            for group in groups:
                column = columns.get(group)
                if column is not None:
                    counts[column] += 1.0


@dataclass(frozen=True, slots=True)
class _Term:
    """A term of an index."""

    kind: Kind
    index: _Index
    column: int
    weight: str

    def one(self, record: Record) -> float:
        counts = record.memory.get(self.index)
        if counts is None:
            counts = record.memory[self.index] = record.of_batch(self.index.counts)[0].tolist()
        count, most = counts[self.column], counts[0]
        if most < 0.0:
            raise Failed
        if self.weight == "termFrequency" or count == 0.0:
            return count
        return float(_weighted(np.array((count,)), np.array((most,)), self.weight)[0])

    def evaluate(self, batch: Batch) -> Numbers:
        counts = self.index.counts(batch)
        most = counts[:, 0]
        refused = most < 0.0
        if refused.any():
            batch.fail(refused)
        return _weighted(counts[:, self.column], most, self.weight)


@dataclass(frozen=True, slots=True)
class _Search(ByBatch):
    """A term that a record brings, or one that may be spelled a little differently in the text."""

    kind: Kind
    text: Expression
    term: Expression
    tokenizer: Tokenizer
    weight: str
    distance: int
    best: bool

    def evaluate(self, batch: Batch) -> Numbers:
        codes, terms = self.text.evaluate(batch), self.term.evaluate(batch)
        made: dict[tuple[float, float], tuple[float, float]] = {}
        counts = np.full((batch.n, 2), np.nan)
        for row, key in enumerate(zip(codes.tolist(), terms.tolist(), strict=True)):
            if key[0] != key[0] or key[1] != key[1]:
                continue
            if key not in made:
                made[key] = self._count(batch.texts.text(key[0]), batch.texts.text(key[1]))
            counts[row] = made[key]
        refused = counts[:, 1] < 0.0
        if refused.any():
            batch.fail(refused)
        return _weighted(counts[:, 0], counts[:, 1], self.weight)

    def _count(self, text: str, term: str) -> tuple[float, float]:
        try:
            words = self.tokenizer.text_tokens(text)
            wanted = self.tokenizer.term_tokens(term)
        except ValueError:
            return 0.0, -1.0
        most = max(Counter(words).values(), default=0)
        return float(occurrences(words, wanted, self.distance, best=self.best)), float(most)
