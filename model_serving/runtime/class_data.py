"""Archives of Java's classes ("class data sharing"), so that Flink and Kafka start in less time.

A third of the processor time of a start goes into reading and checking classes. The set-up does this once,
for the classes that are named in ``classes/``, and Java maps the result into memory. An archive is for one
Java and one class path. With another one, or without the file, Java says nothing and reads the classes as
always.

`python -m model_serving.runtime.class_data NAME FILE…` writes ``classes/NAME.txt.gz`` anew, from files that
runs with ``-XX:DumpLoadedClassList=FILE`` have made (JVM_ARGS for Flink, MODEL_SERVING_KAFKA_JVM_ARGS for
Kafka).
"""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from model_serving.runtime.errors import ClassDataError
from model_serving.runtime.flink_home import FlinkHome
from model_serving.runtime.jar_lock import KAFKA
from model_serving.runtime.jars import cache_folder, class_path

__all__ = ["ClassData", "flink_class_data", "kafka_class_data", "main"]

_LISTS = files("model_serving.runtime") / "classes"
_DUMP_S = 900.0


@dataclass(frozen=True, slots=True)
class ClassData:
    """An archive of classes, made or not.

    Attributes:
        name: the list of its classes in ``classes/``.
        archive: the file.
        class_path: the jars, in the order of the program's class path.
        options: options of Java that must be the program's.
    """

    name: str
    archive: Path
    class_path: tuple[Path, ...]
    options: tuple[str, ...] = ()

    @property
    def java_options(self) -> tuple[str, ...]:
        """What Java must be given to use the archive."""
        return (f"-XX:SharedArchiveFile={self.archive}",)

    def is_current(self, java: Path) -> bool:
        """Whether the archive was made by this ``java`` from these jars and the present list."""
        try:
            return self.archive.is_file() and self._stamp_file.read_text(encoding="utf-8") == self._stamp(
                java
            )
        except OSError:
            return False

    def make(self, java: Path) -> None:
        """Makes the archive (10 to 30 s of processor time). An earlier one is kept until it is complete.

        Raises:
            ClassDataError: Java has not made it, or it cannot be written.
        """
        try:
            self.archive.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".classes-", dir=self.archive.parent) as scratch:
                made = self._dump(java, Path(scratch))
                self._stamp_file.unlink(missing_ok=True)
                made.replace(self.archive)
                self._stamp_file.write_text(self._stamp(java), encoding="utf-8")
        except (OSError, subprocess.SubprocessError) as failure:
            raise ClassDataError(
                f"the classes of {self.name} cannot be archived in {self.archive} ({failure}), so it starts "
                "more slowly; fix this and run `make install` again"
            ) from failure

    @property
    def _stamp_file(self) -> Path:
        return self.archive.with_suffix(".stamp")

    def _stamp(self, java: Path) -> str:
        digest = hashlib.sha256()
        for part in self._inputs(java):
            digest.update(part.encode() + b"\0")
        return digest.hexdigest()

    def _inputs(self, java: Path) -> Iterator[str]:
        yield from self.options
        yield hashlib.sha256((_LISTS / f"{self.name}.txt.gz").read_bytes()).hexdigest()
        # Java itself compares the times of the jars.
        for file in (java.resolve().parent.parent / "lib" / "modules", *self.class_path):
            status = file.stat()
            yield f"{file} {status.st_size} {status.st_mtime_ns}"

    def _dump(self, java: Path, scratch: Path) -> Path:
        classes, made = scratch / "classes.txt", scratch / "made.jsa"
        classes.write_bytes(gzip.decompress((_LISTS / f"{self.name}.txt.gz").read_bytes()))
        command = [
            str(java),
            *("-Xshare:dump", f"-XX:SharedClassListFile={classes}", f"-XX:SharedArchiveFile={made}"),
            # A list that is older than the jars names classes that no longer exist, which is no harm.
            *("-Xlog:disable", "-Xlog:all=error:stderr", *self.options),
            *("-cp", os.pathsep.join(map(str, self.class_path))),
        ]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=_DUMP_S,
            )
        except subprocess.TimeoutExpired:
            # Its own text would be the whole command, with the class path.
            raise OSError(f"Java was not done after {_DUMP_S:g} s") from None
        if not made.is_file():
            said = (done.stderr + done.stdout).strip().splitlines()
            raise OSError(said[-1] if said else f"Java ended with status {done.returncode}")
        return made


def flink_class_data(home: FlinkHome) -> ClassData:
    """Returns the archive for Flink's command line, JobManager and TaskManager: one class path, one archive.

    ``config.yaml`` names the archive for all of them.
    """
    # In the order of constructFlinkClassPath in Flink's config.sh.
    jars = sorted((home.path.resolve() / "lib").rglob("*.jar"), key=os.fsencode)
    jars.sort(key=lambda jar: jar.name.startswith("flink-dist"))
    return ClassData("flink", home.class_data, tuple(jars), ("-XX:+UseParallelGC",))


def kafka_class_data() -> ClassData:
    """Returns the archive for the embedded Kafka; it is with the jars, because it belongs to them.

    Raises:
        JarMissingError: the jars are not in the cache.
    """
    folder = cache_folder()
    return ClassData("kafka", folder.parent / "classes" / "kafka.jsa", class_path(KAFKA, cache=folder))


def main(argv: Sequence[str] | None = None) -> int:
    """Writes a list of classes anew. Returns 0."""
    name, *recorded = sys.argv[1:] if argv is None else argv
    lines = {
        line: None
        for file in recorded
        for line in Path(file).read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    }
    with Path(str(_LISTS), f"{name}.txt.gz").open("wb") as target:
        target.write(gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0))
    return 0


if __name__ == "__main__":
    sys.exit(main())
