"""What a checkpoint belongs to: a file in the checkpoint folder, compared before a query starts.

Spark itself compares nothing: with another topic it writes an offset that no later start can read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from model_serving.spark.checkpoint_folder import CheckpointFolder
from model_serving.spark.config import SparkConfig, Variant

__all__ = ["ForeignCheckpoint", "identity_of", "is_new_checkpoint", "keep_identity", "why_foreign"]

_FILE = "model-serving.json"
_FORMAT = 1
_FLAGS = {
    "models_topic": "--models-topic",
    "data_topic": "--data-topic",
    "record_type": "--record-type",
    "parallelism": "--parallelism",
}


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


def is_new_checkpoint(folder: CheckpointFolder, config: SparkConfig) -> bool:
    """Compares the checkpoint with the job; True if there is none: then ``keep_identity`` is to be called.

    Raises:
        ForeignCheckpoint: the checkpoint is another job's, or the folder cannot be used.
    """
    with _one_line(config):
        found = folder.read(_FILE)
        if found is None and not folder.has_checkpoint():
            return True
    if found is None:
        why = f"it has no {_FILE}, so it is not this project's: name another --checkpoint-dir"
    else:
        why = why_foreign(found, config)
    if why:
        raise ForeignCheckpoint(f"the checkpoint in {config.checkpoint_dir} cannot be used: {why}")
    return False


def keep_identity(folder: CheckpointFolder, config: SparkConfig) -> None:
    """Gives a new checkpoint the job's identity.

    Raises:
        ForeignCheckpoint: the folder cannot be used.
    """
    with _one_line(config):
        folder.write(_FILE, json.dumps(identity_of(config), indent=2) + "\n")


@contextmanager
def _one_line(config: SparkConfig) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ForeignCheckpoint(
            f"the checkpoint folder {config.checkpoint_dir} cannot be used ({error.strerror or error}): make "
            "it writable for this user, or name another --checkpoint-dir"
        ) from None
