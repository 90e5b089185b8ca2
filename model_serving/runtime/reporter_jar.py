"""Compiles runtime/reporter/*.java into the jar beside it (``make reporter``); only a change needs a JDK.

The jar is part of this project, because the Java that the set-up installs has no compiler.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.resources import files
from pathlib import Path

from model_serving.runtime.errors import FlinkHomeError
from model_serving.runtime.flink_home import REPORTER_JAR, REPORTER_PLUGIN, installed_distribution

__all__ = ["compile_reporter", "main", "write_jar"]

_SOURCES = Path(str(files("model_serving.runtime") / "reporter"))
_FACTORY = "org.apache.flink.metrics.prometheus.PrometheusHostReporterFactory"
_SERVICE = "META-INF/services/org.apache.flink.metrics.reporter.MetricReporterFactory"
# The least that Flink 2 runs on, whatever JDK compiles it.
_RELEASE = "11"
_A_DATE = (1980, 1, 1, 0, 0, 0)


def compile_reporter(distribution: Path, folder: Path) -> dict[str, bytes]:
    """Returns the compiled classes by their names in a jar; ``folder`` is for the compiler's output.

    Raises:
        FlinkHomeError: there is no compiler, or it has found an error.
    """
    compiler = shutil.which("javac")
    if compiler is None:
        raise FlinkHomeError("there is no javac on PATH: install a JDK, 17 or later")
    jars = [
        *(distribution / "lib").glob("*.jar"),
        *(distribution / "plugins" / REPORTER_PLUGIN).glob("*.jar"),
    ]
    done = subprocess.run(
        [
            compiler,
            *("--release", _RELEASE, "-Xlint:-options", "-proc:none"),
            *("-classpath", ":".join(map(str, jars)), "-d", str(folder)),
            *map(str, sorted(_SOURCES.glob("*.java"))),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode != 0:
        raise FlinkHomeError(f"the reporter does not compile:\n{done.stderr}")
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.class"))}


def write_jar(classes: dict[str, bytes], jar: Path) -> None:
    """Writes the classes and the file by which Flink finds the factory. Equal classes make equal bytes."""
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in [(_SERVICE, f"{_FACTORY}\n".encode()), *classes.items()]:
            archive.writestr(zipfile.ZipInfo(name, _A_DATE), content, zipfile.ZIP_DEFLATED)


def main() -> int:
    """Writes the jar. Returns the exit status."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            classes = compile_reporter(installed_distribution(), Path(folder))
            write_jar(classes, Path(str(REPORTER_JAR)))
    except FlinkHomeError as failure:
        print(f"reporter: {failure}", file=sys.stderr)
        return 1
    print(f"wrote {REPORTER_JAR.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
