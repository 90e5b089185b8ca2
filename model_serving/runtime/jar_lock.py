"""The file jars.lock: the jars, their order, and their SHA-256.

The file is package data. A line `[group]` begins a group, and a line `group:artifact:version sha256` names a
jar. Their order is the order on the class path. `#` begins a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePosixPath

from model_serving.runtime.errors import JarError

__all__ = ["FLINK", "KAFKA", "LOCK_NAME", "SPARK", "PinnedJar", "format_lock", "parse_lock", "pinned_jars"]

LOCK_NAME = "jars.lock"
FLINK = "flink"
"""The jars of a job that the Flink distribution lacks: the Kafka connector, and compression libraries."""
KAFKA = "kafka"
"""The jars of the embedded Kafka: the server and everything that it needs at run time."""
SPARK = "spark"
"""The jars of a Spark job that pyspark lacks: the Kafka source and sink."""

_GROUP = re.compile(r"\[(?P<group>[a-z]+)\]")
_JAR = re.compile(r"(?P<coordinate>[\w.-]+:[\w.-]+:[\w.-]+) (?P<sha256>[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class PinnedJar:
    """A Maven coordinate `group:artifact:version` and the SHA-256 (hex) of its jar."""

    coordinate: str
    sha256: str

    @property
    def path(self) -> PurePosixPath:
        """The jar's path under a cache folder, which is the path in a Maven repository."""
        group, artifact, version = self.coordinate.split(":")
        return PurePosixPath(*group.split("."), artifact, version, f"{artifact}-{version}.jar")


def pinned_jars(*groups: str) -> tuple[PinnedJar, ...]:
    """Returns the jars of `groups`, in class path order, each once.

    Raises:
        KeyError: a group is unknown.
    """
    locked = parse_lock(files("model_serving.runtime").joinpath(LOCK_NAME).read_text(encoding="utf-8"))
    return tuple(dict.fromkeys(jar for group in groups for jar in locked[group]))


def parse_lock(text: str) -> dict[str, tuple[PinnedJar, ...]]:
    """Returns the groups and their jars, both in the file's order.

    Raises:
        JarError: a line is neither a group nor a jar.
    """
    groups: dict[str, list[PinnedJar]] = {}
    current: list[PinnedJar] | None = None
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.partition("#")[0].strip()
        if not line:
            continue
        if group := _GROUP.fullmatch(line):
            current = groups.setdefault(group["group"], [])
        elif (jar := _JAR.fullmatch(line)) and current is not None:
            current.append(PinnedJar(jar["coordinate"], jar["sha256"]))
        else:
            raise JarError(f"{LOCK_NAME} line {number} is neither a group nor a jar; restore the file")
    return {group: tuple(jars) for group, jars in groups.items()}


def format_lock(groups: Mapping[str, Iterable[PinnedJar]]) -> str:
    """Returns the text that `parse_lock` reads back as `groups`."""
    lines = ["# Written by `make lock`. Jars are fetched by coordinate and must have the SHA-256 given here."]
    for group, jars in groups.items():
        lines += ["", f"[{group}]", *(f"{jar.coordinate} {jar.sha256}" for jar in jars)]
    return "\n".join(lines) + "\n"
