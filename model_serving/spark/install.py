"""The part of Spark's set-up that pip cannot do: the connector's jars, Java, and ``spark-submit``.

Run it with ``python -m model_serving.spark.install`` in the environment of requirements-spark.lock. Running
it again takes a moment, and mends what was damaged or deleted.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from pathlib import Path

from model_serving.runtime.errors import SetupError
from model_serving.runtime.jar_lock import SPARK, pinned_jars
from model_serving.runtime.jar_source import JgoSource
from model_serving.runtime.jars import cache_folder, ensure_jars
from model_serving.runtime.progress import show_progress
from model_serving.spark.environment import java_home, pyspark_home

__all__ = ["install", "main"]

_PROGRAM = """\
#!/bin/sh
# Of this project, see docs/spark.md. pyspark's own is in {home}/bin.
exec {python} -P -m model_serving.spark.submit "$@"
"""


def install() -> None:
    """Brings the jars, the Java launcher and ``spark-submit`` up to date.

    Raises:
        SetupError: a step failed.
    """
    ensure_jars(pinned_jars(SPARK), cache_folder(), JgoSource(), show_progress())
    java_home(os.environ)
    _write_program(Path(sys.prefix) / "bin" / "spark-submit")


def _write_program(program: Path) -> None:
    python = Path(sys.prefix).resolve() / "bin" / "python"
    text = _PROGRAM.format(home=pyspark_home().resolve(), python=shlex.quote(str(python)))
    try:
        if program.is_file() and program.read_text(encoding="utf-8") == text:
            return
        with tempfile.NamedTemporaryFile("w", dir=program.parent, delete=False, encoding="utf-8") as file:
            file.write(text)
        staged = Path(file.name)
        staged.chmod(0o755)
        staged.replace(program)
    except OSError as error:
        raise SetupError(f"{program} cannot be written ({error.strerror})") from error


def main() -> int:
    """Runs the set-up.

    Returns:
        The exit status: 0; 1 for an error, with one line that says what to do; 130 when interrupted.
    """
    try:
        install()
    except SetupError as failure:
        print(f"set-up of Spark: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("set-up of Spark: interrupted; run `make install-spark` again to continue", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
