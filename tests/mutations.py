"""Damages bytes at random, as a bad disk, a bad network or an attacker might."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

__all__ = ["mutated"]

_MOST_CHANGES = 4
_INTERESTING = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x80\x80\x80\x80\x10",
    b"-1",
    b"1e999",
    b"NaN",
    b'"',
    b"<",
)


def mutated(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Returns ``content`` with one to four damages; pieces of ``others`` may be inserted."""
    damaged = bytearray(content)
    for _ in range(random.randint(1, _MOST_CHANGES)):
        if not damaged:
            break
        start = random.randrange(len(damaged))
        end = min(len(damaged), start + random.choice((1, 4, 16, 256, 4096)))
        match random.randrange(7):
            case 0:
                damaged[start] ^= 1 << random.randrange(8)
            case 1:
                damaged[start] = random.randrange(256)
            case 2:
                del damaged[start:]
            case 3:
                del damaged[start:end]
            case 4:
                damaged[start:start] = damaged[start:end] * random.choice((1, 2, 50))
            case 5:
                other = random.choice(others)
                at = random.randrange(len(other))
                damaged[start:end] = other[at : at + end - start]
            case _:
                piece = random.choice(_INTERESTING)
                damaged[start : start + len(piece)] = piece
    return bytes(damaged)
