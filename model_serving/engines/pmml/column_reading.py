"""Reads a part of an XML document into columns (see ``xml_columns``).

The text is split at its quotes. What stands between the values of attributes repeats, so each such piece is
read once (see ``markup``), and all the rest is arithmetic on arrays. Only text of the plainest form is read,
and it is checked to be well-formed. Whatever else there is, such as a comment, makes this module give up.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import count, islice
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.markup import Markup, NotPlain, Vocabulary, resolved
from model_serving.engines.pmml.piece_numbers import MOST_BYTES, read_pieces
from model_serving.engines.pmml.xml_columns import Indices, XmlColumns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["read_columns"]

_MOST_KINDS = 1 << 14
"""The greatest number of different pieces of markup: where each one is new, this way has no gain."""

_MOST_ATTRIBUTES = 60
"""The greatest number of names of attributes: sets of them are the bits of a number."""


def read_columns(
    content: bytes, start: int, end: int, encoding: str, named: Callable[[str], str]
) -> XmlColumns | None:
    """Reads the bytes of one element of a document.

    Args:
        content: the document.
        start: where the element begins.
        end: where it ends.
        encoding: that of the document, which must be one in which ASCII's characters are those of ASCII.
        named: gives an element's name from what is written; raises NotPlain for prefixes without meaning.

    Returns:
        None if the bytes are not in the plainest form, or not well-formed.
    """
    try:
        read = _Splitting(encoding)
        read.split(content, start, end)
        return _columns(read, named)
    except (NotPlain, UnicodeDecodeError):
        return None


def _numbering() -> dict[str, int]:
    """Returns a table that numbers the texts that it is asked for, in the order in which they come up."""
    return defaultdict(count().__next__)


class _Splitting:
    """The pieces of markup of a text, and the values between them."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self.tags, self.attributes = Vocabulary(), Vocabulary()
        self.kinds: list[Markup] = []
        self.markup: list[Indices] = []
        self.values: list[Indices] = []
        self.known: dict[str, int] = _numbering()
        self._known_markup: dict[str, int] = _numbering()

    def split(self, content: bytes, start: int, end: int) -> None:
        """Splits a part of a document.

        Raises:
            NotPlain: there is markup that is not known.
        """
        place, is_value = start, False
        while place <= end:
            cut = end if end - place <= MOST_BYTES else content.rfind(b'"', place, place + MOST_BYTES)
            if cut < 0:  # a value that is longer than any in a tree
                raise NotPlain
            is_value = self._add(content[place:cut], is_value=is_value)
            place = cut + 1
            if len(self._known_markup) > _MOST_KINDS:
                raise NotPlain
            for piece in islice(self._known_markup, len(self.kinds), None):
                made = Markup.read(piece, self.tags, self.attributes, is_first=not self.kinds)
                self.kinds.append(made)
        if len(self.attributes.texts) > _MOST_ATTRIBUTES:
            raise NotPlain

    def _add(self, block: bytes, *, is_value: bool) -> bool:
        """Adds the pieces between the quotes of a block.

        ``is_value``: the first one is a value. Returns whether the piece after the last one is a value.
        """
        pieces = None if b"\0" in block else read_pieces(block)
        if pieces is None:
            raise NotPlain
        places = zip(pieces.begins.tolist(), pieces.ends.tolist(), strict=True)
        if block.isascii():
            text = block.decode("ascii")
            texts = [text[begin:end] for begin, end in places]
        else:
            texts = [str(block[begin:end], self._encoding) for begin, end in places]
        markup = pieces.is_odd == is_value
        if not self.markup:
            self._known_markup[texts[pieces.numbers[0]]]  # the first piece has the first number
        tables = self.known.__getitem__, self._known_markup.__getitem__
        known = [tables[of](text) for of, text in zip(markup.tolist(), texts, strict=True)]
        numbers = np.array(known, dtype=np.int32)[pieces.numbers]
        self.markup.append(numbers[is_value::2])
        self.values.append(numbers[not is_value :: 2])
        return is_value ^ (len(numbers) % 2 == 1)


def _columns(read: _Splitting, named: Callable[[str], str]) -> XmlColumns:
    """Puts the pieces together.

    Raises:
        NotPlain: they are not well-formed, or some value has a reference or a special character.
    """
    markup, values = np.concatenate(read.markup), np.concatenate(read.values)
    if len(markup) != len(values) + 1:
        raise NotPlain
    attributes = np.array([kind.attribute for kind in read.kinds], dtype=np.int8)[markup]
    if (attributes[:-1] < 0).any() or attributes[-1] >= 0 or (markup[1:] == 0).any():
        raise NotPlain  # the first piece is read in another way than all others
    attributes = attributes[:-1]
    steps = _steps(read.kinds, markup)
    begins = steps > 0
    depth = np.cumsum(np.where(begins, np.int8(1), np.int8(-1)), dtype=np.int32)
    if not len(depth) or depth[-1] != 0 or depth.min() < 0 or (depth[:-1] == 0).any():
        raise NotPlain
    _check_ends(steps, np.where(begins, depth, depth + 1))
    begun = np.array([sum(step > 0 for step in kind.steps) for kind in read.kinds], dtype=np.int32)[markup]
    last = np.cumsum(begun, dtype=np.int32) - 1
    owners = last[:-1]
    texts, values = _texts(read.known, values)
    levels = depth[begins]
    with_text = np.array([bool(kind.text) for kind in read.kinds])[markup]
    tag_names = Vocabulary()
    numbers = np.array([tag_names.number(named(tag)) for tag in read.tags.texts], dtype=np.int32)
    for attribute in read.attributes.texts:
        named(attribute)  # its prefix has to be declared; it keeps it
        if attribute.startswith("xmlns"):
            raise NotPlain
    return XmlColumns(
        tag_names,
        read.attributes,
        texts,
        numbers[steps[begins] - 1],
        _parents(levels),
        int(levels.max()),
        _sets(owners, attributes, len(levels)),
        owners,
        attributes,
        values,
        {
            int(last[place] - begun[place]): read.kinds[markup[place]].text
            for place in np.flatnonzero(with_text)
        },
    )


def _steps(kinds: Sequence[Markup], markup: Indices) -> Indices:
    """Returns the steps of all pieces, one after the other."""
    lengths = np.array([len(kind.steps) for kind in kinds])
    known = np.array([step for kind in kinds for step in kind.steps], dtype=np.int32)
    starts = np.cumsum(lengths) - lengths
    counts = lengths[markup]
    places = np.repeat(starts[markup] - (np.cumsum(counts) - counts), counts)
    places += np.arange(len(places))
    made: Indices = known[places]
    return made


def _check_ends(steps: Indices, levels: Indices) -> None:
    """Raises NotPlain if an end tag has another name than the element that it ends."""
    # On each level, begin and end take turns.
    in_levels = steps[_by_level(levels)]
    begins, ends = in_levels[0::2], in_levels[1::2]
    if not ((ends == 0) | (ends == -begins)).all():
        raise NotPlain


def _by_level(levels: Indices) -> Indices:
    """Returns the places of all levels, those of the highest first, each level's in their order."""
    # Small numbers are sorted much faster.
    small = np.int16 if levels.max() < 1 << 15 else np.int32
    return np.argsort(levels.astype(small), kind="stable")


def _parents(levels: Indices) -> Indices:
    """Returns the place of the last element before each one that lies one level higher, -1 for the first."""
    bits = len(levels).bit_length()
    order = _by_level(levels)
    ordered = (levels[order].astype(np.int64) << bits) | order
    # The one before where the same place one level higher would be.
    above = ordered[ordered.searchsorted(ordered - (1 << bits)) - 1]
    low = (1 << bits) - 1
    parents = np.empty(len(levels), dtype=np.int32)
    parents[order] = above & low
    parents[0] = -1
    return parents


def _sets(owners: Indices, attributes: Indices, count: int) -> Indices:
    """Returns the attributes of each element as bits.

    Raises:
        NotPlain: an element has an attribute twice.
    """
    made = np.zeros(count, dtype=np.int64)
    if not len(owners):
        return made
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    ends = np.append(starts[1:], len(owners))
    most = int((ends - starts).max())
    if most > _MOST_ATTRIBUTES:
        raise NotPlain
    for apart in range(1, most):
        if ((attributes[apart:] == attributes[:-apart]) & (owners[apart:] == owners[:-apart])).any():
            raise NotPlain
    # Each bit is there once, so the sum has them all.
    sums = np.cumsum(np.left_shift(1, attributes, dtype=np.int64))
    made[owners[starts]] = np.diff(sums[ends - 1], prepend=0)
    return made


def _texts(known: dict[str, int], values: Indices) -> tuple[list[str], Indices]:
    """Returns the different values with their references resolved, and the place of each value among them."""
    texts = list(known)
    together = "".join(texts)
    if "<" in together or not together.isprintable():
        raise NotPlain
    if "&" not in together:
        return texts, values
    numbers = Vocabulary()
    places = np.array([numbers.number(resolved(text)) for text in texts], dtype=np.int32)
    return numbers.texts, places[values]
