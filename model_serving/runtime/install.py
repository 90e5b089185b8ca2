"""The part of the set-up that pip cannot do: finds Java, fetches jars, assembles the Flink home.

Run it with `python -m model_serving.runtime.install`.

Each step first checks whether its result exists and is right. So running it again takes a fraction of a
second, and repairs what was damaged or deleted.
"""

from __future__ import annotations

import sys
from pathlib import Path

from model_serving.runtime.class_data import flink_class_data, kafka_class_data
from model_serving.runtime.errors import ClassDataError
from model_serving.runtime.flink_home import FlinkHome, assemble, flink_home, installed_distribution
from model_serving.runtime.jar_lock import FLINK, KAFKA, pinned_jars
from model_serving.runtime.jar_source import JgoSource
from model_serving.runtime.jars import cache_folder, class_path, ensure_jars
from model_serving.runtime.java import JavaHome, find_java
from model_serving.runtime.progress import show_progress
from model_serving.runtime.set_up import run_step

__all__ = ["install", "main"]


def install() -> None:
    """Brings the jars and the Flink home up to date.

    Raises:
        SetupError: a step failed.
    """
    cache = cache_folder()
    home = flink_home()
    if not home.is_assembled:
        print("set-up 4/4: jars and Flink home", flush=True)
    ensure_jars(pinned_jars(FLINK, KAFKA), cache, JgoSource(), show_progress())
    assembled = assemble(home, installed_distribution(), class_path(FLINK, cache=cache), Path(sys.executable))
    java = find_java()
    _archive_classes(home, java)
    if assembled:
        print(f"Java: {java.home} (from {java.source})\nFlink: {home.path}")


def _archive_classes(home: FlinkHome, java: JavaHome) -> None:
    """Brings the archives of Java's classes up to date. A failure is only said: they save time, no more."""
    for data in (flink_class_data(home), kafka_class_data()):
        if data.is_current(java.java):
            continue
        print(f"set-up: the classes of {data.name}, so that it starts faster", flush=True)
        try:
            data.make(java.java)
        except ClassDataError as failure:
            print(f"set-up: {failure}", file=sys.stderr)


def main() -> int:
    """Runs the set-up, see ``run_step``."""
    return run_step(install, "set-up", "make install")


if __name__ == "__main__":
    sys.exit(main())
