"""Reads a part of an XML document into columns (see ``xml_columns``).

The text is split at its quotes. What stands between the values of attributes repeats, so each such piece is
read once (see ``markup``), and all the rest is arithmetic on arrays. Only text of the plainest form is read,
and it is checked to be well-formed. Whatever else there is, such as a comment, makes this module give up.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from model_serving.engines.pmml.markup import Markup, NotPlain, Vocabulary, resolved
from model_serving.engines.pmml.xml_columns import Indices, XmlColumns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["read_columns"]

_QUOTE = '"'
_BEGINS_NUMBERS = np.isin(np.arange(256), list(b"0123456789-"))
_MOST_BYTES = (1 << 31) - 1

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
        return _columns(_Pieces.read(memoryview(content)[start:end], encoding), named)
    except (NotPlain, UnicodeDecodeError):
        return None


@dataclass(frozen=True, slots=True, eq=False)
class _Pieces:
    """What stands between the quotes of a text: V values, and V + 1 pieces of markup before and behind them.

    Attributes:
        kinds: the different pieces of markup.
        markup: the place of each piece of markup among these, shape (V + 1,).
        texts: the different values.
        numbers: see ``XmlColumns``.
        values: the place of each value among the texts, shape (V,).
    """

    kinds: list[str]
    markup: Indices
    texts: list[str]
    numbers: npt.NDArray[np.float64]
    values: Indices

    @staticmethod
    def read(text: memoryview, encoding: str) -> _Pieces:
        """Splits a text.

        Raises:
            NotPlain: it has an odd number of quotes, or is too long.
            UnicodeDecodeError: it has another encoding.
        """
        if len(text) > _MOST_BYTES:
            raise NotPlain
        quotes = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord(_QUOTE))
        if len(quotes) % 2:
            raise NotPlain
        # Where a piece begins and the one before it ends: each has its closing quote, but the last one.
        places = np.zeros(len(quotes) + 2, dtype=np.int32)
        np.add(quotes, 1, out=places[1:-1], casting="same_kind")
        places[-1] = len(text)
        buffers = [None, pa.py_buffer(places), pa.py_buffer(text)]
        encoded = pa.Array.from_buffers(pa.binary(), len(places) - 1, buffers).dictionary_encode()
        numbers = encoded.indices.to_numpy()
        kinds, markup = _used(encoded.dictionary, numbers[0::2])
        texts, values = _used(encoded.dictionary, numbers[1::2])
        return _Pieces(
            _decoded(kinds, encoding), markup, _decoded(texts, encoding)[:-1], _spelled(texts), values
        )


def _used(pieces: pa.BinaryArray, numbers: Indices) -> tuple[pa.BinaryArray, Indices]:
    """Returns those pieces that are used, and of each use which of them it is."""
    is_used = np.zeros(len(pieces), dtype=bool)
    is_used[numbers] = True
    places: Indices = np.cumsum(is_used, dtype=np.int32) - 1
    return pc.array_filter(pieces, pa.array(is_used)), places[numbers]


def _ends(pieces: pa.BinaryArray) -> Indices:
    """Returns where each piece begins and the one before it ends, in their data."""
    return np.frombuffer(pieces.buffers()[1], dtype=np.int32, count=len(pieces) + 1)


def _decoded(pieces: pa.BinaryArray, encoding: str) -> list[str]:
    """Returns the texts without quotes. If the last piece has one at its end, an empty text follows.

    Raises:
        UnicodeDecodeError: they have another encoding.
    """
    data = memoryview(pieces.buffers()[2])[: _ends(pieces)[-1]]
    return str(data, encoding).split(_QUOTE)


def _spelled(pieces: pa.BinaryArray) -> npt.NDArray[np.float64]:
    """Returns the numbers that pieces with a quote at their end spell, NaN where that is not certain."""
    made = np.full(len(pieces), np.nan)
    data = np.frombuffer(pieces.buffers()[2], dtype=np.uint8)
    is_number = _BEGINS_NUMBERS[data[_ends(pieces)[:-1]]]
    some = pc.binary_slice(pc.array_filter(pieces, pa.array(is_number)), 0, -1)
    # What begins like a number may be a date, and then none of them is read here.
    with suppress(pa.ArrowInvalid):
        made[is_number] = some.cast(pa.string()).cast(pa.float64()).to_numpy()
    # "-inf" and "-nan" are no numbers in PMML.
    made[np.isinf(made)] = np.nan
    return made


def _columns(read: _Pieces, named: Callable[[str], str]) -> XmlColumns:
    """Puts the pieces together.

    Raises:
        NotPlain: they are not well-formed, or some value has a reference or a special character.
    """
    if len(read.kinds) > _MOST_KINDS:
        raise NotPlain
    tags, names, markup = Vocabulary(), Vocabulary(), read.markup
    kinds = [Markup.read(piece, tags, names, is_first=place == 0) for place, piece in enumerate(read.kinds)]
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
    texts, spelled, values = _texts(read)
    levels = depth[begins]
    with_text = np.array([bool(kind.text) for kind in kinds])[markup]
    tag_names = Vocabulary()
    numbers = np.array([tag_names.number(named(tag)) for tag in tags.texts], dtype=np.int32)
    for attribute in names.texts:
        named(attribute)  # its prefix has to be declared; it keeps it
        if attribute.startswith("xmlns"):
            raise NotPlain
    return XmlColumns(
        tag_names,
        names,
        texts,
        spelled,
        numbers[steps[begins] - 1],
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


def _texts(read: _Pieces) -> tuple[list[str], npt.NDArray[np.float64], Indices]:
    """Returns the different values with their references resolved, their numbers, and each value's place.

    Raises:
        NotPlain: a value has another reference, or a special character.
    """
    together = "".join(read.texts)
    if "<" in together or not together.isprintable():
        raise NotPlain
    if "&" not in together:
        return read.texts, read.numbers, read.values
    numbers = Vocabulary()
    places = np.array([numbers.number(resolved(text)) for text in read.texts], dtype=np.int32)
    return numbers.texts, np.full(len(numbers.texts), np.nan), places[read.values]
