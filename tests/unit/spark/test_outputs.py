"""The rows for Spark's Kafka sink."""

from __future__ import annotations

import pyarrow as pa
import pytest

from model_serving.core.batches import UNKNOWN_ORIGIN
from model_serving.core.channels import AT_ONCE, Channel, Emitted, SwapReport
from model_serving.messaging.sources import SOURCE_HEADER, Source, parse_source
from model_serving.messaging.topics import TopicNames
from model_serving.spark.outputs import ARROW_SCHEMA, Rows, origins_of

TOPICS = TopicNames(data="records", dead_letters="letters")


def rows_of(*emitted: Emitted, confirms: bool = True) -> list[tuple[str, bytes, list[Source | None]]]:
    """(topic, value, the source in each header) of each row."""
    rows = Rows(TOPICS, confirms=confirms)
    for one in emitted:
        rows.add(one)
    count = len(rows)
    batch = rows.take()
    assert (batch.schema, batch.num_rows, len(rows)) == (ARROW_SCHEMA, count, 0)
    assert batch.validate(full=True) is None
    found = []
    for row in batch.to_pylist():
        assert row["key"] is None
        assert {header["key"] for header in row["headers"]} <= {SOURCE_HEADER}
        found.append(
            (row["topic"], row["value"], [parse_source(header["value"]) for header in row["headers"]])
        )
    return found


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


@pytest.mark.parametrize(("confirms", "written"), [(True, [b"swapped", b"waits"]), (False, [b"waits"])])
def test_who_confirms_swaps_writes_their_statuses(confirms: bool, written: list[bytes]) -> None:
    swaps = [
        SwapReport("wine", 1, "worker", b"swapped"),
        SwapReport("wine", 2, "worker", b""),
        SwapReport("wine", AT_ONCE, "worker", b"waits"),
    ]
    rows = Rows(TOPICS, confirms=confirms)
    rows.add(Emitted(swaps=swaps))
    assert rows.statuses() == written
    assert rows.take().column("value").to_pylist() == written


def test_rows_are_given_once() -> None:
    rows = Rows(TOPICS, confirms=False)
    rows.put(TOPICS.status, [b"one", b"two"])
    assert rows.take().column("topic").to_pylist() == ["model-status"] * 2
    empty = rows.take()
    assert (empty.num_rows, empty.schema) == (0, ARROW_SCHEMA)
    assert pa.Table.from_batches([empty]).num_rows == 0


@pytest.mark.parametrize(
    "value", [None, b"", b"records/1", b"records/1/x", b"/1/2", b"a/b/1/2", b"a/1/-2", b"\xff/1/2"]
)
def test_a_header_of_another_form_names_no_source(value: bytes | None) -> None:
    assert parse_source(value) is None
