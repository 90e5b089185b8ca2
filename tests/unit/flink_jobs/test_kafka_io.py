"""What the Kafka consumers of the Flink jobs are told."""

from __future__ import annotations

from pathlib import Path

from flink_jobs.kafka_io import models_properties
from tests.unit.flink_jobs.calls import parse


def test_models_are_fetched_at_once_where_records_are_to_gather(tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    file.write_text("fetch.min.bytes=65536\nfetch.max.wait.ms=5\nrequest.timeout.ms=7000\n")

    properties = models_properties(parse("--kafka-config", str(file)))

    assert properties["fetch.min.bytes"] == "1"
    assert properties["fetch.max.wait.ms"] == "500"
    assert properties["request.timeout.ms"] == "7000"
