"""The part of Spark's set-up that pip cannot do: the connector's jars, Java, ``spark-submit``, quick workers.

Run it with ``python -m model_serving.spark.install`` in the environment of requirements-spark.lock. Running
it again takes a moment, and mends what was damaged or deleted.
"""

from __future__ import annotations

import os
import shlex
import sys
import sysconfig
from pathlib import Path

from model_serving.runtime.errors import SetupError
from model_serving.runtime.jar_lock import SPARK, pinned_jars
from model_serving.runtime.jar_source import JgoSource
from model_serving.runtime.jars import cache_folder, ensure_jars
from model_serving.runtime.programs import is_program, write_program
from model_serving.runtime.progress import show_progress
from model_serving.runtime.set_up import run_step
from model_serving.spark.environment import java_home, pyspark_home

__all__ = ["install", "main"]

_PROGRAM = """\
#!/bin/sh
# Of this project, see docs/spark.md. pyspark's own is in {home}/bin.
exec {python} -P -m model_serving.spark.submit "$@"
"""

_QUICK_WORKERS = """\
import sys; sys.path.sort(key=lambda entry: entry.endswith("pyspark.zip"))
"""
"""A line that Python reads at the start of every process of the environment.

Spark has its Python processes take pyspark from an archive, where Python compiles it at each start: 1.5 s of
processor time instead of 0.4. Spark gives some of them 10 s to start, whatever else the machine does. The
line puts the installed package first.
"""


def install() -> None:
    """Brings the jars, the Java launcher, ``spark-submit`` and the workers' path up to date.

    Raises:
        SetupError: a step failed.
    """
    python = Path(sys.prefix).resolve() / "bin" / "python"
    program = Path(sys.prefix) / "bin" / "spark-submit"
    text = _PROGRAM.format(home=pyspark_home().resolve(), python=shlex.quote(str(python)))
    # pip has put pyspark's own program there.
    if not is_program(program, text):
        print("set-up of Spark 4/4: jars and spark-submit", flush=True)
    ensure_jars(pinned_jars(SPARK), cache_folder(), JgoSource(), show_progress())
    java_home(os.environ)
    _write(program, text)
    _write(Path(sysconfig.get_path("purelib")) / "model_serving_quick_workers.pth", _QUICK_WORKERS)


def _write(path: Path, text: str) -> None:
    try:
        write_program(path, text)
    except OSError as error:
        raise SetupError(f"{path} cannot be written ({error.strerror})") from error


def main() -> int:
    """Runs the set-up, see ``run_step``."""
    return run_step(install, "set-up of Spark", "make install-spark")


if __name__ == "__main__":
    sys.exit(main())
