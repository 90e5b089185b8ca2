"""The findings of a load are kept with the model and given to the engine when the model is loaded again."""

from __future__ import annotations

import pytest

from model_serving.core.admission.admission import Admission
from model_serving.core.messages import Command, ModelMessage, ModelType
from model_serving.core.pool import ModelPool
from model_serving.testing import POINT, FakeClock, FakeEngine, FakeLocations, Script, read_point
from tests.unit.core.carrying_out import OneDataType, offer


def deploy(version: str) -> ModelMessage:
    return ModelMessage("wine", "model", ModelType.PMML, version.encode(), version=version)


def test_what_loading_has_found_out_stays_with_the_model(
    admission: Admission, kept: OneDataType, engine: FakeEngine
) -> None:
    engine.scripts[b"v1"] = Script(findings="it is good")
    activation = offer(admission, deploy("v1"), kept)
    assert activation.model is not None
    assert activation.model.findings == kept.model("v1").findings == "it is good"


@pytest.mark.parametrize("before", ["it is good", "by older software"])
def test_a_rollback_after_a_restart_is_given_them_and_finds_out_what_is_new(
    kept: OneDataType,
    engine: FakeEngine,
    pool: ModelPool,
    locations: FakeLocations,
    clock: FakeClock,
    before: str,
) -> None:
    engine.scripts[b"v1"] = Script(findings=before)
    first = Admission(pool, POINT, locations, read_point, keep_versions=3, clock=clock)
    for version in ("v1", "v2"):
        offer(first, deploy(version), kept)
    first.close()
    engine.scripts[b"v1"] = Script(findings="it is good")
    restarted = Admission(pool, POINT, locations, read_point, keep_versions=3, clock=clock)
    activation = offer(restarted, ModelMessage("wine", command=Command.ROLLBACK), kept)
    assert engine.findings[-1] == before
    assert activation.model is not None
    assert activation.model.findings == "it is good"
    restarted.close()
