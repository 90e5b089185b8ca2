"""Numbers pieces of bytes without Arrow (see ``pieces``), and without an object for each piece.

Nearly all of the work is arithmetic on whole arrays, during which other threads run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from model_serving.engines.pmml.markup import NotPlain
from model_serving.engines.pmml.pieces import chosen

if TYPE_CHECKING:
    from model_serving.engines.pmml.xml_columns import Indices

__all__ = ["numbered", "spelled"]

_Words = npt.NDArray[np.uint64]

_WORD = 8
_LONGEST = 256
"""The greatest number of bytes of a piece that is read in words. Longer ones are rare."""

_MASKS = np.array([(1 << (8 * size)) - 1 for size in range(_WORD + 1)], dtype=np.uint64)
"""What is left of a word that has this number of bytes."""

_FACTOR, _SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)


def numbered(data: npt.NDArray[np.uint8], ends: Indices) -> tuple[npt.NDArray[np.uint8], Indices, Indices]:
    """Numbers pieces, equal ones alike, in the order in which they come first.

    Args:
        data: the bytes of the pieces, one behind the other.
        ends: where each piece begins in them and the one before it ends, shape (P + 1,).

    Returns:
        The same of the D different pieces, and the number of each piece, shape (P,).

    Raises:
        NotPlain: some pieces could not be told apart, which hardly happens unless on purpose.
    """
    begins, sizes = ends[:-1].astype(np.int64), np.diff(ends)
    text = data.tobytes()
    words = _words(text, begins, sizes)
    keys = np.zeros(len(begins), dtype=np.uint64)
    for longer, some in words:
        mixed = keys[longer] if longer is not None else keys
        mixed = (mixed ^ some) * _FACTOR
        mixed ^= mixed >> _SHIFT
        if longer is None:
            keys = mixed
        else:
            keys[longer] = mixed
    long = np.flatnonzero(sizes > _LONGEST).tolist()
    for place in long:
        keys[place] = hash(_piece(text, begins, sizes, place)) & 0xFFFFFFFFFFFFFFFF
    firsts, numbers = _equal(keys)
    like = firsts[numbers]
    if (sizes != sizes[like]).any() or not _are_equal(words, like):
        raise NotPlain
    if any(
        _piece(text, begins, sizes, place) != _piece(text, begins, sizes, int(like[place])) for place in long
    ):
        raise NotPlain
    is_first = np.zeros(len(numbers), dtype=bool)
    is_first[firsts] = True
    return *chosen(data, ends, is_first), numbers


def spelled(data: npt.NDArray[np.uint8], ends: Indices) -> npt.NDArray[np.float64]:
    """Returns NaN for each piece: its number is read where it is needed, shape (P,)."""
    return np.full(len(ends) - 1, np.nan)


def _words(text: bytes, begins: Indices, sizes: Indices) -> list[tuple[Indices | None, _Words]]:
    """Returns the bytes of the pieces as numbers, ``_WORD`` bytes of each piece at a time.

    Each is a pair: the places of the pieces that are that long, None for all, and their words. Behind
    the end of a piece a word has zeros.
    """
    padded = text + bytes(_WORD)
    every: _Words = np.ndarray(len(text) + 1, "<u8", padded, strides=(1,))
    found: list[tuple[Indices | None, _Words]] = []
    places: Indices | None = None
    for offset in range(0, _LONGEST, _WORD):
        if offset:
            more = np.flatnonzero(sizes > _WORD)
            if not len(more):
                break
            places = more if places is None else places[more]
            begins, sizes = begins[more] + _WORD, sizes[more] - _WORD
        words = every[begins].astype(np.uint64, copy=False)
        words &= _MASKS[np.minimum(sizes, _WORD)]
        found.append((places, words))
    return found


def _equal(keys: _Words) -> tuple[Indices, Indices]:
    """Returns where each different key comes first, and which of them each key is.

    The different keys are in the order in which they come first. Each key goes to a slot of a table, by its
    first bits; there are as many slots as keys, most of which are equal to others. What finds another key in
    its slot, a few of them, is sorted.
    """
    places = np.arange(len(keys), dtype=np.int32)
    bits = len(keys).bit_length()
    slots = keys >> np.uint64(64 - bits)
    table = np.empty(1 << bits, dtype=np.int32)
    table[slots[::-1]] = places[::-1]  # of equal places the last one written stays: the first key
    like = table[slots]
    others = np.flatnonzero(keys[like] != keys)
    if len(others):
        _, first, number = np.unique(keys[others], return_index=True, return_inverse=True)
        like[others] = others[first][number]
    is_first = like == places
    numbers = np.cumsum(is_first, dtype=np.int32)
    numbers -= 1
    return np.flatnonzero(is_first), numbers[like]


def _are_equal(words: list[tuple[Indices | None, _Words]], like: Indices) -> bool:
    """Whether each piece has the words of the piece that it should be like, which has as many."""
    others = np.empty(len(like), dtype=np.uint64)
    for places, some in words:
        if places is None:
            if (some[like] != some).any():
                return False
        else:
            others[places] = some
            if (others[like[places]] != some).any():
                return False
    return True


def _piece(text: bytes, begins: Indices, sizes: Indices, place: int) -> bytes:
    return text[begins[place] : begins[place] + sizes[place]]
