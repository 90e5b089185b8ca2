"""Reads a part of an XML document into columns (see ``xml_columns``).

The text is split at its quotes. What stands between the values of attributes repeats, so each such piece is
read once (see ``markup``), and all the rest is arithmetic on arrays. Only text of the plainest form is read,
and it is checked to be well-formed. Whatever else there is, such as a comment, makes this module give up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from model_serving.engines.pmml.markup import Markup, NotPlain, Vocabulary, resolved
from model_serving.engines.pmml.pieces import Pieces
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
        return _columns(memoryview(content)[start:end], encoding, named)
    except (NotPlain, UnicodeDecodeError):
        return None


def _columns(text: memoryview, encoding: str, named: Callable[[str], str]) -> XmlColumns:
    """Reads a text.

    Raises:
        NotPlain: it is not well-formed, or some value has a reference or a special character.
        UnicodeDecodeError: it has another encoding.
    """
    pieces, numbers = Pieces.split(text)
    if len(numbers) % 2 == 0:
        raise NotPlain  # a quote without another one
    between, markup = pieces.used(numbers[0::2])
    if len(between.ends) > _MOST_KINDS:
        raise NotPlain
    tags, names = Vocabulary(), Vocabulary()
    kinds = [
        Markup.read(piece, tags, names, is_first=place == 0)
        for place, piece in enumerate(between.texts(encoding))
    ]
    if len(names.texts) > _MOST_ATTRIBUTES:
        raise NotPlain
    attributes = np.array([kind.attribute for kind in kinds], dtype=np.int8)[markup]
    if (attributes[:-1] < 0).any() or attributes[-1] >= 0 or (markup[1:] == 0).any():
        raise NotPlain  # the first piece is read in another way than all others
    attributes = attributes[:-1]
    steps = _steps(kinds, markup)
    begins = steps > 0
    depth = np.cumsum(np.where(begins, np.int8(1), np.int8(-1)), dtype=np.int32)
    if not len(depth) or depth[-1] != 0 or depth.min() < 0 or (depth[:-1] == 0).any():
        raise NotPlain
    _check_ends(steps, np.where(begins, depth, depth + 1))
    begun = np.array([sum(step > 0 for step in kind.steps) for kind in kinds], dtype=np.int32)[markup]
    last = np.cumsum(begun, dtype=np.int32) - 1
    owners = last[:-1]
    texts, spelled, values = _texts(*pieces.used(numbers[1::2]), encoding)
    levels = depth[begins]
    with_text = np.array([bool(kind.text) for kind in kinds])[markup]
    tag_names = Vocabulary()
    tag_numbers = np.array([tag_names.number(named(tag)) for tag in tags.texts], dtype=np.int32)
    for attribute in names.texts:
        named(attribute)  # its prefix has to be declared; it keeps it
        if attribute.startswith("xmlns"):
            raise NotPlain
    return XmlColumns(
        tag_names,
        names,
        texts,
        spelled,
        tag_numbers[steps[begins] - 1],
        _parents(levels),
        int(levels.max()),
        _sets(owners, attributes, len(levels)),
        owners,
        attributes,
        values,
        {int(last[place] - begun[place]): kinds[markup[place]].text for place in np.flatnonzero(with_text)},
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


def _texts(
    different: Pieces, values: Indices, encoding: str
) -> tuple[list[str], npt.NDArray[np.float64], Indices]:
    """Returns the different values with their references resolved, their numbers, and each value's place.

    Raises:
        NotPlain: a value has another reference, or a special character.
        UnicodeDecodeError: they have another encoding.
    """
    texts = different.texts(encoding)[:-1]
    together = "".join(texts)
    if "<" in together or not together.isprintable():
        raise NotPlain
    if "&" not in together:
        return texts, different.numbers(), values
    numbers = Vocabulary()
    places = np.array([numbers.number(resolved(text)) for text in texts], dtype=np.int32)
    return numbers.texts, np.full(len(numbers.texts), np.nan), places[values]
