"""The jar cache, which is outside the working tree. Every jar is checked against its pinned SHA-256.

`python -m model_serving.runtime.jars` fetches the missing jars. With `--lock` it writes a new jars.lock.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from model_serving.runtime.errors import JarError, JarMissingError, SetupError
from model_serving.runtime.jar_lock import FLINK, KAFKA, LOCK_NAME, SPARK, PinnedJar, format_lock, pinned_jars
from model_serving.runtime.jar_source import JarSource, JgoSource, resolve_closure
from model_serving.runtime.progress import Progress, show_progress

__all__ = ["cache_folder", "class_path", "ensure_jars", "is_intact", "main"]

_WANTED: Mapping[str, Sequence[str]] = {
    # The connector holds Kafka's client, but not the libraries for compressed batches (Java itself reads only
    # gzip). Their versions are those of the embedded Kafka.
    FLINK: [
        "org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2",
        "com.github.luben:zstd-jni:1.5.6-10",
        "org.lz4:lz4-java:1.8.0",
        "org.xerial.snappy:snappy-java:1.1.10.7",
    ],
    # The server's dependencies have the logging interface (slf4j 1.7) and log4j, but not the binding of both.
    KAFKA: ["org.apache.kafka:kafka_2.13:4.1.1", "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3"],
    # The version is that of pyspark in pyproject.toml.
    SPARK: [
        "org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0",
        "org.apache.spark:spark-token-provider-kafka-0-10_2.13:4.2.0",
        "org.apache.kafka:kafka-clients:3.9.2",
        "org.apache.commons:commons-pool2:2.13.1",
    ],
}
_COMPLETE = {SPARK}
"""Groups that name every jar: what these depend on is among pyspark's own jars."""

_DOWNLOADS_AT_ONCE = 4
_ATTEMPTS = 3
_STAGING_PREFIX = ".partial-"
_STAGING_IS_ABANDONED_AFTER_S = 3600.0


def cache_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Returns the folder of the jars.

    It is ``jars`` in $MODEL_SERVING_CACHE, else in ``flink-model-serving`` in $XDG_CACHE_HOME or ~/.cache.
    """
    environ = os.environ if environ is None else environ
    if chosen := environ.get("MODEL_SERVING_CACHE"):
        return Path(chosen).expanduser().absolute() / "jars"
    base = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "flink-model-serving" / "jars"


def class_path(*groups: str, cache: Path | None = None) -> tuple[Path, ...]:
    """Returns the jars of `groups` in class path order.

    Raises:
        JarMissingError: the cache does not have all of them.
    """
    cache = cache_folder() if cache is None else cache
    paths = tuple(cache / jar.path for jar in pinned_jars(*groups))
    if missing := [path.name for path in paths if not path.is_file()]:
        install = "make install-spark" if SPARK in groups else "make install"
        raise JarMissingError(f"{missing[0]} is not in {cache}; run `{install}`")
    return paths


def is_intact(path: Path, jar: PinnedJar) -> bool:
    """Whether the file exists and is exactly the pinned jar."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except OSError:
        return False


def ensure_jars(
    jars: Sequence[PinnedJar],
    cache: Path,
    source: JarSource,
    progress: Progress,
    *,
    pause_s: Callable[[float], None] = time.sleep,
) -> tuple[Path, ...]:
    """Fetches the jars that are missing or damaged in the cache, and returns the paths of all, in order.

    A jar appears in the cache complete and checked, or not at all.

    Raises:
        JarError: a jar cannot be fetched. A later call does not fetch again what was already fetched.
    """
    paths = tuple(cache / jar.path for jar in jars)
    wanting = [(jar, path) for jar, path in zip(jars, paths, strict=True) if not is_intact(path, jar)]
    if not wanting:
        return paths
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _sweep(cache)
    except OSError as failure:
        raise JarError(
            f"the cache {cache} cannot be used ({failure.strerror}); "
            "set MODEL_SERVING_CACHE to a folder that you can write to"
        ) from failure

    def fetch(wanted: tuple[PinnedJar, Path]) -> None:
        jar, path = wanted
        _fetch_one(jar, path, cache, source, pause_s)
        progress.advance(path.name)

    with progress.over("jars", len(wanting)), ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
        running = [pool.submit(fetch, wanted) for wanted in wanting]
        try:
            for download in running:
                download.result()
        except BaseException:
            for download in running:
                download.cancel()
            raise
    return paths


def _fetch_one(
    jar: PinnedJar, path: Path, cache: Path, source: JarSource, pause_s: Callable[[float], None]
) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        staging = Path(tempfile.mkdtemp(prefix=_STAGING_PREFIX, dir=cache))
        try:
            fetched = source.fetch(jar.coordinate, staging)
            if not is_intact(fetched, jar):
                raise JarError(
                    f"{jar.coordinate} arrived damaged (its SHA-256 is not the one in {LOCK_NAME})"
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            fetched.replace(path)
        except JarError as failure:
            if attempt == _ATTEMPTS:
                raise JarError(f"{failure}; check the network and run `make install` again") from failure
            pause_s(float(attempt))
        else:
            return
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _sweep(cache: Path) -> None:
    """Removes the folders of killed downloads, but not new ones, which another process may be using."""
    oldest = time.time() - _STAGING_IS_ABANDONED_AFTER_S
    for folder in cache.glob(f"{_STAGING_PREFIX}*"):
        if folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)


def _write_lock(target: Path) -> None:
    """Resolves the wanted coordinates again and pins the jars that arrive."""
    with tempfile.TemporaryDirectory() as scratch:
        groups = {
            group: [
                _pin(coordinate, Path(scratch))
                for coordinate in (
                    coordinates if group in _COMPLETE else _closure(coordinates, Path(scratch))
                )
            ]
            for group, coordinates in _WANTED.items()
        }
    temporary = target.with_suffix(".tmp")
    temporary.write_text(format_lock(groups), encoding="utf-8")
    temporary.replace(target)


def _closure(coordinates: Iterable[str], scratch: Path) -> list[str]:
    """Returns every coordinate once.

    If two roots need different versions of an artifact, the first version is used, because both would be on
    the class path.
    """
    found: dict[str, str] = {}
    for root in coordinates:
        for coordinate in resolve_closure(root, scratch):
            found.setdefault(coordinate.rpartition(":")[0], coordinate)
    return list(found.values())


def _pin(coordinate: str, scratch: Path) -> PinnedJar:
    with JgoSource().fetch(coordinate, scratch).open("rb") as file:
        return PinnedJar(coordinate, hashlib.file_digest(file, "sha256").hexdigest())


def main(argv: Sequence[str] | None = None) -> int:
    """Fetches all jars, or with --lock writes a new lock file.

    Returns:
        The exit status: 0, or 1 with one line on standard error.
    """
    parser = argparse.ArgumentParser(prog="python -m model_serving.runtime.jars", description=__doc__)
    parser.add_argument("--lock", action="store_true", help=f"write a new {LOCK_NAME}")
    options = parser.parse_args(argv)
    try:
        if options.lock:
            _write_lock(Path(__file__).with_name(LOCK_NAME))
        else:
            ensure_jars(pinned_jars(FLINK, KAFKA), cache_folder(), JgoSource(), show_progress())
    except SetupError as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
