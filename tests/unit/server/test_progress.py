"""How far records have been served, by partition."""

from __future__ import annotations

import pytest
from confluent_kafka import Message, TopicPartition

from model_serving.server.progress import Progress


def records(*places: tuple[int, int]) -> list[Message]:
    """Records of these partitions with these offsets."""
    return [
        Message(topic="data", partition=partition, offset=offset, value=b"") for partition, offset in places
    ]


@pytest.mark.parametrize(
    ("served", "wanted"),
    [
        ([(3, 7)], {3: 8}),
        ([(3, 7), (3, 8), (3, 11)], {3: 12}),
        # Clients give out the records of several partitions in turn.
        ([(0, 4), (1, 90), (0, 5), (1, 91), (0, 6)], {0: 7, 1: 92}),
        ([], {}),
    ],
)
def test_the_offset_after_the_last_record_of_each_partition_is_to_be_committed(
    served: list[tuple[int, int]], wanted: dict[int, int]
) -> None:
    progress = Progress("data")
    progress.served(records(*served))
    assert progress.places() == [TopicPartition("data", *place) for place in wanted.items()]
    assert [place.offset for place in progress.places()] == list(wanted.values())
    assert {place: progress.next_offset(place) for place in wanted} == wanted


def test_what_other_partitions_have_reached_stays_and_those_that_went_are_forgotten() -> None:
    progress = Progress("data")
    progress.served(records((0, 1), (1, 5)))
    progress.served(records((1, 6), (1, 7)))
    assert [(place.partition, place.offset) for place in progress.places()] == [(0, 2), (1, 8)]
    progress.went({0})
    assert [(place.partition, place.offset) for place in progress.places()] == [(1, 8)]
    assert progress.next_offset(0) == 0
