"""``publish-models --try``: what would be rejected is not sent, and examples come from the user's records."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from model_serving.client import cli
from model_serving.client.model_messages import Content, build_message, models_at
from model_serving.client.samples import sample_models, sample_records
from model_serving.client.trying.check import ModelCheck, Refused
from model_serving.client.trying.trial import Trial, admitted
from model_serving.core.engine import RecordSchema
from model_serving.core.errors import ModelRejected
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.winerecord_pb2 import WineRecord
from model_serving.settings import ServingSettings
from tests.job_models import narrow_pmml, regression_pmml, table_onnx

GLM = next(model for model in sample_models() if model.path.name == "wine_glm.pmml")
SETTINGS = ServingSettings(
    record_type="model_serving.protos.winerecord_pb2:WineRecord",
    models_topic="models",
    data_topic="mdata",
    waiting=WaitingPolicy(NoModelPolicy.DROP, 0, bounded=True),
    keep_versions=1,
    base_dir="/",
    model_size_limit=1 << 20,
)


def publish(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str]]:
    """Returns the exit status and the lines on standard error."""
    status = cli.main(["publish-models", *map(str, arguments), "--once"])
    return status, capsys.readouterr().err.splitlines()


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_a_model_that_passes_is_sent_with_as_many_examples_as_wanted(
    sent: list[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish(capsys, GLM.path, "--try", sample_records(), "--examples", 2) == (0, [])
    (message,) = map(ModelDescriptor.FromString, sent)
    assert [example.expected for example in message.examples] == pytest.approx(
        list(GLM.expected[:2]), abs=GLM.tolerance
    )
    assert WineRecord.FromString(message.examples[0].record).alcohol == 9.2
    assert all(0 < example.tolerance <= 1e-4 for example in message.examples)
    # The job checks the examples when it admits the model.
    with admitted(sent[0], None, SETTINGS) as trial:
        assert trial.model.name == "wine_glm"
    message.examples[1].expected += 0.01
    with (
        pytest.raises(ModelRejected, match=r"^example 2 of 2 gives "),
        admitted(message.SerializeToString(), None, SETTINGS),
    ):
        pass


def test_without_examples_the_message_is_the_same_as_without_a_trial(
    sent: list[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish(capsys, GLM.path)[0] == publish(capsys, GLM.path, "--try", sample_records())[0] == 0
    assert sent[0] == sent[1]


def test_if_one_model_would_be_rejected_nothing_is_sent(
    sent: list[bytes], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    other = written(tmp_path, "other.pmml", regression_pmml(1.0, {"sugar": 1.0}))
    status, said = publish(capsys, GLM.path, other, "--try", sample_records())
    assert (status, sent, len(said)) == (1, [], 1)
    assert "a job would reject other: the model needs the field 'sugar'" in said[0]
    assert said[0].endswith("; nothing is sent")
    empty = written(tmp_path, "empty.pmml", b"<PMML version='4.4'/>")
    status, said = publish(capsys, GLM.path, other, empty, "--try", sample_records())
    assert (status, sent, len(said)) == (1, [], 3)
    assert [line.split(":")[0] for line in said[:2]] == [
        "a job would reject other",
        "a job would reject empty",
    ]
    assert said[2].endswith("2 of 3 models are refused, so nothing is sent")


def test_a_model_that_does_not_score_a_record_is_not_sent(
    sent: list[bytes], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    narrow = written(tmp_path, "narrow.pmml", narrow_pmml(5.0))
    status, (said,) = publish(capsys, narrow, "--try", sample_records())
    assert (status, sent) == (1, [])
    assert "narrow does not score " in said
    assert "record 2: " in said


def test_a_model_that_fails_on_zeros_is_sent_with_examples_only(
    sent: list[bytes], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    by_strength = written(tmp_path, "by_strength.onnx", table_onnx(9, range(3, 10)))
    status, (said,) = publish(capsys, by_strength, "--try", sample_records())
    assert (status, sent) == (1, [])
    assert "the model fails on a first record" in said
    assert "send some as examples (publish-models --try records.csv --examples 1)" in said
    assert publish(capsys, by_strength, "--try", sample_records(), "--examples", 1) == (0, [])
    (example,) = ModelDescriptor.FromString(sent[0]).examples
    assert (WineRecord.FromString(example.record).alcohol, example.expected) == (9.2, 3.0)
    with admitted(sent[0], None, SETTINGS) as trial:
        assert trial.model.name == "by_strength"
    too_high = written(tmp_path, "too_high.onnx", table_onnx(80, [1.0]))
    status, (said,) = publish(capsys, too_high, "--try", sample_records(), "--examples", 1)
    assert (status, len(sent)) == (1, 1)
    assert "the model fails on a first record" in said


def test_a_model_that_is_rejected_for_another_reason_is_tried_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tried = []

    def counted(
        payload: bytes, schema: RecordSchema | None, settings: ServingSettings
    ) -> AbstractContextManager[Trial]:
        tried.append(payload)
        return admitted(payload, schema, settings)

    monkeypatch.setattr("model_serving.client.trying.check.admitted", counted)
    check = ModelCheck(sample_records(), SETTINGS, data_type="wine", examples=1)
    (model,) = models_at([written(tmp_path, "other.pmml", regression_pmml(1.0, {"sugar": 1.0}))])
    with pytest.raises(Refused, match="needs the field 'sugar'"):
        check(build_message(model, data_type="wine", content=Content.DATA))
    assert len(tried) == 1


def test_a_file_that_changed_between_two_turns_is_tried_again(tmp_path: Path) -> None:
    check = ModelCheck(sample_records(), SETTINGS, data_type="wine", examples=1)
    path = written(tmp_path, "model.pmml", regression_pmml(1.0, {"alcohol": 0.0}))

    def message() -> ModelDescriptor:
        (model,) = models_at([path])
        return check(build_message(model, data_type="wine", content=Content.DATA))

    assert message().examples[0].expected == 1.0
    assert message() is message()
    written(tmp_path, "model.pmml", regression_pmml(2.0, {"alcohol": 0.0}))
    assert message().examples[0].expected == 2.0
    written(tmp_path, "model.pmml", regression_pmml(2.0, {"sugar": 0.0}))
    with pytest.raises(Refused, match=r"^a job would reject model: "):
        message()


def test_a_message_that_examples_make_too_large_is_not_sent(
    sent: list[bytes], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (model,) = models_at([GLM.path])
    alone = build_message(model, data_type="wine", content=Content.DATA).ByteSize()
    monkeypatch.setattr("model_serving.client.model_messages.MAX_MESSAGE_BYTES", alone + 2048)
    assert publish(capsys, GLM.path, "--try", sample_records(), "--examples", 5)[0] == 0
    status, (said,) = publish(capsys, GLM.path, "--try", sample_records(), "--examples", 50)
    assert (status, len(sent)) == (1, 1)
    assert "publish it by its location (--by-location)" in said


def test_examples_need_records_and_records_must_be_readable(
    sent: list[bytes], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status, (said,) = publish(capsys, GLM.path, "--examples", 1)
    assert (status, "name it with --try" in said) == (2, True)
    status, (said,) = publish(capsys, GLM.path, "--try", tmp_path / "absent.csv")
    assert (status, "absent.csv cannot be read" in said) == (1, True)
    assert sent == []
