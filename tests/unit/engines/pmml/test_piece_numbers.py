"""The pieces between quotes: the same as ``split`` gives, each different one once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model_serving.engines.pmml import piece_numbers
from model_serving.engines.pmml.piece_numbers import read_pieces

SHORT = st.binary(max_size=3)
LONG = st.sampled_from((7, 8, 9, 16, 17, 250, 256, 257, 300)).flatmap(
    lambda size: st.sampled_from((b"a", b"b")).map(lambda last: b"a" * (size - 1) + last)
)
TEXTS = st.lists(SHORT | LONG, max_size=30).map(
    lambda pieces: b'"'.join(piece.replace(b'"', b"").replace(b"\0", b"") for piece in pieces)
)


@given(text=TEXTS)
@example(text=b'\x01"')
@example(text=b'b"c"c"b')
def test_each_piece_has_the_number_of_its_bytes(text: bytes) -> None:
    pieces = read_pieces(text)
    assert pieces is not None
    different = [
        (bool(odd), text[begin:end])
        for odd, begin, end in zip(pieces.is_odd, pieces.begins, pieces.ends, strict=True)
    ]
    assert len(set(different)) == len(different)
    assert [different[number] for number in pieces.numbers] == [
        (place % 2 == 1, piece) for place, piece in enumerate(text.split(b'"'))
    ]


@pytest.mark.parametrize(
    "text",
    [b'one"one"two', b'one"x"four"x"one', b'0123456789a"x"0123456789b', b'0123456789ab"x"0123456789b'],
)
def test_pieces_that_a_key_cannot_tell_apart_are_not_read(
    text: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_pieces(text) is not None
    monkeypatch.setattr(piece_numbers, "_FACTOR", np.uint64(0))
    assert read_pieces(text) is None


def test_long_pieces_with_one_key_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b'"'.join((b"a" * 300, b"x", b"a" * 299 + b"b"))
    assert read_pieces(text) is not None
    monkeypatch.setattr(piece_numbers, "hash", lambda _piece: 0, raising=False)
    assert read_pieces(text) is None
