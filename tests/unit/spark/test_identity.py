"""A checkpoint is used by the job that made it, and refused by any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_serving.spark.checkpoint_folder import LocalFolder, local_folder
from model_serving.spark.config import SparkConfig, Variant, parse_config
from model_serving.spark.identity import (
    ForeignCheckpoint,
    identity_of,
    is_new_checkpoint,
    keep_identity,
    why_foreign,
)

PROTOS = "model_serving.protos"


def config(*flags: str, variant: Variant = Variant.KEYED) -> SparkConfig:
    return parse_config(flags, {}, variant)


def found(*flags: str, variant: Variant = Variant.KEYED) -> str:
    return json.dumps(identity_of(config(*flags, variant=variant)))


def test_the_same_job_with_other_flags_goes_on() -> None:
    assert why_foreign(found(), config("--results-topic", "r", "--no-model", "drop")) == ""


@pytest.mark.parametrize(
    ("flag", "made", "now"),
    [
        ("--models-topic", "m", "models"),
        ("--data-topic", "d", "mdata"),
        ("--record-type", f"{PROTOS}.winerecord_pb2:WineRecord", f"{PROTOS}.servingresult_pb2:ServingResult"),
        ("--parallelism", "2", "1"),
    ],
)
def test_another_topic_record_type_or_parallelism_is_refused(flag: str, made: str, now: str) -> None:
    why = why_foreign(found(flag, made), config(flag, now))
    assert why == (
        f"it was made with {flag} {made}: give this again, or name another --checkpoint-dir for this job"
    )


def test_another_variant_is_refused() -> None:
    why = why_foreign(found(variant=Variant.BROADCAST), config())
    assert why == "it belongs to the job broadcast.py: name another --checkpoint-dir for this job"


def test_the_broadcast_job_may_change_its_parallelism() -> None:
    made = found("--parallelism", "2", variant=Variant.BROADCAST)
    assert why_foreign(made, config("--parallelism", "4", variant=Variant.BROADCAST)) == ""


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"variant": "keyed"}'])
def test_a_file_that_cannot_be_read_is_refused(text: str) -> None:
    assert why_foreign(text, config()).startswith("its model-serving.json cannot be read: restore it, or ")


def test_a_file_of_another_format_is_refused() -> None:
    assert "another version of this project (format 2)" in why_foreign('{"format": 2}', config())


def test_a_new_checkpoint_gets_its_identity_and_is_the_jobs_from_then_on(tmp_path: Path) -> None:
    folder, made = LocalFolder(tmp_path / "new"), config()
    assert is_new_checkpoint(folder, made)
    # Looking leaves nothing behind: a start that fails makes no checkpoint.
    assert list(tmp_path.iterdir()) == []
    keep_identity(folder, made)
    assert not is_new_checkpoint(folder, made)
    with pytest.raises(ForeignCheckpoint, match="it was made with --data-topic mdata: give this again"):
        is_new_checkpoint(folder, config("--data-topic", "d"))


@pytest.mark.parametrize("own", ["offsets", "metadata"])
def test_the_checkpoint_of_another_program_is_refused(tmp_path: Path, own: str) -> None:
    (tmp_path / "query" / own).mkdir(parents=True)
    with pytest.raises(
        ForeignCheckpoint, match=r"it has no model-serving\.json, so it is not this project's"
    ):
        is_new_checkpoint(LocalFolder(tmp_path), config())


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = local_folder(f"file://{tmp_path}/file/checkpoints")
    assert folder is not None
    with pytest.raises(ForeignCheckpoint, match=r"cannot be used \(Not a directory\): make it writable"):
        keep_identity(folder, config())


def test_only_a_folder_on_this_machine_is_looked_at_without_spark() -> None:
    assert local_folder("hdfs:///checkpoints") is None
    assert local_folder(config("--checkpoint-dir", "checkpoints").checkpoint_dir) is not None
