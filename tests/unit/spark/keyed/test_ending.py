"""When a bounded keyed query has served everything."""

from __future__ import annotations

from typing import Any

import pytest

from model_serving.spark.keyed.ending import is_served


def source(start: str | None, end: str | None) -> dict[str, Any]:
    return {"startOffset": start, "endOffset": end}


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ([source('{"mdata":{"0":7}}', '{"mdata":{"0":7}}'), source("{}", "{}")], True),
        ([source('{"mdata":{"0":7}}', '{"mdata":{"0":9}}'), source("{}", "{}")], False),
        # The first batch of a query.
        ([source(None, '{"mdata":{"0":9}}'), source(None, "{}")], False),
        ([source(None, None)], False),
        ([], False),
    ],
)
def test_a_batch_that_has_read_nothing_is_the_last_one(sources: list[Any], expected: bool) -> None:
    assert is_served({"sources": sources}) is expected
