"""The environment variables with which a Spark job starts its JVM, and the Java in it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

from model_serving.runtime.environment import project_root
from model_serving.runtime.errors import SetupError
from model_serving.runtime.jar_lock import SPARK
from model_serving.runtime.jars import class_path
from model_serving.runtime.java import JavaHome, find_java
from model_serving.runtime.programs import write_program

__all__ = ["SUBMIT_ARGS", "is_local", "java_home", "pyspark_home", "spark_environment", "submit_words"]

SUBMIT_ARGS = "PYSPARK_SUBMIT_ARGS"
"""The options of spark-submit, for the JVM that pyspark starts; the last word is ``pyspark-shell``."""

_SHELL = "pyspark-shell"
_INCUBATOR = "jdk.incubator.vector"
_CONF = Path(__file__).with_name("conf")
_ASK_S = 20.0

_LAUNCHER = """\
#!/bin/sh
# Spark's launcher always asks for a module of Java that this Java does not have, and that only speeds up
# Spark's own linear algebra.
for word do
  shift
  [ "$word" = --add-modules={module} ] || set -- "$@" "$word"
done
exec {java} "$@"
"""


def spark_environment(base: Mapping[str, str], *, address: str) -> dict[str, str]:
    """Returns ``base`` with Java, this environment's pyspark, its Python, its jars and its settings added.

    A SPARK_CONF_DIR in ``base`` is kept. ``address`` is what Spark binds its ports to where the job runs in
    one process.

    Raises:
        SetupError: there is no pyspark, no Java 17 or no jar of the Kafka connector.
    """
    words = submit_words(base.get(SUBMIT_ARGS, ""))
    environment = {
        **base,
        "SPARK_HOME": str(pyspark_home()),
        "JAVA_HOME": str(java_home(base)),
        # Else workers are the first python3 on PATH.
        "PYSPARK_PYTHON": base.get("PYSPARK_PYTHON") or sys.executable,
        # Workers find the scripts' modules as the driver does, in a working tree too.
        "PYTHONPATH": os.pathsep.join(
            dict.fromkeys([str(project_root()), *filter(None, base.get("PYTHONPATH", "").split(os.pathsep))])
        ),
        SUBMIT_ARGS: shlex.join([*_with_jars(words), _SHELL]),
    }
    environment.setdefault("SPARK_CONF_DIR", str(_CONF))
    # Printed lines must appear at once, and not at exit.
    environment.setdefault("PYTHONUNBUFFERED", "1")
    # Each task scores in a process of its own. For each of them, numpy's library would start threads for all
    # cores.
    environment.setdefault("OPENBLAS_NUM_THREADS", "1")
    if is_local(words):
        environment["SPARK_LOCAL_IP"] = address
    return environment


def submit_words(text: str) -> list[str]:
    """The options in a value of SUBMIT_ARGS, without the last word."""
    words = shlex.split(text)
    return words[:-1] if words and words[-1] == _SHELL else words


def is_local(words: list[str]) -> bool:
    """Whether the options of spark-submit name no master, or one in the same process."""
    master = ""
    for option, value in pairwise(words):
        if option == "--master":
            master = value
        elif option in ("--conf", "-c") and value.startswith("spark.master="):
            master = value.partition("=")[2]
    return not master or master.startswith("local")


def pyspark_home() -> Path:
    """The folder of the pyspark package, which is a whole Spark.

    Raises:
        SetupError: there is none.
    """
    found = find_spec("pyspark")
    if found is None or found.origin is None:
        raise SetupError(
            "there is no pyspark here: run `make install-spark`, and start the job with "
            ".venv-spark/bin/spark-submit"
        )
    return Path(found.origin).parent


def java_home(environ: Mapping[str, str]) -> Path:
    """A value for JAVA_HOME whose ``java`` takes the options that Spark's launcher gives it.

    Raises:
        JavaNotFoundError: there is no Java 17.
    """
    found = find_java(environ, newer=True)
    return found.home if _has_module(found) else _launcher(found)


def _has_module(java: JavaHome) -> bool:
    try:
        listed = subprocess.run(
            [java.java, "--list-modules"], capture_output=True, text=True, check=True, timeout=_ASK_S
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    return _INCUBATOR in listed


def _launcher(java: JavaHome) -> Path:
    """Writes a ``bin/java`` in this environment that drops the module's name, and returns its home."""
    home = Path(sys.prefix) / "share" / "model-serving" / "java"
    program = home / "bin" / "java"
    text = _LAUNCHER.format(module=_INCUBATOR, java=shlex.quote(str(java.java.resolve())))
    try:
        write_program(program, text)
    except OSError as error:
        raise SetupError(
            f"{program} cannot be written ({error.strerror}): run `make install-spark` as a user who may, or "
            f"set JAVA_HOME to a Java 17 with the module {_INCUBATOR}"
        ) from error
    return home


def _with_jars(words: list[str]) -> list[str]:
    """The options with the connector's jars added to those that the user names."""
    jars = [str(path) for path in class_path(SPARK)]
    rest: list[str] = []
    left = iter(words)
    for word in left:
        if word == "--jars":
            jars += next(left, "").split(",")
        else:
            rest.append(word)
    return ["--jars", ",".join(filter(None, jars)), *rest]
