from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from model_serving.runtime.errors import JarError, JarMissingError
from model_serving.runtime.jar_lock import FLINK, KAFKA, PinnedJar, format_lock, parse_lock, pinned_jars
from model_serving.runtime.jars import cache_folder, class_path, ensure_jars, is_intact
from model_serving.runtime.progress import PlainProgress


def pin(name: str) -> PinnedJar:
    """Returns a jar whose content is its own name."""
    return PinnedJar(f"org.example:{name}:1.0", hashlib.sha256(name.encode()).hexdigest())


ONE, TWO = pin("one"), pin("two")


class FakeSource:
    """Serves jars whose content is their artifact's name; some may be damaged, missing or cut off."""

    def __init__(
        self,
        *,
        damaged: int = 0,
        missing: frozenset[str] = frozenset(),
        cut_off: frozenset[str] = frozenset(),
    ) -> None:
        self.asked: list[str] = []
        self._damaged = damaged
        self._missing = missing
        self._cut_off = cut_off

    def fetch(self, coordinate: str, folder: Path) -> Path:
        self.asked.append(coordinate)
        name = coordinate.split(":")[1]
        if name in self._missing:
            raise JarError(f"{coordinate} could not be downloaded (no connection)")
        path = folder / "deep" / f"{name}.jar"
        path.parent.mkdir()
        if name in self._cut_off:
            path.write_text(name[:1], encoding="utf-8")
            raise KeyboardInterrupt
        text = name
        if self._damaged:
            self._damaged -= 1
            text = f"{name} damaged"
        path.write_text(text, encoding="utf-8")
        return path


class Recorder:
    """Replaces standard output and sleep."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.pauses: list[float] = []

    def write(self, text: str) -> int:
        self.lines.append(text)
        return len(text)

    def flush(self) -> None:
        return


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def ensure(cache: Path, source: FakeSource, recorder: Recorder, *jars: PinnedJar) -> tuple[Path, ...]:
    progress = PlainProgress(recorder)  # type: ignore[arg-type]
    return ensure_jars(jars, cache, source, progress, pause_s=recorder.pauses.append)


def contents(cache: Path) -> dict[str, str]:
    """Returns every file below the cache, so that a leftover is seen."""
    return {
        str(path.relative_to(cache)): path.read_text(encoding="utf-8")
        for path in sorted(cache.rglob("*"))
        if path.is_file()
    }


BOTH = {"org/example/one/1.0/one-1.0.jar": "one", "org/example/two/1.0/two-1.0.jar": "two"}


def test_missing_jars_are_fetched_in_order_and_announced(tmp_path: Path, recorder: Recorder) -> None:
    source = FakeSource()
    paths = ensure(tmp_path, source, recorder, TWO, ONE)
    assert [path.name for path in paths] == ["two-1.0.jar", "one-1.0.jar"]
    assert contents(tmp_path) == BOTH
    assert "".join(recorder.lines).count("\n") == 2


def test_what_is_there_and_right_is_not_asked_for(tmp_path: Path, recorder: Recorder) -> None:
    ensure(tmp_path, FakeSource(), recorder, ONE, TWO)
    source = FakeSource()
    recorder.lines.clear()
    ensure(tmp_path, source, recorder, ONE, TWO)
    assert (source.asked, recorder.lines) == ([], [])


@pytest.mark.parametrize("content", [b"", b"on", b"onf"])
def test_a_damaged_jar_in_the_cache_is_fetched_again(
    content: bytes, tmp_path: Path, recorder: Recorder
) -> None:
    one, _ = ensure(tmp_path, FakeSource(), recorder, ONE, TWO)
    one.write_bytes(content)
    source = FakeSource()
    ensure(tmp_path, source, recorder, ONE, TWO)
    assert (source.asked, contents(tmp_path)) == ([ONE.coordinate], BOTH)


def test_a_download_that_arrives_damaged_is_tried_again(tmp_path: Path, recorder: Recorder) -> None:
    ensure(tmp_path, FakeSource(damaged=2), recorder, ONE)
    assert (contents(tmp_path), recorder.pauses) == ({"org/example/one/1.0/one-1.0.jar": "one"}, [1.0, 2.0])


def test_a_download_that_stays_damaged_is_one_line_and_leaves_nothing(
    tmp_path: Path, recorder: Recorder
) -> None:
    with pytest.raises(JarError) as caught:
        ensure(tmp_path, FakeSource(damaged=9), recorder, ONE)
    assert str(caught.value) == (
        "org.example:one:1.0 arrived damaged (its SHA-256 is not the one in jars.lock); "
        "check the network and run `make install` again"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_failed_download_keeps_what_was_fetched_before(tmp_path: Path, recorder: Recorder) -> None:
    ensure(tmp_path, FakeSource(), recorder, ONE)
    with pytest.raises(JarError) as caught:
        ensure(tmp_path, FakeSource(missing=frozenset({"two"})), recorder, ONE, TWO)
    assert str(caught.value) == (
        "org.example:two:1.0 could not be downloaded (no connection); "
        "check the network and run `make install` again"
    )
    assert contents(tmp_path) == {"org/example/one/1.0/one-1.0.jar": "one"}


def test_an_interrupted_download_leaves_nothing_half_made(tmp_path: Path, recorder: Recorder) -> None:
    with pytest.raises(KeyboardInterrupt):
        ensure(tmp_path, FakeSource(cut_off=frozenset({"one"})), recorder, ONE)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_download_left_is_swept_up_when_it_is_old(tmp_path: Path, recorder: Recorder) -> None:
    old, young = tmp_path / ".partial-old", tmp_path / ".partial-young"
    for folder in (old, young):
        folder.mkdir()
    two_hours_ago = time.time() - 7200
    os.utime(old, (two_hours_ago, two_hours_ago))
    ensure(tmp_path, FakeSource(), recorder, ONE)
    assert (old.exists(), young.exists()) == (False, True)


def test_a_cache_that_cannot_be_used_is_named(tmp_path: Path, recorder: Recorder) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    with pytest.raises(JarError) as caught:
        ensure(in_the_way / "jars", FakeSource(), recorder, ONE)
    assert str(caught.value) == (
        f"the cache {in_the_way / 'jars'} cannot be used (Not a directory); "
        "set MODEL_SERVING_CACHE to a folder that you can write to"
    )


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"MODEL_SERVING_CACHE": "/c", "XDG_CACHE_HOME": "/x"}, "/c/jars"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/flink-model-serving/jars"),
        ({}, f"{Path.home()}/.cache/flink-model-serving/jars"),
    ],
)
def test_the_cache_lies_outside_the_working_tree(environ: dict[str, str], folder: str) -> None:
    assert cache_folder(environ) == Path(folder)


def test_a_class_path_is_all_of_a_group_or_an_error(tmp_path: Path) -> None:
    with pytest.raises(JarMissingError) as caught:
        class_path(FLINK, cache=tmp_path)
    assert str(caught.value) == (
        f"flink-sql-connector-kafka-5.0.0-2.2.jar is not in {tmp_path}; run `make install`"
    )
    jars = pinned_jars(FLINK)
    for jar in jars:
        (tmp_path / jar.path).parent.mkdir(parents=True)
        (tmp_path / jar.path).touch()
    assert class_path(FLINK, cache=tmp_path) == tuple(tmp_path / jar.path for jar in jars)


def test_a_jar_of_two_groups_is_the_same_jar_and_there_once() -> None:
    versions = {jar.coordinate.rpartition(":")[0]: jar for jar in pinned_jars(KAFKA)}
    shared = [jar for jar in pinned_jars(FLINK) if jar.coordinate.rpartition(":")[0] in versions]
    assert [jar.coordinate.split(":")[1] for jar in shared] == ["zstd-jni", "lz4-java", "snappy-java"]
    assert all(versions[jar.coordinate.rpartition(":")[0]] == jar for jar in shared)
    both = pinned_jars(FLINK, KAFKA)
    assert len(both) == len(set(both)) == len(pinned_jars(FLINK)) + len(pinned_jars(KAFKA)) - len(shared)


def test_the_lock_reads_back_as_it_was_written() -> None:
    groups = {"flink": (ONE,), "kafka": (TWO, ONE)}
    assert parse_lock(format_lock(groups)) == groups


@pytest.mark.parametrize(
    "line", ["org.example:one:1.0 abc", "org.example:one 0", f"one:two:three {'0' * 64}"]
)
def test_a_lock_of_another_form_is_refused(line: str) -> None:
    with pytest.raises(JarError) as caught:
        parse_lock(f"# a comment\n{line}\n")
    assert str(caught.value) == "jars.lock line 2 is neither a group nor a jar; restore the file"


def test_the_projects_lock_pins_connector_and_server() -> None:
    assert [jar.coordinate for jar in pinned_jars(FLINK)] == [
        "org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2",
        "com.github.luben:zstd-jni:1.5.6-10",
        "org.lz4:lz4-java:1.8.0",
        "org.xerial.snappy:snappy-java:1.1.10.7",
    ]
    kafka = [jar.coordinate for jar in pinned_jars(KAFKA)]
    assert kafka[0] == "org.apache.kafka:kafka_2.13:4.1.1"
    assert kafka[-1] == "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3"
    assert len({coordinate.rpartition(":")[0] for coordinate in kafka}) == len(kafka)


def test_intact_means_to_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "one.jar"
    seen = [is_intact(path, ONE)]
    path.write_text("one", encoding="utf-8")
    seen.append(is_intact(path, ONE))
    path.write_text("one ", encoding="utf-8")
    seen.append(is_intact(path, ONE))
    assert seen == [False, True, False]
