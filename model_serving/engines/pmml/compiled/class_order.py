"""The order in which PMML4S looks at classes: if several have the greatest probability, it takes the first.

PMML4S 1.5.8 keeps probabilities in a Scala 2.13 immutable map. A map of up to four entries keeps the order of
insertion. A larger map is a hash trie: each level is in the order of the next five bits of the hash, with the
entries before the subtrees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_serving.engines.pmml.compiled.reading import NotCompiled

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["map_order"]

_MOST_IN_ORDER = 4
_WORD = 0xFFFFFFFF


def map_order(keys: Sequence[str | int | float]) -> list[int]:
    """Returns the indices of ``keys`` in the map's order; ``keys`` are in the order of insertion.

    Raises:
        NotCompiled: two keys have the same hash.
    """
    if len(keys) <= _MOST_IN_ORDER:
        return list(range(len(keys)))
    hashes = [_improved(_hash(key)) for key in keys]
    if len(set(hashes)) < len(hashes):
        raise NotCompiled("classes with the same hash")
    return _trie_order(hashes, list(range(len(keys))), 0)


def _trie_order(hashes: Sequence[int], members: list[int], shift: int) -> list[int]:
    branches: dict[int, list[int]] = {}
    for member in members:
        branches.setdefault(hashes[member] >> shift & 31, []).append(member)
    entries = [branch[0] for _, branch in sorted(branches.items()) if len(branch) == 1]
    subtrees = [
        member
        for _, branch in sorted(branches.items())
        if len(branch) > 1
        for member in _trie_order(hashes, branch, shift + 5)
    ]
    return entries + subtrees


def _hash(key: str | float) -> int:
    """Returns the ``hashCode`` of StringVal, LongVal or DoubleVal (MurmurHash3 of name and value)."""
    if isinstance(key, str):
        name, value = "StringVal", _string_hash(key)
    elif isinstance(key, int):
        name, value = "LongVal", key & _WORD if -(2**31) <= key < 2**31 else (key ^ (key >> 32)) & _WORD
    else:
        name, value = "DoubleVal", _double_hash(key)
    mixed = _mix(_mix(0xCAFEBABE, _string_hash(name)), value)
    mixed ^= 1
    mixed = (mixed ^ mixed >> 16) * 0x85EBCA6B & _WORD
    mixed = (mixed ^ mixed >> 13) * 0xC2B2AE35 & _WORD
    return mixed ^ mixed >> 16


def _mix(state: int, value: int) -> int:
    value = value * 0xCC9E2D51 & _WORD
    value = (value << 15 | value >> 17) & _WORD
    state ^= value * 0x1B873593 & _WORD
    state = (state << 13 | state >> 19) & _WORD
    return (state * 5 + 0xE6546B64) & _WORD


def _string_hash(text: str) -> int:
    value = 0
    units = text.encode("utf-16-le", "surrogatepass")
    for low, high in zip(units[::2], units[1::2], strict=True):
        value = (31 * value + (high << 8 | low)) & _WORD
    return value


def _double_hash(value: float) -> int:
    if value.is_integer() and abs(value) < 2**31:
        return int(value) & _WORD
    raise NotCompiled(f"the class {value}")


def _improved(value: int) -> int:
    """Returns what ``scala.collection.Hashing.improve`` does."""
    value = (value + ~(value << 9 & _WORD)) & _WORD
    value ^= value >> 14
    value = (value + (value << 4)) & _WORD
    return value ^ value >> 10
