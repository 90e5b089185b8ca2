"""The part of the set-up that pip cannot do: Java is found, jars are fetched, the Flink home is assembled.

`python -m model_serving.runtime.install` does it.

Each step looks first whether its result is there and right, so that running it again costs a fraction of a
second and mends what was damaged or deleted.
"""

from __future__ import annotations

import sys
from pathlib import Path

from model_serving.runtime.errors import SetupError
from model_serving.runtime.flink_home import assemble, flink_home, installed_distribution
from model_serving.runtime.jar_lock import FLINK, KAFKA, pinned_jars
from model_serving.runtime.jar_source import JgoSource
from model_serving.runtime.jars import cache_folder, class_path, ensure_jars
from model_serving.runtime.java import find_java
from model_serving.runtime.progress import show_progress

__all__ = ["install", "main"]


def install() -> None:
    """Brings jars and Flink home up to date. Raises SetupError."""
    cache = cache_folder()
    home = flink_home()
    if not home.is_assembled:
        print("set-up 4/4: jars and Flink home", flush=True)
    ensure_jars(pinned_jars(FLINK, KAFKA), cache, JgoSource(), show_progress())
    if assemble(home, installed_distribution(), class_path(FLINK, cache=cache), Path(sys.executable)):
        java = find_java()
        print(f"Java: {java.home} (from {java.source})\nFlink: {home.path}")


def main() -> int:
    """Status 0, or 1 and one line that says what to do."""
    try:
        install()
    except SetupError as failure:
        print(f"set-up: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("set-up: interrupted; run `make install` again to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
