"""The checkpoint folder, as far as a start looks into it: on this machine, or wherever Spark can open it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["CheckpointFolder", "LocalFolder", "SparkFolder", "local_folder"]

_SPARKS_OWN = ("offsets", "metadata")
"""What the checkpoint of a query has in it."""

_LOCAL = "file://"


class CheckpointFolder(Protocol):
    """A folder with checkpoints of queries; each method raises OSError where the folder cannot be used."""

    def read(self, name: str) -> str | None:
        """The text of a file, None if there is none."""
        ...

    def write(self, name: str, text: str) -> None:
        """Writes a file that did not exist: complete, or not at all."""
        ...

    def has_checkpoint(self) -> bool:
        """Whether a folder in it is the checkpoint of a query."""
        ...


def local_folder(url: str) -> LocalFolder | None:
    """The folder on this machine that a URL names; None: it names another one, which only Spark can open."""
    return LocalFolder(Path(url.removeprefix(_LOCAL))) if url.startswith(_LOCAL) else None


class LocalFolder:
    """See CheckpointFolder; needs no Spark, whose start takes seconds."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, name: str) -> str | None:
        """See CheckpointFolder."""
        try:
            return (self._path / name).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None

    def write(self, name: str, text: str) -> None:
        """See CheckpointFolder."""
        self._path.mkdir(parents=True, exist_ok=True)
        staged = self._path / f".{name}.new"
        staged.write_text(text, encoding="utf-8")
        staged.replace(self._path / name)

    def has_checkpoint(self) -> bool:
        """See CheckpointFolder."""
        return any((entry / own).exists() for entry in self._path.glob("*") for own in _SPARKS_OWN)


class SparkFolder:
    """See CheckpointFolder; as Spark sees it: in HDFS, in an object store."""

    def __init__(self, session: SparkSession, url: str) -> None:
        context: Any = session.sparkContext
        # Hadoop's file systems have no Python interface of their own in pyspark.
        self._jvm = context._jvm  # noqa: SLF001
        self._path = self._jvm.org.apache.hadoop.fs.Path(url)
        with _told():
            self._files = self._path.getFileSystem(context._jsc.hadoopConfiguration())  # noqa: SLF001

    def read(self, name: str) -> str | None:
        """See CheckpointFolder."""
        path = self._at(name)
        with _told():
            if not self._files.exists(path):
                return None
            stream = self._files.open(path)
            try:
                return bytes(stream.readAllBytes()).decode("utf-8", "replace")
            finally:
                stream.close()

    def write(self, name: str, text: str) -> None:
        """See CheckpointFolder."""
        staged = self._at(f".{name}.new")
        with _told():
            self._files.mkdirs(self._path)
            stream = self._files.create(staged, True)
            try:
                stream.write(text.encode("utf-8"))
            finally:
                stream.close()
            self._files.rename(staged, self._at(name))

    def has_checkpoint(self) -> bool:
        """See CheckpointFolder."""
        with _told():
            if not self._files.exists(self._path):
                return False
            return any(
                self._files.exists(self._jvm.org.apache.hadoop.fs.Path(entry.getPath(), own))
                for entry in self._files.listStatus(self._path)
                if entry.isDirectory()
                for own in _SPARKS_OWN
            )

    def _at(self, name: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(self._path, name)


@contextmanager
def _told() -> Iterator[None]:
    """Turns an error of the JVM into an OSError."""
    from py4j.protocol import Py4JJavaError

    try:
        yield
    except Py4JJavaError as error:
        cause = error.java_exception
        raise OSError(str(cause.getMessage() or cause.toString()).partition("\n")[0]) from None
