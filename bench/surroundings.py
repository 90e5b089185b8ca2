"""Describes what a figure depends on besides the program: the machine, the versions, the date."""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from model_serving.runtime.environment import project_root
from model_serving.runtime.jar_lock import FLINK, KAFKA, pinned_jars
from model_serving.runtime.java import find_java

__all__ = ["now", "shares_by_session", "surroundings"]

_PACKAGES = (
    "apache-flink",
    "confluent-kafka",
    "numpy",
    "onnxruntime",
    "protobuf",
    "pypmml",
    "tensorflow",
)
_AUTOGROUP = Path("/proc/sys/kernel/sched_autogroup_enabled")
_JARS = {"kafka_2.13": "Kafka", "flink-sql-connector-kafka": "flink-sql-connector-kafka"}


def now() -> str:
    """Returns the time, UTC, as ISO 8601 to the second."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def surroundings() -> dict[str, Any]:
    """Returns the machine and the versions of all software that takes part."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "by_session": shares_by_session(),
        "python": platform.python_version(),
        "java": _java(),
        "versions": {name: version(name) for name in _PACKAGES} | _jars(),
        "commit": _commit(),
    }


def shares_by_session() -> bool:
    """Whether Linux shares busy cores out by session before it does so by thread (sched(7), autogrouping).

    The broker, the producer and the job are a session each. With this, a job with a dozen busy threads gets
    as much of the cores as a producer with one.
    """
    try:
        return _AUTOGROUP.read_text().strip() == "1"
    except OSError:  # no Linux, or a kernel without autogroups
        return False


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _java() -> str:
    answer = subprocess.run([find_java().java, "-version"], capture_output=True, text=True, check=True)
    return next(line for line in answer.stderr.splitlines() if "Runtime" in line or "version" in line)


def _jars() -> dict[str, str]:
    parts = (jar.coordinate.split(":") for jar in pinned_jars(FLINK, KAFKA))
    return {_JARS[artifact]: number for _, artifact, number in parts if artifact in _JARS}


def _commit() -> str:
    """Returns the current commit, with ``+`` after it when the tree differs from it; "" outside git."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=project_root(), capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ":!bench/results", ":!docs")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return ""
