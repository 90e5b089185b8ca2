"""What a checkpoint belongs to: a file in the checkpoint folder, compared before a query starts.

Spark itself compares nothing: with another topic it writes an offset that no later start can read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from model_serving.spark.config import SparkConfig, Variant

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["ForeignCheckpoint", "identity_of", "is_new_checkpoint", "keep_identity", "why_foreign"]

_FILE = "model-serving.json"
_FORMAT = 1
_FLAGS = {
    "models_topic": "--models-topic",
    "data_topic": "--data-topic",
    "record_type": "--record-type",
    "parallelism": "--parallelism",
}
_SPARKS_OWN = ("offsets", "metadata")
"""What the checkpoint of a query has in it."""


class ForeignCheckpoint(Exception):
    """The checkpoint is not this job's; the text is one line that says why and what to do."""


def identity_of(config: SparkConfig) -> dict[str, Any]:
    """What a checkpoint of this job is bound to, as JSON has it."""
    identity: dict[str, Any] = {
        "format": _FORMAT,
        "variant": config.variant.value,
        "models_topic": config.models_topic,
        "data_topic": config.data_topic,
        "record_type": config.record_type,
    }
    if config.variant is Variant.KEYED:
        # The number of the state's partitions, which Spark takes from the checkpoint whatever is asked for.
        identity["parallelism"] = config.parallelism
    return identity


def why_foreign(found: str, config: SparkConfig) -> str:
    """Why a checkpoint with this identity file is not this job's; empty if it is."""
    advice = "name another --checkpoint-dir for this job"
    try:
        identity = json.loads(found)
        kept, made = dict(identity), identity["format"]
    except (ValueError, KeyError, TypeError):
        return f"its {_FILE} cannot be read: restore it, or {advice}"
    if made != _FORMAT:
        return f"it was written by another version of this project (format {made}): {advice}"
    wanted = identity_of(config)
    if kept.get("variant") != wanted["variant"]:
        return f"it belongs to the job {kept.get('variant')}.py: {advice}"
    for name, flag in _FLAGS.items():
        if name in wanted and kept.get(name) != wanted[name]:
            return f"it was made with {flag} {kept.get(name)}: give this again, or {advice}"
    return ""


def is_new_checkpoint(session: SparkSession, config: SparkConfig) -> bool:
    """Compares the checkpoint with the job; True if there is none: then ``keep_identity`` is to be called.

    Raises:
        ForeignCheckpoint: the checkpoint is another job's, or the folder cannot be used.
    """
    with _one_line(config):
        files = _Folder(session, config.checkpoint_dir)
        found = files.read(_FILE)
        if found is not None:
            why = why_foreign(found, config)
        elif files.has_checkpoint():
            why = f"it has no {_FILE}, so it is not this project's: name another --checkpoint-dir"
        else:
            return True
    if why:
        raise ForeignCheckpoint(f"the checkpoint in {config.checkpoint_dir} cannot be used: {why}")
    return False


def keep_identity(session: SparkSession, config: SparkConfig) -> None:
    """Gives a new checkpoint the job's identity.

    Raises:
        ForeignCheckpoint: the folder cannot be used.
    """
    with _one_line(config):
        text = json.dumps(identity_of(config), indent=2) + "\n"
        _Folder(session, config.checkpoint_dir).write(_FILE, text)


@contextmanager
def _one_line(config: SparkConfig) -> Iterator[None]:
    """Turns an error of the JVM into one line."""
    from py4j.protocol import Py4JJavaError

    try:
        yield
    except Py4JJavaError as error:
        reason = str(error.java_exception.getMessage() or error.java_exception.toString()).partition("\n")[0]
        raise ForeignCheckpoint(
            f"the checkpoint folder {config.checkpoint_dir} cannot be used ({reason}): make it writable for "
            "this user, or name another --checkpoint-dir"
        ) from None


class _Folder:
    """A folder as Spark sees it: on this machine, in HDFS, in an object store."""

    def __init__(self, session: SparkSession, uri: str) -> None:
        context: Any = session.sparkContext
        # Hadoop's file systems have no Python interface of their own in pyspark.
        self._jvm = context._jvm  # noqa: SLF001
        self._path = self._jvm.org.apache.hadoop.fs.Path(uri)
        self._files = self._path.getFileSystem(context._jsc.hadoopConfiguration())  # noqa: SLF001

    def read(self, name: str) -> str | None:
        """The text of a file, None if there is none."""
        path = self._at(name)
        if not self._files.exists(path):
            return None
        stream = self._files.open(path)
        try:
            return bytes(stream.readAllBytes()).decode("utf-8", "replace")
        finally:
            stream.close()

    def write(self, name: str, text: str) -> None:
        """Writes a file that did not exist: complete, or not at all."""
        self._files.mkdirs(self._path)
        staged = self._at(f".{name}.new")
        stream = self._files.create(staged, True)
        try:
            stream.write(text.encode("utf-8"))
        finally:
            stream.close()
        self._files.rename(staged, self._at(name))

    def has_checkpoint(self) -> bool:
        """Whether a folder in it is the checkpoint of a query."""
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
