"""The process that asks who reads in a job's consumer groups: apart, restarted, never left behind."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import psutil
import pytest

from flink_jobs import group_watch
from flink_jobs.group_watch import GroupWatch, foreign_members
from model_serving.messaging.access import KafkaAccess
from tests.jobs import eventually

NOBODY = KafkaAccess("127.0.0.1:1")


def children() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if "model_serving.messaging.groups" in " ".join(child.cmdline())
    ]


@pytest.fixture
def watch() -> Iterator[GroupWatch]:
    made = GroupWatch(NOBODY, ["models", "data"])
    yield made
    if made._process is not None:
        made._process.kill()
        made._process.wait()


def test_a_watch_whose_process_dies_says_nothing_and_starts_another(
    watch: GroupWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_watch, "_START_AGAIN_S", 0.0)
    assert list(watch.news()) == []
    first = watch._process
    assert first is not None
    first.kill()
    first.wait()

    def another_one() -> bool:
        assert list(watch.news()) == []
        return watch._process not in (None, first)

    eventually(another_one, lambda: "no other process was started", within_s=20)


def test_the_process_ends_when_nobody_can_ask_any_more(watch: GroupWatch) -> None:
    assert list(watch.news()) == []
    (child,) = children()
    assert watch._process is not None
    assert watch._process.stdin is not None
    watch._process.stdin.close()
    eventually(
        lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE,
        lambda: str(child),
        within_s=20,
    )


def test_others_are_told_once_and_again_after_they_have_left(
    watch: GroupWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = iter(
        [b'{"models": ["a"]}\n{"mod', b'els": ["a"]}\n', b"{}\n", b'{"models": ["b"], "data": ["c"]}\n']
    )
    monkeypatch.setattr(
        GroupWatch,
        "_started",
        lambda self: subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE),
    )
    assert list(watch.news()) == []
    told = []
    for answer in said:
        # As the watch itself reads: all that is there, nothing when nothing is.
        monkeypatch.setattr("os.read", _reader(answer))
        told.append(sorted(watch.news()))
    one = foreign_members("models", ["a"])
    assert told == [[one], [], [], sorted([foreign_members("data", ["c"]), foreign_members("models", ["b"])])]


def _reader(answer: bytes) -> object:
    parts = [answer]

    def read(fd: int, length: int) -> bytes:
        if not parts:
            raise BlockingIOError
        return parts.pop()

    return read
