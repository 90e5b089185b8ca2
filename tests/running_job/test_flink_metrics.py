"""Prometheus scrapes a running job: what the rules and the dashboard ask of Flink is there."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import yaml

from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.runtime.flink_home import flink_home
from tests.expressions import Expression, alert_expressions, dashboard_expressions, metrics_of
from tests.job_models import constant_pmml, sample_records
from tests.job_traffic import Traffic
from tests.jobs import eventually
from tests.patience import patience
from tests.running_prometheus import RunningPrometheus, needs_prometheus

pytestmark = [pytest.mark.kafka, needs_prometheus]


def of_flink(expressions: list[Expression]) -> list[Expression]:
    return [one for one in expressions if any(name.startswith("flink_") for name in metrics_of(one))]


def page_of(job: Traffic) -> str:
    """The address of the job's metrics: of the ports in the configuration, the one that knows its topics."""
    config = yaml.safe_load((flink_home().conf / "config.yaml").read_text(encoding="utf-8"))
    # Flink replaces what is neither a letter nor a digit.
    topic = re.sub(r"\W", "_", job.topics.data)
    first, _, last = config["metrics"]["reporter"]["prom"]["port"].partition("-")
    for port in range(int(first), int(last) + 1):
        try:
            with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=patience(10)) as answer:
                if f'topic="{topic}"' in answer.read().decode():
                    return f"127.0.0.1:{port}"
        except (URLError, OSError):
            continue
    return ""


def test_each_expression_about_flink_has_data(job: Traffic, tmp_path: Path) -> None:
    if job.variant == "server":
        pytest.skip("the server has no Flink")
    job.serve(
        ModelDescriptor(name="m", dataType="watched", modeltype="PMML", version="v1", data=constant_pmml(1))
    )
    job.send(*sample_records("watched", 5))
    job.await_results("watched", 5)
    eventually(lambda: page_of(job) != "", lambda: "no process has metrics of this job", within_s=60)
    with RunningPrometheus(tmp_path, {"flink": [page_of(job)]}) as prometheus:
        prometheus.await_data([one.text for one in of_flink(dashboard_expressions("10s"))], within_s=90)
        prometheus.await_metrics(of_flink(alert_expressions()))
        (scored,) = prometheus.ask(
            "sum by (job_name) (flink_taskmanager_job_task_operator_model_serving_records_scored)"
        )
        # Other tests have sent records, too.
        assert float(scored["value"][1]) >= 5
        assert scored["metric"] == {"job_name": f"model_serving_{job.variant}"}
        job.check()
