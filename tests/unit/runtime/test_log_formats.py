"""Flink's logs as text and as JSON, written by Log4j itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from model_serving.runtime.flink_home import FlinkHome, assemble, installed_distribution
from model_serving.runtime.log_formats import with_json

PROGRAM = """
import org.apache.logging.log4j.*;

public class Say {
    public static void main(String[] words) {
        Logger log = LogManager.getLogger("some.Class");
        log.info("says \\"{}\\",\\non two lines", "this");
        log.error("failed", new IllegalStateException("why"));
        log.debug("details");
    }
}
"""


@pytest.fixture(scope="module")
def conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration folder of a home as the set-up makes it."""
    home = FlinkHome(tmp_path_factory.mktemp("home") / "flink")
    assemble(home, installed_distribution(), [], Path("/venv/bin/python"))
    return home.conf


@pytest.mark.parametrize("name", ["log4j", "log4j-console", "log4j-session", "log4j-cli"])
def test_every_configuration_has_both(conf: Path, name: str) -> None:
    text = (conf / f"{name}.properties").read_text(encoding="utf-8")
    patterns = re.findall(r"^(\S+)\.pattern = (.*)$", text, re.MULTILINE)
    assert patterns != []
    assert {pattern for _, pattern in patterns} == {"${${env:MODEL_SERVING_LOG_FORMAT:-text}:-${text}}"}
    # The level is changed by a variable, or in the file, which is read again every 30 s.
    assert "rootLogger.level = ${env:ROOT_LOG_LEVEL:-INFO}" in text
    assert re.search(r"^monitorInterval ?= ?30$", text, re.MULTILINE)


def test_a_configuration_without_patterns_is_left_alone() -> None:
    assert with_json("rootLogger.level = INFO\n") == "rootLogger.level = INFO\n"


def said(conf: Path, folder: Path, **variables: str) -> list[str]:
    if shutil.which("javac") is None:
        pytest.skip("needs a JDK (javac)")
    (folder / "Say.java").write_text(PROGRAM, encoding="utf-8")
    libraries = [str(jar) for jar in (installed_distribution() / "lib").glob("log4j-*.jar")]
    log = folder / "said.log"
    settings = [f"-Dlog4j.configurationFile={conf / 'log4j-cli.properties'}", f"-Dlog.file={log}"]
    done = subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", *settings, "-cp", ":".join(libraries), "Say.java"],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return log.read_text(encoding="utf-8").splitlines()


def test_json_is_one_object_a_line(conf: Path, tmp_path: Path) -> None:
    lines = said(conf, tmp_path, MODEL_SERVING_LOG_FORMAT="json", ROOT_LOG_LEVEL="DEBUG")
    info, error, debug = map(json.loads, lines)
    assert info.keys() == {"time", "level", "logger", "thread", "message", "thrown"}
    assert (info["level"], info["logger"], info["thrown"]) == ("INFO", "some.Class", "")
    assert info["message"] == 'says "this",\non two lines'
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", info["time"])
    assert "java.lang.IllegalStateException: why\n\tat Say.main" in error["thrown"]
    assert debug["message"] == "details"


@pytest.mark.parametrize("value", ["text", "no such format", ""])
def test_otherwise_the_lines_are_flinks(conf: Path, tmp_path: Path, value: str) -> None:
    lines = said(conf, tmp_path, MODEL_SERVING_LOG_FORMAT=value)
    assert re.fullmatch(r'\S+ \S+ INFO  some\.Class +\[\] - says "this",', lines[0])
    assert lines[1] == "on two lines"
    assert lines[2].endswith("- failed")
    assert lines[3] == "java.lang.IllegalStateException: why"
    assert [line for line in lines if "details" in line] == []
