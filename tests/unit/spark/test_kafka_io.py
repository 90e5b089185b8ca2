"""Kafka's options for Spark, and the offsets of the consumer groups."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from model_serving.spark import offsets
from model_serving.spark.config import SparkConfig, Variant, parse_config
from model_serving.spark.kafka_io import sink_options, source_options
from model_serving.spark.offsets import read_ends, starting_offsets


def config(*flags: str) -> SparkConfig:
    return parse_config(["--bootstrap-servers", "h:1", *flags], {}, Variant.KEYED)


EARLIEST = ("--starting-offsets", "earliest")


def test_only_committed_messages_are_read_and_only_records_are_limited() -> None:
    wanted = config(*EARLIEST, "--max-records-per-trigger", "7")
    records, models = source_options(wanted, "mdata"), source_options(wanted, "models")
    assert records["subscribe"] == "mdata"
    assert records["maxOffsetsPerTrigger"] == "7"
    assert "maxOffsetsPerTrigger" not in models
    for options in (records, models):
        assert options["kafka.isolation.level"] == "read_committed"
        assert options["kafka.bootstrap.servers"] == "h:1"
        assert options["startingOffsets"] == "earliest"
    assert (records["groupIdPrefix"], models["groupIdPrefix"]) == ("wineRecordsGroup", "modelRecordsGroup")


def test_the_properties_of_the_file_reach_source_and_sink(tmp_path: Any) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("security.protocol=SSL\nssl.truststore.location=/ca.pem\nssl.truststore.type=PEM\n")
    wanted = config(*EARLIEST, "--kafka-config", str(file))
    for options in (source_options(wanted, "mdata"), sink_options(wanted)):
        assert options["kafka.security.protocol"] == "SSL"
        assert options["kafka.ssl.truststore.location"] == "/ca.pem"


class Committed:
    """The committed offsets of the groups, by topic."""

    offsets: Mapping[str, dict[int, int | None]] = {}

    def __init__(self, kafka: Any, group: str) -> None:
        self.group = group

    def of(self, topic: str) -> dict[int, int | None]:
        return self.offsets[self.group, topic]  # type: ignore[index]

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("committed", "wanted"),
    [
        ({0: None, 1: None}, "earliest"),
        ({0: 5, 1: None}, {"mdata": {"0": 5, "1": -2}}),
    ],
)
def test_a_job_without_a_checkpoint_starts_where_its_group_is(
    monkeypatch: pytest.MonkeyPatch, committed: dict[int, int | None], wanted: Any
) -> None:
    monkeypatch.setattr(Committed, "offsets", {("wineRecordsGroup", "mdata"): committed})
    monkeypatch.setattr(offsets, "GroupOffsets", Committed)
    found = starting_offsets(config(), "mdata")
    assert (found if isinstance(wanted, str) else json.loads(found)) == wanted


def test_the_ends_of_a_batch_are_those_of_all_its_sources() -> None:
    sources: list[dict[str, Any]] = [
        {"endOffset": '{"mdata": {"0": 5, "1": 6}}'},
        {"endOffset": {"models": {"0": 2}}},
        {"endOffset": None},
        {},
    ]
    assert read_ends(sources) == {"mdata": {0: 5, 1: 6}, "models": {0: 2}}
