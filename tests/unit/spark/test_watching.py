"""What is seen of a running job: its end, its failure, and how far it has read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from model_serving.spark import watching
from model_serving.spark.config import Variant, parse_config
from model_serving.spark.started import Started
from model_serving.spark.watching import Commits, watch


class Query:
    """A query that goes through its progresses, one at each look, and then ends."""

    def __init__(self, name: str, *batches: int, failure: Exception | None = None) -> None:
        self.id = name
        self._batches = list(batches)
        self._failure = failure
        self.lastProgress: dict[str, Any] | None = None

    @property
    def isActive(self) -> bool:  # noqa: N802 - pyspark's name
        return bool(self._batches)

    def exception(self) -> Exception | None:
        return self._failure

    def step(self) -> None:
        if self._batches:
            batch = self._batches.pop(0)
            self.lastProgress = {"batchId": batch, "id": self.id, "sources": []}


class Looks:
    """Lets the queries go on at each look; says to stop after so many."""

    def __init__(self, *queries: Query, stop_after: int = 100) -> None:
        self._queries, self._left = queries, stop_after

    def __call__(self, seconds: float) -> bool:
        for query in self._queries:
            query.step()
        self._left -= 1
        return self._left <= 0


def started(*queries: Query, **more: Any) -> Started:
    found: Any = queries
    return Started(queries=found, **more)


def test_a_job_has_finished_when_all_its_queries_have_ended() -> None:
    one, two = Query("one", 0, 1, 1), Query("two", 7)
    seen: list[Any] = []
    assert watch(started(one, two), Looks(one, two), seen.append) is True
    # Each batch of each query is seen once.
    assert [(progress["id"], progress["batchId"]) for progress in seen] == [
        ("one", 0),
        ("two", 7),
        ("one", 1),
    ]


def test_a_job_that_is_to_stop_is_left_running() -> None:
    query = Query("one", *range(100))
    assert watch(started(query), Looks(query, stop_after=3), lambda progress: None) is False
    assert query.isActive


def test_a_failed_query_fails_the_job_while_others_run() -> None:
    failed, other = Query("one", failure=ValueError("broken")), Query("two", *range(100))
    with pytest.raises(ValueError, match="broken"):
        watch(started(failed, other), Looks(other), lambda progress: None)


def test_what_fails_beside_the_queries_fails_the_job() -> None:
    def check() -> None:
        raise ValueError("the models loop")

    with pytest.raises(ValueError, match="the models loop"):
        watch(started(Query("one", 0), check=check), Looks(), lambda progress: None)


class Group:
    """Notes what is committed, by group."""

    committed: ClassVar[list[tuple[str, str, dict[int, int]]]] = []

    def __init__(self, kafka: Any, group: str) -> None:
        self._group = group

    def commit(self, topic: str, offsets: Mapping[int, int]) -> None:
        self.committed.append((self._group, topic, dict(offsets)))

    def close(self) -> None:
        pass


def test_what_was_read_is_committed_once_a_second_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(Group, "committed", [])
    monkeypatch.setattr(watching, "GroupOffsets", Group)
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    commits = Commits(parse_config([], {}, Variant.KEYED))

    def read(offset: int) -> None:
        ends = {"mdata": {"0": offset}, "models": {"0": 1}}
        commits.take({"sources": [{"endOffset": ends}, {"endOffset": {"another": {"0": 9}}}]})

    read(5)
    read(6)
    read(7)
    first = [("wineRecordsGroup", "mdata", {0: 5}), ("modelRecordsGroup", "models", {0: 1})]
    assert Group.committed == first
    commits.close()
    assert Group.committed == [
        *first,
        ("wineRecordsGroup", "mdata", {0: 7}),
        ("modelRecordsGroup", "models", {0: 1}),
    ]
