"""Results that were read already: none is taken for a repeat that is none, in any order."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from model_serving.client.distinct import SeenSources
from model_serving.messaging.sources import Source

SOURCES = st.builds(
    Source, st.sampled_from(["mdata", "other"]), st.integers(0, 2), st.sampled_from([0, 1, 7, 65_535, 65_536])
)


@given(st.lists(SOURCES))
def test_exactly_the_first_result_of_each_record_is_new(sources: list[Source]) -> None:
    seen = SeenSources()
    repeats = [seen.is_repeat(source) for source in sources]
    assert repeats == [source in sources[:place] for place, source in enumerate(sources)]


def test_the_order_of_offsets_does_not_matter() -> None:
    offsets = random.Random(5).sample(range(300_000), 2_000)
    seen = SeenSources()
    assert not any(seen.is_repeat(Source("mdata", 0, offset)) for offset in offsets)
    assert all(seen.is_repeat(Source("mdata", 0, offset)) for offset in reversed(offsets))


def test_what_was_seen_longest_ago_is_forgotten_first() -> None:
    seen = SeenSources(chunks=2)
    first, second, third = (Source("mdata", partition, 5) for partition in range(3))
    assert [seen.is_repeat(one) for one in (first, second, first, third)] == [False, False, True, False]
    # The second one's chunk made room for the third one's, so its repeat is printed rather than lost.
    assert [seen.is_repeat(one) for one in (first, third, second)] == [True, True, False]
