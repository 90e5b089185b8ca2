"""The set-up of Spark: what it says, and where its Python processes take pyspark from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from model_serving.spark import install

_PROGRAM = """
import site, sys
sys.path[:0] = ["/spark/python/lib/pyspark.zip", "/spark/python/lib/py4j.zip"]
before = list(sys.path)
site.addsitedir(sys.argv[1])
assert sys.path.pop() == "/spark/python/lib/pyspark.zip"
before.remove("/spark/python/lib/pyspark.zip")
assert sys.path == [*before, sys.argv[1]]
"""


def test_the_archive_of_pyspark_comes_last(tmp_path: Path) -> None:
    install._write(tmp_path / "quick.pth", install._QUICK_WORKERS)
    subprocess.run([sys.executable, "-c", _PROGRAM, str(tmp_path)], check=True, timeout=60)


def test_the_last_step_is_named_until_spark_submit_is_this_projects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pysparks = tmp_path / "bin" / "spark-submit"
    pysparks.parent.mkdir()
    pysparks.write_text("#!/bin/sh\n")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(install, "pyspark_home", lambda: tmp_path)
    monkeypatch.setattr(install, "ensure_jars", lambda *_: None)
    monkeypatch.setattr(install, "java_home", lambda _: None)
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path / "packages"))

    install.install()
    assert capsys.readouterr().out == "set-up of Spark 4/4: jars and spark-submit\n"
    assert "model_serving.spark.submit" in pysparks.read_text()
    install.install()
    assert capsys.readouterr().out == ""
