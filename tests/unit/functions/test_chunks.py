"""Large model messages between operators and in state."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from functions import chunks
from functions.chunks import CHUNK_BYTES, Arrivals, chunks_of
from functions.state import KeyedPendingModels
from functions.types import PENDING_CHUNKS, PENDING_MODELS
from tests.unit.functions.fake_flink import FakeFlink

SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 3 * CHUNK_BYTES + 7]


def message(size: int) -> bytes:
    """Bytes of which no two chunks are alike."""
    return b"".join(number.to_bytes(4, "big") for number in range(size // 4 + 1))[:size]


def test_a_chunk_says_how_many_follow_and_none_is_too_large() -> None:
    for size in SIZES:
        whole = message(size)
        made = list(chunks_of(whole))
        assert [following for _, following in made] == list(reversed(range(max(1, -(-size // CHUNK_BYTES)))))
        assert all(len(chunk) <= CHUNK_BYTES for chunk, _ in made)
        assert b"".join(chunk for chunk, _ in made) == whole


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40)), max_size=12),
    st.lists(st.integers(0, 2)),
)
def test_messages_of_several_data_types_arrive_whole_and_in_order(
    sent: list[tuple[str, int]], turns: list[int]
) -> None:
    lanes: dict[str, deque[tuple[bytes, int]]] = {of: deque() for of in "abc"}
    saved, chunks.CHUNK_BYTES = chunks.CHUNK_BYTES, 8
    try:
        for of, size in sent:
            lanes[of] += chunks_of(message(size))
    finally:
        chunks.CHUNK_BYTES = saved
    arrivals, came = Arrivals(), []
    for turn in [*turns, *range(3 * sum(map(len, lanes.values())))]:
        of = "abc"[turn % 3]
        if lanes[of]:
            whole = arrivals.add(of, *lanes[of].popleft())
            came += [] if whole is None else [(of, whole)]
    for of in "abc":
        assert [whole for one, whole in came if one == of] == [
            message(size) for one, size in sent if one == of
        ]


def test_a_large_pending_message_is_in_state_in_chunks() -> None:
    flink = FakeFlink()
    flink.key = "hall"
    pending = KeyedPendingModels(flink)
    for number, size in enumerate(SIZES[1:], start=3):
        pending.put("hall", number, message(size))
    restored = FakeFlink()
    restored.restore([flink.saved()])
    restored.key = "hall"
    saved = restored.get_map_state(PENDING_CHUNKS)
    assert all(len(saved.get(key)) <= CHUNK_BYTES for key in saved.keys())  # noqa: SIM118 - Flink's state
    again = KeyedPendingModels(restored)
    assert sorted(again.numbers("hall")) == [3, 4, 5, 6, 7, 8]
    for number, size in enumerate(SIZES[1:], start=3):
        assert again.get("hall", number) == message(size)
    again.remove("hall", 7)
    assert again.get("hall", 8) == message(SIZES[-1])
    for number in (3, 4, 5, 6, 8):
        again.remove("hall", number)
    assert list(restored.get_map_state(PENDING_MODELS).keys()) == list(saved.keys()) == []


def test_a_message_from_a_savepoint_of_an_earlier_version_is_read() -> None:
    flink = FakeFlink()
    flink.key = "hall"
    whole = message(2 * CHUNK_BYTES)
    flink.get_map_state(PENDING_MODELS).put(0, whole)
    pending = KeyedPendingModels(flink)
    assert pending.get("hall", 0) == whole
    pending.remove("hall", 0)
    assert list(pending.numbers("hall")) == []
