"""The pieces between quotes: the same as ``split`` gives, each different one once, with Arrow and without."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from model_serving.engines.pmml import pieces, pieces_in_arrow, pieces_in_numpy
from model_serving.engines.pmml.evaluator.reading import decimal
from model_serving.engines.pmml.markup import NotPlain
from model_serving.engines.pmml.pieces import Pieces

SHORT = st.binary(max_size=3)
LONG = st.sampled_from((7, 8, 9, 16, 17, 250, 256, 257, 300)).flatmap(
    lambda size: st.sampled_from((b"a", b"b")).map(lambda last: b"a" * (size - 1) + last)
)
TEXTS = st.lists(SHORT | LONG, max_size=30).map(
    lambda pieces: b'"'.join(piece.replace(b'"', b"") for piece in pieces)
)


@pytest.fixture(params=[pieces_in_arrow, pieces_in_numpy], ids=["Arrow", "numpy"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Splits in one of the two ways."""
    module: ModuleType = request.param
    monkeypatch.setattr(pieces, "prepare", lambda: module)
    return module


@pytest.mark.usefixtures("way")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS)
@example(text=b'\x01"')
@example(text=b'a"a\0"a\0\0"a')
@example(text=b'b"c"c"b')
@example(text=b"")
def test_each_piece_has_the_number_of_its_bytes(text: bytes) -> None:
    found, numbers = Pieces.split(memoryview(text))
    expected = text.split(b'"')
    closed = [piece + b'"' for piece in expected[:-1]] + expected[-1:]
    assert bytes_of(found) == list(dict.fromkeys(closed))
    assert [bytes_of(found)[number] for number in numbers] == closed
    odd, places = found.used(numbers[1::2])
    assert [bytes_of(odd)[place] for place in places] == closed[1::2]
    assert set(bytes_of(odd)) == set(closed[1::2])


def bytes_of(found: Pieces) -> list[bytes]:
    data = found.data.tobytes()
    return [data[begin:end] for begin, end in zip(found.ends[:-1], found.ends[1:], strict=True)]


@pytest.mark.usefixtures("way")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(st.sampled_from("0123456789.eE+-"), min_size=1, max_size=6), min_size=1))
@example(texts=["1", "-inf"])
@example(texts=["1", "-nan"])
@example(texts=["1", "1e999", "-1e-999"])
@example(texts=["1", "2020-01-01"])
def test_a_number_is_the_one_that_the_standard_reads(texts: list[str]) -> None:
    found, places = Pieces.split(memoryview("".join(f'x"{text}"' for text in texts).encode()))
    values, _ = found.used(places[1::2])
    *spelled, _ = values.texts("ascii")
    for text, number in zip(spelled, values.numbers(), strict=True):
        if not np.isnan(number):
            assert number == decimal(text)


@given(numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, unique=True))
def test_arrow_reads_every_number_as_python_does(numbers: list[float]) -> None:
    data = "".join(f'x"{number!r}"' for number in numbers).encode()
    found, places = Pieces.split(memoryview(data))
    values, _ = found.used(places[1::2])
    made = pieces_in_arrow.spelled(values.data, values.ends)
    assert made.tolist() == numbers


@pytest.mark.parametrize(
    "text",
    [b'one"one"two', b'one"x"four"x"one', b'0123456789a"x"0123456789b', b'0123456789ab"x"0123456789b'],
)
def test_pieces_that_a_key_cannot_tell_apart_are_not_read(
    text: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "prepare", lambda: pieces_in_numpy)
    Pieces.split(memoryview(text))
    monkeypatch.setattr(pieces_in_numpy, "_FACTOR", np.uint64(0))
    with pytest.raises(NotPlain):
        Pieces.split(memoryview(text))


def test_long_pieces_with_one_key_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "prepare", lambda: pieces_in_numpy)
    text = b'"'.join((b"a" * 300, b"x", b"a" * 299 + b"b", b""))
    Pieces.split(memoryview(text))
    monkeypatch.setattr(pieces_in_numpy, "hash", lambda _piece: 0, raising=False)
    with pytest.raises(NotPlain):
        Pieces.split(memoryview(text))
