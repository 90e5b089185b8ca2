"""Records of a data type that nobody has a model for do not wait unseen."""

from __future__ import annotations

import json

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.client.cli import main
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from tests.job_models import constant_pmml, sample_records
from tests.job_traffic import Traffic

pytestmark = pytest.mark.kafka


def model(data_type: str) -> ModelDescriptor:
    return ModelDescriptor(
        name="m", dataType=data_type, modeltype="PMML", version="v1", data=constant_pmml(1)
    )


def told(broker: EmbeddedBroker, job: Traffic, data_type: str, capsys: pytest.CaptureFixture[str]) -> int:
    """How many records wait, as the command line tells."""
    flags = ["--bootstrap-servers", broker.bootstrap_servers, "--status-topic", job.topics.status, "--json"]
    assert main(["status", data_type, *flags]) == 0
    waiting: int = json.loads(capsys.readouterr().out)["waiting"]
    return waiting


def test_a_data_type_that_is_misspelled_is_said_with_the_one_that_is_served(
    job: Traffic, broker: EmbeddedBroker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    job.serve(model("patient"))
    job.send(*sample_records("Patient ", 3))
    reminder = job.await_reminder("Patient ", 3)
    assert (reminder.state, reminder.detail) == (
        ModelStatus.UNSPECIFIED,
        (
            "3 records wait for a model of data type 'Patient ': "
            "publish one, or send them as 'patient', which is served"
        ),
    )
    assert told(broker, job, "Patient ", capsys) == 3
    assert told(broker, job, "patient", capsys) == 0
    job.serve(model("Patient "))
    assert len(job.await_results("Patient ", 3)) == 3
    assert told(broker, job, "Patient ", capsys) == 0
