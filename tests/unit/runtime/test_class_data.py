from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from model_serving.runtime import class_data, install
from model_serving.runtime.class_data import ClassData, flink_class_data
from model_serving.runtime.errors import ClassDataError
from model_serving.runtime.flink_home import FlinkHome
from model_serving.runtime.java import JavaHome, find_java


@pytest.fixture
def jar(tmp_path: Path) -> Path:
    path = tmp_path / "some.jar"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("text", "no class")
    return path


@pytest.fixture
def java_that_fails(tmp_path: Path) -> Path:
    java = tmp_path / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho no memory >&2\nexit 1\n", encoding="utf-8")
    java.chmod(0o755)
    (tmp_path / "java" / "lib").mkdir()
    (tmp_path / "java" / "lib" / "modules").touch()
    return java


def _version(java: Path, data: ClassData, *options: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(map(str, data.class_path))
    command = [str(java), *data.java_options, *options, "-cp", paths, "-version"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_java_takes_the_archive_or_does_without_and_other_jars_need_another(
    tmp_path: Path, jar: Path
) -> None:
    java = find_java().java
    data = ClassData("kafka", tmp_path / "folder" / "made.jsa", (jar,))
    without = _version(java, data)
    assert without.returncode == 0
    assert not data.is_current(java)
    data.make(java)
    assert data.is_current(java)
    assert {path.name for path in data.archive.parent.iterdir()} == {"made.jsa", "made.stamp"}
    assert _version(java, data, "-Xshare:on").returncode == 0, "Java must take the archive or fail"

    os.utime(jar, (1, 1))
    assert not data.is_current(java)
    data.make(java)
    assert data.is_current(java)

    data.archive.chmod(0o644)
    data.archive.write_text("damaged", encoding="utf-8")
    assert _version(java, data, "-Xshare:on").returncode != 0
    ignored = _version(java, data)
    assert (ignored.returncode, ignored.stdout) == (0, "")
    # Only the last word, whether classes are shared, may differ.
    assert len(ignored.stderr.splitlines()) == len(without.stderr.splitlines())


def test_an_archive_that_cannot_be_made_is_one_line_and_the_earlier_one_stays(
    tmp_path: Path, jar: Path, java_that_fails: Path
) -> None:
    data = ClassData("kafka", tmp_path / "made.jsa", (jar,))
    data.archive.write_text("earlier", encoding="utf-8")
    with pytest.raises(ClassDataError) as failure:
        data.make(java_that_fails)
    assert str(failure.value) == (
        f"the classes of kafka cannot be archived in {data.archive} (no memory), so it starts more slowly; "
        "fix this and run `make install` again"
    )
    assert data.archive.read_text(encoding="utf-8") == "earlier"
    assert not data.is_current(java_that_fails)


def test_a_java_that_is_not_done_in_time_is_one_short_line(
    tmp_path: Path, jar: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeps = tmp_path / "java"
    sleeps.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    sleeps.chmod(0o755)
    monkeypatch.setattr(class_data, "_DUMP_S", 0.2)
    with pytest.raises(
        ClassDataError, match=r"made\.jsa \(Java was not done after 0\.2 s\), so it starts more"
    ):
        ClassData("kafka", tmp_path / "made.jsa", (jar,)).make(sleeps)


def test_the_set_up_says_so_and_goes_on(
    tmp_path: Path,
    jar: Path,
    java_that_fails: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def of_flink(home: FlinkHome) -> ClassData:
        return ClassData("flink", home.class_data, (jar,))

    def of_kafka() -> ClassData:
        return ClassData("kafka", tmp_path / "kafka.jsa", (jar,))

    monkeypatch.setattr(install, "flink_class_data", of_flink)
    monkeypatch.setattr(install, "kafka_class_data", of_kafka)
    install._archive_classes(FlinkHome(tmp_path / "flink"), JavaHome(java_that_fails.parent.parent, "a test"))
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        f"set-up: the classes of {name}, so that it starts faster" for name in ("flink", "kafka")
    ]
    first, second = said.err.splitlines()
    assert first.startswith("set-up: the classes of flink cannot be archived")
    assert second.startswith("set-up: the classes of kafka cannot be archived")


def test_the_class_path_is_in_the_order_of_flinks_scripts(tmp_path: Path) -> None:
    library = tmp_path / "flink" / "lib"
    library.mkdir(parents=True)
    for name in ("zstd.jar", "flink-dist-2.2.1.jar", "Zero.jar", "flink-python.jar", "readme.txt"):
        (library / name).touch()
    data = flink_class_data(FlinkHome(tmp_path / "flink"))
    names = [path.name for path in data.class_path]
    assert names == ["Zero.jar", "flink-python.jar", "zstd.jar", "flink-dist-2.2.1.jar"]
    assert data.archive == tmp_path / "flink.jsa"
