"""Hostile models are refused by running jobs, which go on with the models that they have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from tests.hostile_models import archive_bombs, native_bombs, outward_onnx, tensorflow_graph, xml_bombs
from tests.job_models import constant_pmml, sample_records
from tests.job_traffic import Traffic

pytestmark = pytest.mark.kafka


def hostile_models(data_type: str, folder: Path) -> dict[str, tuple[ModelDescriptor, str]]:
    """Returns, by the kind of attack, a message that must be refused, and the text of the refusal."""
    secret = folder / "secret"
    secret.write_bytes(b"secret")
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    xml, archives, onnx = xml_bombs(secret.as_uri()), archive_bombs(), outward_onnx(str(secret))
    natives = native_bombs(60)
    chosen = {
        "entities": ("PMML", *xml["exponential entities"]),
        "levels": ("PMML", *xml["100,000 levels"]),
        "files": ("TENSORFLOWSAVED", *archives["too many empty files in a tar"]),
        "way up": ("TENSORFLOWSAVED", *archives["a way up"]),
        "link": ("TENSORFLOWSAVED", *archives["a link"]),
        "reads a file": (
            "TENSORFLOW",
            tensorflow_graph(lambda tf, total: total + tf.strings.to_number(tf.io.read_file(str(secret)))),
            "(ReadFile) reaches files, hosts or code",
        ),
        "weights elsewhere": ("ONNX", *onnx["ONNX weights elsewhere"]),
        "ends its process": natives["a shape that fails a check of TensorFlow"],
    }
    models = {
        what: (
            # The graphs take two fields, so none of them is refused for another reason.
            ModelDescriptor(
                name=what, dataType=data_type, modeltype=kind, data=content, inputs=["alcohol", "density"]
            ),
            says,
        )
        for what, (kind, content, says) in chosen.items()
    }
    for what, location in {"pipe": str(pipe), "device": "/dev/zero"}.items():
        message = ModelDescriptor(name=what, dataType=data_type, modeltype="PMML", location=location)
        models[what] = (message, "is not a plain file")
    return models


def test_hostile_models_are_refused_and_the_old_one_goes_on(job: Traffic, tmp_path: Path) -> None:
    job.serve(ModelDescriptor(name="good", dataType="siege", modeltype="PMML", data=constant_pmml(1)))
    hostile = hostile_models("siege", tmp_path)
    records = iter(sample_records("siege", 2 * len(hostile)))
    for message, _ in hostile.values():
        job.send(next(records))
        job.offer(message)
        job.send(next(records))
    statuses = job.await_statuses("siege", 1 + len(hostile), within_s=180)[1:]
    letters = job.await_letters_of("siege", len(hostile))
    results = job.await_results("siege", 2 * len(hostile))

    assert [(result.submissionTs, result.result) for result in results] == [
        (ts, 1.0) for ts in range(1, 2 * len(hostile) + 1)
    ]
    for (what, (message, says)), status, letter in zip(hostile.items(), statuses, letters, strict=True):
        assert (what, status.state, status.name) == (what, ModelStatus.REJECTED, what)
        assert (what, letter.reason) == (what, DeadLetter.MODEL_REJECTED)
        assert letter.payload == message.SerializeToString()
        assert says in letter.detail, (what, letter.detail)
        assert status.detail == letter.detail
        assert "\n" not in letter.detail
