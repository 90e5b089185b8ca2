"""Texts as numbers, so that a batch is numbers only.

Each text that the document names has a code: its place in ``Symbols``. Other texts get codes while a batch is
scored, from ``Texts``, which is thrown away with the batch. Equal texts have equal codes; NaN is missing.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Symbols", "Texts", "codes_in"]

Numbers = npt.NDArray[np.float64]


class Symbols:
    """The texts that the document names. It grows while the document is compiled, and not afterwards."""

    def __init__(self) -> None:
        self.codes: dict[str, float] = {}
        self.texts: list[str] = []

    def code(self, text: str) -> float:
        """Returns the code of a text, which is new or known."""
        found = self.codes.get(text)
        if found is None:
            found = self.codes[text] = float(len(self.texts))
            self.texts.append(text)
        return found


def codes_in(known: Mapping[str, float], texts: Sequence[str | None]) -> Numbers | None:
    """Returns the codes of texts, shape (n,), None if some text is not known."""
    if len(texts) < 2:
        return None
    try:
        # One call for all of them takes a third of the time of a look-up for each.
        return np.array(itemgetter(*texts)(known), dtype=np.float64)
    except KeyError:
        return None


class Texts:
    """The texts of one batch: the document's symbols, and others that are met in the batch."""

    def __init__(self, symbols: Symbols) -> None:
        self._symbols = symbols
        self._known = symbols.codes
        self._others: dict[str, float] = {}
        self._spelled: list[str] = []

    def code(self, text: str) -> float:
        """Returns the code of a text."""
        found = self._known.get(text)
        if found is None:
            found = self._others.get(text)
        if found is None:
            found = self._others[text] = float(len(self._symbols.texts) + len(self._spelled))
            self._spelled.append(text)
        return found

    def codes(self, texts: Sequence[str | None]) -> Numbers:
        """Returns the codes of texts, shape (n,); NaN for None."""
        all_known = codes_in(self._known, texts)
        if all_known is not None:
            return all_known
        made: list[float | None] = list(map(self._known.get, texts))  # type: ignore[arg-type]
        if None in made:
            for place, found in enumerate(made):
                if found is None:
                    text = texts[place]
                    made[place] = np.nan if text is None else self.code(text)
        return np.array(made, dtype=np.float64)

    def text(self, code: float) -> str:
        """Returns the text of a code that is not NaN."""
        place = int(code)
        count = len(self._symbols.texts)
        return self._symbols.texts[place] if place < count else self._spelled[place - count]

    def spelled(self, codes: Numbers) -> list[str | None]:
        """Returns the texts of codes of shape (n,), None for NaN."""
        return [None if code != code else self.text(code) for code in codes.tolist()]

    def mapped(self, codes: Numbers, function: Callable[[str], str | None]) -> Numbers:
        """Returns the codes of ``function`` of each text; it is called once for each different text."""
        return self._each(codes, lambda text: self._coded(function(text)))

    def numbers(self, codes: Numbers, function: Callable[[str], float]) -> Numbers:
        """Returns ``function`` of each text as a number; it is called once for each different text."""
        return self._each(codes, function)

    def _coded(self, text: str | None) -> float:
        return np.nan if text is None else self.code(text)

    def _each(self, codes: Numbers, function: Callable[[str], float]) -> Numbers:
        given = codes.tolist()
        made = {code: function(self.text(code)) for code in dict.fromkeys(given) if code == code}
        return np.array([made.get(code, np.nan) for code in given], dtype=np.float64)
