"""The driver's state: what a restart finds, whatever was committed, and whenever the driver was killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_serving.core.errors import IncompatibleState
from model_serving.core.model_store import StoreFailed
from model_serving.spark.broadcast.driver_state import DriverState, Key, Kind
from model_serving.stores.folders import Folder

LARGE = b"m" * 5000
VALUES = [b"", b"small", LARGE, LARGE + b"2"]
KEYS = [Key(kind, data_type, item) for kind in Kind for data_type in ("hall", "yard") for item in ("", "1")]


class KilledOrCounted(Folder):
    """Counts the bytes that are written. ``writes_left``: the process is killed before the next write."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.written = 0
        self.writes_left: int | None = None

    def write(self, name: str, content: bytes) -> None:
        if self.writes_left is not None:
            if self.writes_left == 0:
                raise Killed
            self.writes_left -= 1
        self.written += len(content)
        super().write(name, content)


class Killed(Exception):
    pass


def entries(state: DriverState) -> dict[Key, bytes | None]:
    return {key: state.get(key) for kind in Kind for key in state.keys(kind)}


@pytest.fixture
def folder(tmp_path: Path) -> KilledOrCounted:
    return KilledOrCounted(str(tmp_path / "state"))


operations = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(KEYS), st.sampled_from(VALUES)),
        st.tuples(st.just("delete"), st.sampled_from(KEYS)),
        st.tuples(st.just("commit"), st.lists(st.sampled_from([b"status", b"other"]), max_size=2)),
        st.tuples(st.just("restart")),
    ),
    max_size=30,
)


@settings(max_examples=50)
@given(operations)
def test_a_restart_finds_the_last_commit(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[object, ...]]
) -> None:
    place = tmp_path_factory.mktemp("state")
    folder = Folder(str(place))
    state = DriverState(folder, "first")
    kept: tuple[dict[Key, bytes], list[bytes], int, str] = ({}, [], 0, "another")
    now: dict[Key, bytes] = {}
    for number, (name, *rest) in enumerate(steps, 1):
        match name, rest:
            case "put", [Key() as key, bytes() as value]:
                state.put(key, value)
                now[key] = value
            case "delete", [Key() as key]:
                state.delete(key)
                now.pop(key, None)
            case "commit", [list() as unsent]:
                state.positions = {0: number}
                state.commit(unsent)
                kept = (dict(now), unsent, number, state.run)
            case _:
                state = DriverState(folder, "another")
                now = dict(kept[0])
                assert (state.unsent, state.positions.get(0, 0), state.run) == kept[1:]
        assert entries(state) == now
        assert state.keys(Kind.KEPT, "hall") == [
            key for key in state.keys(Kind.KEPT) if key.data_type == "hall"
        ]
    state = DriverState(folder, "another")
    assert entries(state) == kept[0]
    bodies = {value for value in kept[0].values() if len(value) >= len(LARGE)}
    assert len(list(place.glob("bodies/*"))) == len(bodies)


def test_what_a_commit_writes_does_not_grow_with_the_data_types(folder: KilledOrCounted) -> None:
    """A job with thousands of data types takes a model message as fast as one with ten."""
    state, written = DriverState(folder, "run"), {}
    for number in range(3000):
        if number in (10, 2999):
            before = folder.written
            state.put(Key(Kind.ORDER, "hall"), b"o" * 500)
            state.commit()
            written[number] = folder.written - before
        state.put(Key(Kind.HISTORY, f"type {number}"), b"h" * 300)
        if number in (9, 2998):
            state.commit()
    assert written[2999] == pytest.approx(written[10], rel=0.1)
    assert len(entries(DriverState(folder, "run"))) == 3000


def test_changes_are_joined_before_they_are_many_or_large(folder: KilledOrCounted, tmp_path: Path) -> None:
    """A start reads a bounded number of files, and the disk has a bounded amount of what is out of date."""
    state = DriverState(folder, "run")
    for number in range(250):
        state.put(Key(Kind.ORDER, "hall"), f"{number}".encode() * 100)
        state.commit()
        files = list((tmp_path / "state" / "changes").glob("*"))
        assert len(files) <= 200
        assert sum(file.stat().st_size for file in files) <= 64 * 1024
    assert entries(DriverState(folder, "run")) == entries(state)


@pytest.mark.parametrize("writes", range(6))
def test_a_kill_at_any_write_leaves_one_commit_or_the_next(folder: KilledOrCounted, writes: int) -> None:
    state = DriverState(folder, "run")
    state.put(Key(Kind.KEPT, "hall", "v1"), LARGE)
    state.commit()
    commits = [entries(state)]
    folder.writes_left = writes
    try:
        for number in range(2, 9):
            state.put(Key(Kind.KEPT, "hall", f"v{number}"), LARGE + bytes([number]))
            state.delete(Key(Kind.KEPT, "hall", f"v{number - 1}"))
            state.commit()
            commits.append(entries(state))
    except Killed:
        assert len(commits) == 1 + writes // 2
    folder.writes_left = None
    assert entries(DriverState(folder, "run")) == commits[-1]


def test_a_kill_before_joined_changes_were_deleted_repeats_none(
    tmp_path: Path, folder: KilledOrCounted
) -> None:
    state = DriverState(folder, "run")
    state.commit()
    state.put(Key(Kind.ORDER, "hall"), b"old")
    state.commit()
    (change,) = (tmp_path / "state" / "changes").iterdir()
    old = change.read_bytes()
    while change.exists():
        state.put(Key(Kind.ORDER, "hall"), b"new")
        state.commit()
    change.write_bytes(old)
    assert entries(DriverState(folder, "run")) == {Key(Kind.ORDER, "hall"): b"new"}
    assert not change.exists()


def test_a_change_that_is_missing_is_one_line(tmp_path: Path, folder: KilledOrCounted) -> None:
    state = DriverState(folder, "run")
    for number in range(4):
        state.put(Key(Kind.ORDER, "hall"), bytes([number]))
        state.commit()
    lost = sorted((tmp_path / "state" / "changes").iterdir())[1]
    lost.unlink()
    with pytest.raises(StoreFailed, match=f"lacks the file changes/{lost.name}: put it back, or start with"):
        DriverState(folder, "run")


FIRST_SCHEMA = {
    "schema": 1,
    "run": "20260101T000000-0",
    "positions": {"0": 7},
    "unsent": ["c3RhdHVz"],
    "entries": [["history", "hall", "", "b2xk", ""], ["kept", "hall", "v1", "", "d1"]],
}
"""As the first version of the Spark jobs wrote it: the whole state at each commit."""


def test_the_first_schema_is_read_and_goes_on(tmp_path: Path, folder: KilledOrCounted) -> None:
    place = tmp_path / "state"
    (place / "bodies").mkdir(parents=True)
    (place / "bodies" / "d1").write_bytes(LARGE)
    (place / "state.json").write_text(json.dumps(FIRST_SCHEMA))
    state = DriverState(folder, "run")
    found = {Key(Kind.HISTORY, "hall"): b"old", Key(Kind.KEPT, "hall", "v1"): LARGE}
    assert entries(state) == found
    assert (state.run, state.positions, state.unsent) == ("20260101T000000-0", {0: 7}, [b"status"])
    state.put(Key(Kind.HISTORY, "hall"), b"new")
    state.commit()
    # The older version refuses it from now on, and does not miss changes that it does not know of.
    assert json.loads((place / "state.json").read_text())["schema"] == 2
    again = DriverState(folder, "run")
    assert entries(again) == found | {Key(Kind.HISTORY, "hall"): b"new"}
    assert (again.run, again.positions, again.unsent) == ("20260101T000000-0", {0: 7}, [])


@pytest.mark.parametrize("name", ["state.json", "changes/0000000000000001"])
def test_a_newer_schema_is_refused(tmp_path: Path, folder: KilledOrCounted, name: str) -> None:
    state = DriverState(folder, "run")
    state.commit()
    state.put(Key(Kind.ORDER, "hall"), b"1")
    state.commit()
    file = tmp_path / "state" / name
    file.write_text(json.dumps(json.loads(file.read_text()) | {"schema": 3}))
    with pytest.raises(IncompatibleState):
        DriverState(folder, "run")


def test_who_has_a_successor_commits_nothing(folder: KilledOrCounted) -> None:
    """The job has started again in the same process, while the thread before hangs in a library."""
    state = DriverState(folder, "run")
    state.commit()
    state.give_up()
    state.put(Key(Kind.ORDER, "hall"), b"late")
    with pytest.raises(StoreFailed, match="has started again"):
        state.commit()
    assert entries(DriverState(folder, "run")) == {}
