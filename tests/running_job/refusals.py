"""Model messages that a job must refuse, one after another, while the previous model serves."""

from __future__ import annotations

from collections.abc import Mapping

from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from tests.job_models import constant_model, sample_records
from tests.job_traffic import Traffic

__all__ = ["assert_refused"]


def assert_refused(job: Traffic, data_type: str, bad: Mapping[str, tuple[ModelDescriptor, str]]) -> None:
    """Checks that each ``bad`` message is rejected, becomes a whole dead letter, and changes nothing.

    ``bad`` has, by the name of the error, the message and the text that must be in the refusal. No message of
    the data type may have been sent before.
    """
    job.serve(constant_model(data_type, 1))
    records = iter(sample_records(data_type, 2 * len(bad)))
    for message, _ in bad.values():
        job.send(next(records))
        job.offer(message)
        job.send(next(records))
    statuses = job.await_statuses(data_type, 1 + len(bad), within_s=120)[1:]
    letters = job.await_letters_of(data_type, len(bad))
    results = job.await_results(data_type, 2 * len(bad))

    assert [(result.version, result.result) for result in results] == [("v1", 1.0)] * 2 * len(bad)
    assert [result.submissionTs for result in results] == list(range(1, 2 * len(bad) + 1))
    for (what, (message, says)), status, letter in zip(bad.items(), statuses, letters, strict=True):
        assert (what, status.state) == (what, ModelStatus.REJECTED)
        assert (what, letter.payload) == (what, message.SerializeToString())
        assert (letter.reason, letter.topic, letter.dataType, letter.model, letter.version) == (
            DeadLetter.MODEL_REJECTED,
            job.topics.models,
            data_type,
            message.name,
            message.version,
        )
        assert (status.detail, status.name, status.version) == (letter.detail, message.name, message.version)
        assert says in letter.detail, (what, letter.detail)
        assert letter.detail, what
        assert "\n" not in letter.detail, what
        assert len(letter.detail) < 600, (what, letter.detail)
