"""The messages for Kafka."""

from __future__ import annotations

import pytest

from model_serving.core.batches import UNKNOWN_ORIGIN
from model_serving.core.channels import AT_ONCE, Channel, Emitted, SwapReport
from model_serving.messaging.sources import SOURCE_HEADER, Source, parse_source
from model_serving.messaging.topics import TopicNames
from model_serving.spark.outputs import Rows, origins_of

TOPICS = TopicNames(data="records", dead_letters="letters")


def rows_of(*emitted: Emitted) -> list[tuple[str, bytes, list[Source | None]]]:
    """(topic, value, the source in each header) of each row."""
    rows = Rows(TOPICS)
    for one in emitted:
        rows.add(one)
    count = len(rows)
    taken = rows.take()
    assert (len(taken), len(rows)) == (count, 0)
    assert {name for _, _, headers in taken for name, _ in headers} <= {SOURCE_HEADER}
    return [(topic, value, [parse_source(place) for _, place in headers]) for topic, value, headers in taken]


def test_each_message_goes_to_its_topic_and_each_result_has_its_source() -> None:
    scored = Emitted(results=[b"a", b"b"], origins=origins_of([0, 32_767], [5, (1 << 48) - 1]).tolist())
    others = [
        (Channel.DEAD_LETTERS, b"letter"),
        (Channel.STATUSES, b"status"),
        (Channel.ROLLBACKS, b"rollback"),
    ]
    assert rows_of(Emitted(side=others), scored) == [
        ("results", b"a", [Source("records", 0, 5)]),
        ("results", b"b", [Source("records", 32_767, (1 << 48) - 1)]),
        ("letters", b"letter", []),
        ("model-status", b"status", []),
        ("models", b"rollback", []),
    ]


def test_a_result_of_unknown_origin_has_no_header() -> None:
    known = origins_of(2, [3]).tolist()
    given = Emitted(results=[b"a", b"b"], origins=[UNKNOWN_ORIGIN, *known])
    assert rows_of(Emitted(results=[b"first"]), given) == [
        ("results", b"first", []),
        ("results", b"a", []),
        ("results", b"b", [Source("records", 2, 3)]),
    ]


def test_the_statuses_of_swaps_are_left_to_the_driver() -> None:
    swaps = [
        SwapReport("wine", 1, "worker", b"swapped"),
        SwapReport("wine", 2, "worker", b""),
        SwapReport("wine", AT_ONCE, "worker", b"waits"),
    ]
    assert rows_of(Emitted(swaps=swaps)) == [("model-status", b"waits", [])]


def test_rows_are_given_once() -> None:
    rows = Rows(TOPICS)
    rows.add(Emitted(side=[(Channel.STATUSES, b"one")]))
    assert rows.take() == [("model-status", b"one", [])]
    assert rows.take() == []


@pytest.mark.parametrize(
    "value", [None, b"", b"records/1", b"records/1/x", b"/1/2", b"a/b/1/2", b"a/1/-2", b"\xff/1/2"]
)
def test_a_header_of_another_form_names_no_source(value: bytes | None) -> None:
    assert parse_source(value) is None
