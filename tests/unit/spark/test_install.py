"""The set-up of Spark: where its Python processes take pyspark from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
