"""The environment variables under which Flink, its clusters and the jobs' scripts run.

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
"""Set in every environment made here: what has it needs not be prepared again."""

# Left over from another Flink they would mix that one's jars with this one's.
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
    """The folder of this project's packages: the working tree, or site-packages if it came as a wheel."""
    return Path(__file__).resolve().parents[2]


def flink_environment(
    base: Mapping[str, str],
    *,
    home: FlinkHome | None = None,
    java: Callable[[Mapping[str, str]], JavaHome] = find_java,
) -> dict[str, str]:
    """`base` with what Flink needs: Java, the Flink home and its configuration, and Python's import path.

    A FLINK_CONF_DIR in `base` is kept if `base` came from here (a cluster with a configuration of its own),
    and replaced if it belongs to another Flink. Raises JavaNotFoundError, or FlinkHomeError when the home is
    missing.
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
        # The venv first: thread mode embeds the first python3 of the path, and Java's folder may be /usr/bin.
        [str(Path(sys.prefix) / "bin"), str(java_home.home / "bin")],
        base.get("PATH", os.defpath),
    )
    # Thread mode embeds the base interpreter in the TaskManager's JVM. It knows nothing of the venv and does
    # not read the .pth file of an editable install, so both folders are named.
    environment["PYTHONPATH"] = _join(
        [str(project_root()), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")],
        base.get("PYTHONPATH", ""),
    )
    # Java spells file names as the locale says, and takes "?" for what that lacks: a folder of another name.
    # It has no option for this. On macOS it always takes UTF-8, and this locale may not be there.
    if sys.platform != "darwin":
        environment["LC_ALL"] = "C.UTF-8"
    # Results of a print, and this project's one-line errors, have to come out at once and not at exit.
    environment.setdefault("PYTHONUNBUFFERED", "1")
    # Each instance of an operator scores in its own thread: numpy's library would start threads for all cores
    # below each of them.
    environment.setdefault("OPENBLAS_NUM_THREADS", "1")
    return environment


def _join(first: list[str], rest: str) -> str:
    """A search path without repetitions, `first` in front."""
    return os.pathsep.join(dict.fromkeys([*first, *(part for part in rest.split(os.pathsep) if part)]))


def main() -> int:
    """Prints the variables as shell exports. Status 1 and one line when they cannot be made."""
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
