"""A dead letter is never larger than its topic takes, and says what was cut."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_serving.core.letters import DETAIL_BYTES, NAME_BYTES, TEXTS_BYTES, fitted, is_cut, shortened
from model_serving.core.messages import DeadLetter, Reason
from model_serving.wire import encode_dead_letter

KAFKA_OVERHEAD = 100
"""A batch of one record: 61 bytes of header, at most 36 of the record's own."""


def letter(payload: bytes, **texts: str) -> DeadLetter:
    values = {"detail": "why", "topic": "mdata", "data_type": "wine", "model": "", "version": ""} | texts
    return DeadLetter(Reason.NO_MODEL, payload=payload, ts=2**62, **values)


def test_what_fits_stays_as_it_is() -> None:
    whole = letter(b"x" * 100_000)
    assert fitted(whole, 200_000) == whole
    assert fitted(whole, None) == whole


def test_a_payload_that_does_not_fit_is_cut_and_described() -> None:
    payload = bytes(range(256)) * 8192
    cut = fitted(letter(payload), 1_000_000)
    kept = len(cut.payload)
    assert 1_000_000 - TEXTS_BYTES < kept < 1_000_000
    assert cut.payload == payload[:kept]
    assert cut.detail == (
        f"why; the payload is cut: {kept} of 2097152 bytes, SHA-256 {hashlib.sha256(payload).hexdigest()}"
    )
    assert len(encode_dead_letter(letter(payload), 1_000_000)) + KAFKA_OVERHEAD <= 1_000_000


@given(
    size=st.integers(0, 60_000),
    limit=st.integers(TEXTS_BYTES, 50_000),
    detail=st.text(max_size=50).map(lambda text: text * 400),
    name=st.text(max_size=50).map(lambda text: text * 60),
)
def test_no_letter_is_larger_than_its_topic_takes(size: int, limit: int, detail: str, name: str) -> None:
    given_letter = letter(b"x" * size, detail=detail, topic=name, data_type=name, model=name, version=name)
    assert len(encode_dead_letter(given_letter, limit)) + KAFKA_OVERHEAD <= limit
    cut = fitted(given_letter, limit)
    assert is_cut(cut.detail) == (len(cut.payload) < size)


def test_texts_are_short_also_where_the_topic_takes_anything() -> None:
    short = fitted(letter(b"x", detail="d" * 10_000_000, data_type="ü" * 10_000_000), None)
    assert len(short.detail.encode()) == DETAIL_BYTES
    assert NAME_BYTES - 2 < len(short.data_type.encode()) <= NAME_BYTES
    assert (short.detail[:2], short.detail[-2:], short.payload) == ("dd", "d…", b"x")


@pytest.mark.parametrize(
    ("text", "most", "short"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "…"),
        ("abcdef", 5, "ab…"),
        ("üü", 4, "üü"),
        ("üüü", 5, "ü…"),
        ("\udcff", 10, "\\udcff"),
        ("", 3, ""),
    ],
)
def test_a_text_is_cut_between_characters(text: str, most: int, short: str) -> None:
    assert shortened(text, most) == short
