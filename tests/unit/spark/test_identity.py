"""A checkpoint is used by the job that made it, and refused by any other."""

from __future__ import annotations

import json

import pytest

from model_serving.spark.config import SparkConfig, Variant, parse_config
from model_serving.spark.identity import identity_of, why_foreign

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
