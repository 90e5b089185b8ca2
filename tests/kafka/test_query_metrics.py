"""Prometheus scrapes a server with its query server: what rules and dashboard ask about models is there."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.client.ports import free_port
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from tests.expressions import Expression, alert_expressions, dashboard_expressions, metrics_of
from tests.job_models import SAMPLES, sample_records
from tests.job_serving import fresh_topics
from tests.job_traffic import Traffic
from tests.jobs import ServerRun, server_flags
from tests.running_prometheus import RunningPrometheus, needs_prometheus

pytestmark = [pytest.mark.kafka, needs_prometheus]


def about_models(expressions: list[Expression]) -> list[Expression]:
    return [one for one in expressions if not any(name.startswith("flink_") for name in metrics_of(one))]


def model(version: str) -> ModelDescriptor:
    """A model whose examples are the reference for the drift of its fields."""
    sample = SAMPLES["linear-regression"]
    count = len(sample.expected)
    examples = [
        ModelDescriptor.Example(
            record=record.SerializeToString(), expected=expected, tolerance=sample.tolerance
        )
        for record, expected in zip(sample_records("watched", count), sample.expected, strict=True)
    ]
    found = sample.message("watched")
    found.version = version
    # Thirty are needed for a reference.
    found.examples.extend(examples * (30 // count + 1))
    return found


def test_each_expression_about_models_has_data(broker: EmbeddedBroker, tmp_path: Path) -> None:
    topics = fresh_topics(broker)
    port = free_port()
    flags = [*server_flags(broker.bootstrap_servers, topics, topics.models), "--http-port", str(port)]
    with (
        ServerRun(flags, tmp_path / "server.log") as run,
        Traffic("server", broker.bootstrap_servers, topics, run.check) as traffic,
        RunningPrometheus(tmp_path, {"model-serving": [f"127.0.0.1:{port}"]}) as prometheus,
    ):
        traffic.serve(model("v1"))
        traffic.serve(model("v2"))
        now = time.time_ns() // 1_000_000 - 1_000
        traffic.send(*sample_records("watched", 200, first_ts=now), b"\xff", *sample_records("alone", 3))
        traffic.await_results("watched", 200)
        traffic.offer(ModelDescriptor(name="m", dataType="watched", modeltype="PMML", data=b"no model"))
        traffic.offer(ModelDescriptor(dataType="watched", command="ROLLBACK"))
        assert traffic.await_statuses("watched", 4)[-1].state == ModelStatus.ACTIVE
        traffic.await_letters(lambda _: True, 2)
        # Drift is told of what serves.
        traffic.send(*sample_records("watched", 200, first_ts=now))
        traffic.await_results("watched", 400)

        prometheus.await_data([one.text for one in about_models(dashboard_expressions("10s"))], within_s=120)
        prometheus.await_metrics(about_models(alert_expressions()))
        (scored,) = prometheus.ask('sum(model_serving_records_scored_total{data_type="watched"})')
        assert float(scored["value"][1]) == 400
        (back,) = prometheus.ask("model_serving_rollbacks_total")
        assert (back["metric"]["data_type"], back["value"][1]) == ("watched", "1")
