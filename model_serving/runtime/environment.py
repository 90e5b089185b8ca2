"""Makes the environment variables for Flink, its clusters and the jobs' scripts.

`python -m model_serving.runtime.environment` prints them as shell exports, which the Flink home's scripts
evaluate.
"""

from __future__ import annotations

import os
import shlex
import sys
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path

from model_serving.runtime.errors import FlinkHomeError, SetupError
from model_serving.runtime.flink_home import FlinkHome, flink_home
from model_serving.runtime.java import JavaHome, find_java
from model_serving.runtime.variables import variable

__all__ = ["MARK", "flink_environment", "main", "project_root"]

MARK = variable("environment")
"""Set in every environment made here. An environment that has it does not need to be prepared again."""

# If another Flink has set these, they would mix its jars with the jars of this one.
_FOREIGN = ("FLINK_LIB_DIR", "FLINK_OPT_DIR", "FLINK_PLUGINS_DIR", "FLINK_BIN_DIR", "_FLINK_HOME_DETERMINED")
_MADE = (
    MARK,
    "FLINK_CONF_DIR",
    "FLINK_HOME",
    "JAVA_HOME",
    "LC_ALL",
    "OPENBLAS_NUM_THREADS",
    "PATH",
    "PYTHONPATH",
)


def project_root() -> Path:
    """Returns the folder of this project's packages: the working tree, or site-packages for a wheel."""
    return Path(__file__).resolve().parents[2]


def flink_environment(
    base: Mapping[str, str],
    *,
    home: FlinkHome | None = None,
    java: Callable[[Mapping[str, str]], JavaHome] = find_java,
) -> dict[str, str]:
    """Returns `base` with Java, the Flink home, its configuration, and Python's import path added.

    A FLINK_CONF_DIR in `base` is kept if `base` was made by this function (for a cluster with its own
    configuration), and replaced if it belongs to another Flink.

    Raises:
        JavaNotFoundError: there is no Java 17.
        FlinkHomeError: the Flink home is missing.
    """
    home = flink_home() if home is None else home
    if not home.is_assembled:
        raise FlinkHomeError(f"there is no Flink home in {home.path}; run `make install`")
    environment = {name: value for name, value in base.items() if name not in _FOREIGN}
    ours_already = base.get(MARK) == str(home.path)
    if not (ours_already and "FLINK_CONF_DIR" in base):
        environment["FLINK_CONF_DIR"] = str(home.conf)
    java_home = java(base)
    environment[MARK] = str(home.path)
    environment["FLINK_HOME"] = str(home.path)
    environment["JAVA_HOME"] = str(java_home.home)
    environment["PATH"] = _join(
        # The venv is first: thread mode embeds the first python3 on PATH, and Java may be in /usr/bin.
        [str(Path(sys.prefix) / "bin"), str(java_home.home / "bin")],
        base.get("PATH", os.defpath),
    )
    # Thread mode embeds the base interpreter in the TaskManager's JVM. It does not know the venv and does not
    # read the .pth file of an editable install, so both folders are named.
    environment["PYTHONPATH"] = _join(
        [str(project_root()), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")],
        base.get("PYTHONPATH", ""),
    )
    # Java encodes file names in the locale's encoding and replaces characters that it lacks with "?", which
    # names another folder. Java has no option for this. On macOS it always uses UTF-8, and this locale may
    # not exist.
    if sys.platform != "darwin":
        environment["LC_ALL"] = "C.UTF-8"
    # Printed results, and this project's one-line errors, must appear at once and not at exit.
    environment.setdefault("PYTHONUNBUFFERED", "1")
    # Each instance of an operator scores in its own thread. For each of them, numpy's library would start
    # threads for all cores.
    environment.setdefault("OPENBLAS_NUM_THREADS", "1")
    return environment


def _join(first: list[str], rest: str) -> str:
    """Returns a search path without repetitions that begins with `first`."""
    return os.pathsep.join(dict.fromkeys([*first, *(part for part in rest.split(os.pathsep) if part)]))


def main() -> int:
    """Prints the variables as shell exports.

    Returns:
        The exit status: 0, or 1 with one line on standard error when they cannot be made.
    """
    try:
        environment = flink_environment(os.environ)
    except SetupError as failure:
        print(failure, file=sys.stderr)
        return 1
    for name in _MADE:
        if name in environment:
            print(f"export {name}={shlex.quote(environment[name])}")
    print(f"unset {' '.join(_FOREIGN)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
