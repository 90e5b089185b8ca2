"""The same version with another signature or another output for the result is a model of its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from model_serving.core.admission.admission import Admission
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import Command, ModelMessage, ModelType
from model_serving.core.pool import ModelPool
from model_serving.testing import POINT, FakeClock, FakeEngine, FakeLocations, read_point
from tests.unit.core.carrying_out import OneDataType, offer

PLAIN = ModelMessage("wine", "model", ModelType.TENSORFLOWSAVED, b"v1", version="v1")
DOSE = replace(PLAIN, signature_name="predict", result_output="dose")
RISK = replace(DOSE, result_output="risk")
ROLLBACK = ModelMessage("wine", command=Command.ROLLBACK)


def choices(kept: OneDataType) -> list[tuple[str, str, str]]:
    """The version, the signature and the output of each kept version, oldest first."""
    history = kept.history().kept
    models = [kept.model(version.key) for version in history]
    assert [(one.version, one.signature_name, one.result_output) for one in models] == [
        (one.version, one.signature_name, one.result_output) for one in history
    ]
    return [(one.version, one.signature_name, one.result_output) for one in models]


def test_the_engine_and_the_activation_get_what_the_message_says(
    admission: Admission, kept: OneDataType
) -> None:
    model = offer(admission, DOSE, kept).model
    assert model is not None
    assert (model.signature_name, model.result_output) == ("predict", "dose")


def test_each_choice_is_kept_and_a_rollback_goes_back_through_all_of_them(
    admission: Admission, kept: OneDataType, engine: FakeEngine
) -> None:
    said = [offer(admission, message, kept).previous for message in (PLAIN, DOSE, RISK)]
    assert said == ["", "v1", "v1"]
    assert choices(kept) == [("v1", "", ""), ("v1", "predict", "dose"), ("v1", "predict", "risk")]
    assert engine.live == ["v1"] * 3
    back = offer(admission, ROLLBACK, kept)
    assert back.model is not None
    assert (back.model.result_output, back.previous) == ("dose", "v1")
    back = offer(admission, ROLLBACK, kept)
    assert back.model is not None
    assert back.model.result_output == ""
    assert (kept.versions, engine.live) == (["v1"], ["v1"])


def test_a_rollback_after_a_restart_loads_the_choice_before(
    admission: Admission,
    pool: ModelPool,
    locations: FakeLocations,
    clock: FakeClock,
    kept: OneDataType,
    engine: FakeEngine,
) -> None:
    offer(admission, DOSE, kept)
    offer(admission, RISK, kept)
    admission.close()
    restarted = Admission(pool, POINT, locations, read_point, keep_versions=3, clock=clock)
    model = offer(restarted, ROLLBACK, kept).model
    assert model is not None
    assert (model.result_output, model.content) == ("dose", b"v1")
    assert choices(kept) == [("v1", "predict", "dose")]
    restarted.close()
    assert engine.live == []


def test_the_same_choice_again_serves_already(
    admission: Admission, kept: OneDataType, engine: FakeEngine
) -> None:
    for message in (PLAIN, DOSE):
        offer(admission, message, kept)
    assert offer(admission, DOSE, kept).detail == "serves already"
    assert len(engine.events) == 2


@pytest.mark.parametrize("kind", [ModelType.PMML, ModelType.ONNX, ModelType.TENSORFLOW])
def test_a_signature_of_a_model_that_has_none_is_rejected_not_ignored(
    admission: Admission, kept: OneDataType, kind: ModelType
) -> None:
    with pytest.raises(ModelRejected) as rejected:
        offer(admission, replace(DOSE, model_type=kind), kept)
    assert str(rejected.value) == (
        f"signature_name is 'predict', but a model of the type {kind.name} has no signatures: "
        "leave signature_name empty"
    )
    assert kept.versions == []


def test_a_version_is_bound_to_its_content_whatever_the_choice(
    admission: Admission, kept: OneDataType
) -> None:
    offer(admission, DOSE, kept)
    with pytest.raises(ModelRejected, match=r"^version 'v1' is known with other content"):
        offer(admission, replace(RISK, data=b"other"), kept)
