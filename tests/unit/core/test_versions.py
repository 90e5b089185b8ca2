"""Which versions are kept, what a rollback and a removal do, and which models are released."""

from __future__ import annotations

from dataclasses import replace

import pytest

from model_serving.core.admission.admission import Admission
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import Command, ModelMessage, ModelType
from model_serving.core.pool import ModelPool
from model_serving.core.state import Activation, History
from model_serving.testing import POINT, FakeClock, FakeEngine, FakeLocations, Script, read_point
from tests.unit.core.carrying_out import OneDataType, deploy, offer, served

REMOVE = ModelMessage("wine", command=Command.REMOVE)
ROLLBACK = ModelMessage("wine", command=Command.ROLLBACK)


def test_the_next_version_names_the_one_before_which_stays_loaded(
    admission: Admission, kept: OneDataType, engine: FakeEngine
) -> None:
    offer(admission, deploy("v1"), kept)
    assert offer(admission, deploy("v2"), kept) == Activation("wine", 2, served("v2"), previous="v1")
    assert (kept.versions, engine.live) == (["v1", "v2"], ["v1", "v2"])


def test_the_same_version_again_serves_already(
    admission: Admission, kept: OneDataType, engine: FakeEngine
) -> None:
    offer(admission, deploy("v1"), kept)
    assert offer(admission, deploy("v1"), kept) == Activation(
        "wine", 2, served("v1"), detail="serves already"
    )
    assert (kept.versions, engine.events) == (["v1"], ["load v1"])


def test_an_older_version_again_becomes_the_newest(
    admission: Admission, kept: OneDataType, engine: FakeEngine
) -> None:
    for version in ("v1", "v2", "v1"):
        activation = offer(admission, deploy(version), kept)
    assert activation == Activation("wine", 3, served("v1"), previous="v2")
    assert (kept.versions, engine.events) == (["v2", "v1"], ["load v1", "load v2"])


def test_the_same_version_with_other_inputs_is_loaded_anew_and_the_old_one_released(
    admission: Admission, kept: OneDataType, engine: FakeEngine
) -> None:
    offer(admission, deploy("v1"), kept)
    offer(admission, deploy("v1", inputs=("y", "x")), kept)
    assert kept.model("v1").inputs == ("y", "x")
    assert (engine.events, engine.live) == (["load v1", "load v1", "close v1"], ["v1"])


@pytest.mark.parametrize(
    ("keep", "versions"),
    [(1, ["v4"]), (2, ["v3", "v4"]), (3, ["v2", "v3", "v4"]), (9, ["v1", "v2", "v3", "v4"])],
)
def test_the_oldest_versions_are_let_go_of(
    pool: ModelPool,
    locations: FakeLocations,
    clock: FakeClock,
    kept: OneDataType,
    engine: FakeEngine,
    keep: int,
    versions: list[str],
) -> None:
    admission = Admission(pool, POINT, locations, read_point, keep_versions=keep, clock=clock)
    for version in ("v1", "v2", "v3", "v4"):
        offer(admission, deploy(version), kept)
    assert (kept.versions, engine.live) == (versions, versions)
    admission.close()
    assert engine.live == []


def test_a_rollback_serves_the_version_before_and_forgets_the_bad_one(
    admission: Admission, kept: OneDataType, engine: FakeEngine
) -> None:
    for version in ("v1", "v2", "v3"):
        offer(admission, deploy(version), kept)
    first = offer(admission, ROLLBACK, kept)
    assert first == Activation("wine", 4, served("v2"), previous="v3", detail="rolled back", fallback=True)
    assert (kept.versions, engine.live) == (["v1", "v2"], ["v1", "v2"])
    second = offer(admission, ROLLBACK, kept)
    assert second == Activation("wine", 5, served("v1"), previous="v2", detail="rolled back", fallback=True)
    assert (kept.versions, engine.live) == (["v1"], ["v1"])
    assert engine.events == ["load v1", "load v2", "load v3", "close v3", "close v2"]


def test_a_rollback_from_a_version_is_carried_out_while_that_version_serves(
    admission: Admission, kept: OneDataType
) -> None:
    for version in ("v1", "v2"):
        offer(admission, deploy(version), kept)
    back = replace(ROLLBACK, version="v2", description="5 failures in a row")
    assert offer(admission, back, kept).detail == "rolled back: 5 failures in a row"
    assert kept.versions == ["v1"]
    with pytest.raises(ModelRejected) as rejected:
        offer(admission, back, kept)
    assert (
        str(rejected.value) == "no rollback from version 'v2': this version does not serve data type 'wine'"
    )
    assert kept.versions == ["v1"]


def test_a_version_that_was_rolled_back_can_come_again_with_other_content(
    admission: Admission, kept: OneDataType
) -> None:
    offer(admission, deploy("v1"), kept)
    offer(admission, deploy("v2", b"bad"), kept)
    offer(admission, ROLLBACK, kept)
    assert offer(admission, deploy("v2", b"good"), kept).model == served("v2", b"good")


def test_a_rollback_after_a_restart_loads_what_it_needs_only(
    admission: Admission,
    pool: ModelPool,
    locations: FakeLocations,
    kept: OneDataType,
    engine: FakeEngine,
    clock: FakeClock,
) -> None:
    for version in ("v1", "v2", "v3"):
        offer(admission, deploy(version), kept)
    admission.close()
    engine.events.clear()
    engine.scripts[b"v2"] = Script(load_ns=2_000_000)
    restarted = Admission(pool, POINT, locations, read_point, keep_versions=3, clock=clock)
    activation = offer(restarted, ROLLBACK, kept)
    assert activation == Activation("wine", 4, served("v2"), "v3", "rolled back", load_ms=2.0, fallback=True)
    assert engine.events == ["load v2"]
    restarted.close()
    assert engine.live == []


def test_a_rollback_to_a_version_that_does_not_load_any_more_changes_nothing(
    admission: Admission, kept: OneDataType, engine: FakeEngine
) -> None:
    offer(admission, deploy("v1"), kept)
    offer(admission, deploy("v2"), kept)
    admission.close()
    engine.scripts[b"v1"] = Script(load_error="the library has changed")
    before = kept.saved
    with pytest.raises(ModelRejected, match=r"^the library has changed$"):
        offer(admission, ROLLBACK, kept)
    assert (kept.saved, engine.live) == (before, [])


@pytest.mark.parametrize("deployed", [0, 1])
def test_nothing_to_roll_back_to(
    admission: Admission, kept: OneDataType, engine: FakeEngine, deployed: int
) -> None:
    for version in ("v1",)[:deployed]:
        offer(admission, deploy(version), kept)
    with pytest.raises(
        ModelRejected, match=r"^nothing to roll back to: data type 'wine' has no version before"
    ):
        offer(admission, ROLLBACK, kept)
    assert (kept.versions, engine.live) == (["v1"][:deployed], ["v1"][:deployed])


def test_remove_forgets_every_version_and_the_numbers_go_on(
    admission: Admission, kept: OneDataType, engine: FakeEngine
) -> None:
    offer(admission, deploy("v1"), kept)
    offer(admission, deploy("v2"), kept)
    assert offer(admission, REMOVE, kept) == Activation("wine", 3, None, previous="v2")
    assert (kept.history(), kept.versions, engine.live) == (History((), 3), [], [])
    assert offer(admission, deploy("v1"), kept) == Activation("wine", 4, served("v1"), previous="")


def test_nothing_to_remove(admission: Admission, kept: OneDataType) -> None:
    with pytest.raises(ModelRejected, match=r"^nothing to remove: no model serves data type 'wine'$"):
        offer(admission, REMOVE, kept)
    assert kept.saved == (None, {})


def test_data_types_share_a_loaded_model_and_let_go_of_it_one_by_one(
    admission: Admission, engine: FakeEngine
) -> None:
    wine, beer = OneDataType(), OneDataType()
    offer(admission, deploy("v1"), wine)
    offer(admission, ModelMessage("beer", "model", ModelType.PMML, b"v1", version="v1"), beer)
    assert engine.events == ["load v1"]
    offer(admission, REMOVE, wine)
    assert (wine.versions, beer.versions, engine.live) == ([], ["v1"], ["v1"])
    offer(admission, ModelMessage("beer", command=Command.REMOVE), beer)
    assert engine.live == []


def test_close_lets_go_of_every_model_and_can_be_called_again(
    admission: Admission, kept: OneDataType, engine: FakeEngine
) -> None:
    offer(admission, deploy("v1"), kept)
    offer(admission, deploy("v2"), kept)
    admission.close()
    admission.close()
    assert engine.live == []
    assert kept.versions == ["v1", "v2"]
