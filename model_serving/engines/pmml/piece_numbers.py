"""Numbers the pieces between the quotes of a text, equal pieces alike, without an object for each piece.

Nearly all of the work is arithmetic on whole arrays, during which other threads run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["MOST_BYTES", "Pieces", "read_pieces"]

_Places = npt.NDArray[np.signedinteger[Any]]
_Words = npt.NDArray[np.uint64]

_QUOTE = ord('"')
_WORD = 8
_LONGEST = 256
"""The greatest number of bytes of a piece that is read in words. Longer ones are rare."""

_MASKS = np.array([(1 << (8 * size)) - 1 for size in range(_WORD + 1)], dtype=np.uint64)
"""What is left of a word that has this number of bytes."""

_SLOTS = 1 << 17
_SLOT_SHIFT = np.uint64(64 - 17)
"""The first 17 bits of a key are its slot: few of the some thousand different keys of a text share one."""

_FACTOR, _SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)
_ODD = np.uint64(0xC2B2AE3D27D4EB4F)
"""What the key of a piece with an odd place begins with: bytes that no text is likely to have."""

MOST_BYTES = (1 << 20) - 1
"""The greatest length of a text: its arrays should stay in a cache, and other threads get their turn between
texts."""


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """The P pieces of a text that stand between its quotes, outside of values and inside in turn.

    Attributes:
        begins: where each of D different pieces begins, shape (D,).
        ends: where each one ends, shape (D,).
        is_odd: whether it has an odd place among all pieces, shape (D,).
        numbers: which of the D pieces each piece is equal to, shape (P,). None of those with an odd place is
            equal to one with an even place.
    """

    begins: _Places
    ends: _Places
    is_odd: npt.NDArray[np.bool_]
    numbers: _Places


def read_pieces(text: bytes) -> Pieces | None:
    """Splits a text without zero bytes, of at most ``MOST_BYTES``.

    Returns:
        None if some pieces could not be told apart, which hardly happens unless on purpose.
    """
    quotes = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == _QUOTE)
    begins = np.zeros(len(quotes) + 1, dtype=np.int64)
    np.add(quotes, 1, out=begins[1:])
    sizes = np.append(quotes, len(text)) - begins
    is_odd = np.arange(len(begins)) & 1
    words = _words(text, begins, sizes)
    keys = is_odd.astype(np.uint64) * _ODD
    for chosen, some in words:
        mixed = keys[chosen] if chosen is not None else keys
        mixed = (mixed ^ some) * _FACTOR
        mixed ^= mixed >> _SHIFT
        if chosen is None:
            keys = mixed
        else:
            keys[chosen] = mixed
    long = np.flatnonzero(sizes > _LONGEST).tolist()
    for place in long:
        keys[place] = hash((_piece(text, begins, sizes, place), place & 1)) & 0xFFFFFFFFFFFFFFFF
    firsts, numbers = _equal(keys)
    like = firsts[numbers]
    if ((sizes != sizes[like]) | (is_odd != is_odd[like])).any() or not _are_equal(words, like):
        return None
    if any(
        _piece(text, begins, sizes, place) != _piece(text, begins, sizes, int(like[place])) for place in long
    ):
        return None
    return Pieces(begins[firsts], (begins + sizes)[firsts], is_odd[firsts] != 0, numbers)


def _words(text: bytes, begins: _Places, sizes: _Places) -> list[tuple[_Places | None, _Words]]:
    """Returns the bytes of the pieces as numbers, ``_WORD`` bytes of each piece at a time.

    Each is a pair: the places of the pieces that are that long, None for all, and their words. Behind
    the end of a piece a word has zeros.
    """
    padded = text + bytes(_WORD)
    every: _Words = np.ndarray(len(text) + 1, "<u8", padded, strides=(1,))
    found: list[tuple[_Places | None, _Words]] = []
    places: _Places | None = None
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


def _equal(keys: _Words) -> tuple[_Places, _Places]:
    """Returns where each different key comes first, and which of them each key is.

    The different keys are in the order in which they come first. Each key goes to a slot of a table, by its
    first bits. What finds another key in its slot, a few of them, is sorted.
    """
    places = np.arange(len(keys), dtype=np.int32)
    slots = keys >> _SLOT_SHIFT
    table = np.empty(_SLOTS, dtype=np.int32)
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


def _are_equal(words: list[tuple[_Places | None, _Words]], like: _Places) -> bool:
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


def _piece(text: bytes, begins: _Places, sizes: _Places, place: int) -> bytes:
    return text[begins[place] : begins[place] + sizes[place]]
