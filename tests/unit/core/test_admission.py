"""Admission: which models are admitted, which versions are kept, which models are released."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from model_serving.core.admission.admission import Admission
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import Command, Example, ModelMessage, ModelToServe, ModelType, OutputRule
from model_serving.core.pool import ModelPool
from model_serving.core.state import Activation, History, KeptVersion
from model_serving.testing import POINT, FakeClock, FakeEngine, FakeLocations, Script, read_point
from tests.unit.core.carrying_out import OneDataType, offer

REMOVE = ModelMessage("wine", command=Command.REMOVE)
ROLLBACK = ModelMessage("wine", command=Command.ROLLBACK)


def deploy(version: str, content: bytes | None = None, **fields: Any) -> ModelMessage:
    """A message with a model; its content is the version's name, if no other content is given."""
    data = version.encode() if content is None else content
    return ModelMessage("wine", "model", ModelType.PMML, data, version=version, **fields)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def served(version: str, content: bytes | None = None) -> ModelToServe:
    content = version.encode() if content is None else content
    return ModelToServe("wine", "model", ModelType.PMML, version, sha256(content), content)


def test_a_model_is_loaded_warmed_up_and_kept(
    admission: Admission, kept: OneDataType, engine: FakeEngine
) -> None:
    engine.scripts[b"v1"] = Script(load_ns=3_000_000, score_ns=1_500_000)
    message = deploy("v1", inputs=("x",), output=OutputRule.VALUE)
    activation = offer(admission, message, kept)
    model = ModelToServe(
        "wine", "model", ModelType.PMML, "v1", sha256(b"v1"), b"v1", ("x",), OutputRule.VALUE
    )
    assert activation == Activation("wine", 1, model, previous="", detail="", load_ms=4.5)
    assert kept.history() == History((KeptVersion("v1", sha256(b"v1"), "model"),), sequence=1)
    assert kept.model("v1") == model
    assert (engine.events, engine.live) == (["load v1"], ["v1"])
    assert [columns.tolist() for columns in engine.models[0].scored] == [[[0.0, 0.0]]]
    assert engine.models[0].scored[0].dtype == np.float64


def test_the_warm_up_row_has_an_empty_text_where_the_model_takes_a_text(
    admission: Admission, kept: OneDataType, engine: FakeEngine
) -> None:
    engine.scripts[b"v1"] = Script(fields=("colour", "x"))
    offer(admission, deploy("v1"), kept)
    assert [columns.tolist() for columns in engine.models[0].scored] == [[["", 0.0]]]
    assert engine.models[0].scored[0].dtype == object


def test_a_model_without_a_result_for_zeros_is_let_in(
    admission: Admission, kept: OneDataType, engine: FakeEngine
) -> None:
    engine.scripts[b"v1"] = Script(nothing=0.0)
    assert offer(admission, deploy("v1"), kept).model == served("v1")


def test_a_digest_stands_in_for_the_version(admission: Admission, kept: OneDataType) -> None:
    activation = offer(admission, deploy("", b"content"), kept)
    # `printf content | sha256sum`
    assert activation.model == served("ed7002b439e9", b"content")
    assert kept.versions == ["ed7002b439e9"]


@pytest.mark.parametrize("spell", [str.lower, str.upper])
def test_the_digest_of_the_message_is_checked_in_any_case(
    admission: Admission, kept: OneDataType, spell: Any
) -> None:
    assert offer(admission, deploy("v1", sha256=spell(sha256(b"v1"))), kept).model == served("v1")


def test_a_location_is_fetched(admission: Admission, kept: OneDataType, locations: FakeLocations) -> None:
    locations.contents["models/v1"] = b"v1"
    message = ModelMessage(
        "wine", "model", ModelType.PMML, location="models/v1", version="v1", sha256=sha256(b"v1")
    )
    assert offer(admission, message, kept).model == served("v1")
    assert locations.asked == ["models/v1"]


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


RIGHT = Example(b"2,0,red", expected=2.0, tolerance=0.0)


@pytest.mark.parametrize(
    "examples",
    [
        (RIGHT,),
        (RIGHT, Example(b"3,0,red", expected=3.5, tolerance=0.5), Example(b"-1,7,", -1.25, 0.25)),
        (Example(b"1e300,0,red", 0.0, math.inf),),
    ],
)
def test_a_model_with_right_examples_is_let_in(
    admission: Admission, kept: OneDataType, examples: tuple[Example, ...]
) -> None:
    assert offer(admission, deploy("v1", examples=examples), kept).model == served("v1")


BAD_MESSAGES = {
    "digest of other content": (
        deploy("v2", sha256="ab" * 32),
        (
            f"the content's SHA-256 is {sha256(b'v2')}, the message says {'ab' * 32}: "
            "send the model again with the digest of its content"
        ),
    ),
    "no content": (
        ModelMessage("wine", version="v2"),
        "the message has neither data nor a location: send one of them",
    ),
    "empty location": (
        ModelMessage("wine", version="v2", location=""),
        "the message has neither data nor a location: send one of them",
    ),
    "empty content": (deploy("v2", b""), "the model is empty"),
    "empty content by location": (ModelMessage("wine", location="empty"), "the model is empty"),
    "unknown location": (ModelMessage("wine", location="nowhere"), "nothing is at nowhere"),
    "known version, other content": (
        deploy("v1", b"other"),
        (
            f"version 'v1' is known with other content (SHA-256 {sha256(b'v1')[:12]}…): "
            "give the new content a version of its own"
        ),
    ),
    "does not load": (deploy("v2", b"broken"), "not a model"),
    "fails on zeros": (deploy("v2", b"fails"), "the model fails on a first record: x is 0"),
    "wrong number of results": (deploy("v2", b"many"), "the model gives (2,) results for one record"),
    "wrong example": (
        deploy("v2", examples=(RIGHT, Example(b"2,0,red", 2.5, 0.25))),
        "example 2 of 2 gives 2, expected 2.5 within 0.25",
    ),
    "example without a result": (
        deploy("v2", b"nothing for 5", examples=(Example(b"5,0,red", 5.0, math.inf),)),
        "example 1 of 1 gives nan, expected 5 within inf",
    ),
    "example that expects NaN": (
        deploy("v2", examples=(Example(b"5,0,red", math.nan, 1.0),)),
        "example 1 of 1 gives 5, expected nan within 1",
    ),
    "example with a NaN tolerance": (
        deploy("v2", examples=(Example(b"5,0,red", 5.0, math.nan),)),
        "example 1 of 1 gives 5, expected 5 within nan",
    ),
    "unparsable example": (
        deploy("v2", examples=(Example(b"junk", 1.0, 1.0),)),
        "example 1 of 1 cannot be scored: not a Point message: truncated",
    ),
    "empty example": (
        deploy("v2", examples=(Example(b"", 1.0, 1.0),)),
        "example 1 of 1 cannot be scored: the Point has none of its fields set",
    ),
    "example that the model fails on": (
        deploy("v2", b"fails on 5", examples=(RIGHT, Example(b"5,0,red", 5.0, 1.0))),
        "example 2 of 2 cannot be scored: x is 5",
    ),
}


@pytest.mark.parametrize(("message", "said"), BAD_MESSAGES.values(), ids=list(BAD_MESSAGES))
def test_a_rejected_model_changes_nothing(
    admission: Admission,
    kept: OneDataType,
    engine: FakeEngine,
    locations: FakeLocations,
    message: ModelMessage,
    said: str,
) -> None:
    engine.scripts |= {
        b"broken": Script(load_error="not a model"),
        b"fails": Script(poison=0.0),
        b"fails on 5": Script(poison=5.0),
        b"nothing for 5": Script(nothing=5.0),
        b"many": Script(extra_results=1),
    }
    locations.contents["empty"] = b""
    offer(admission, deploy("v1"), kept)
    before = kept.saved
    with pytest.raises(ModelRejected) as rejected:
        offer(admission, message, kept)
    assert str(rejected.value) == said
    assert kept.saved == before
    assert engine.live == ["v1"]
    assert offer(admission, deploy("v3"), kept) == Activation("wine", 2, served("v3"), previous="v1")


ANYTHING = [
    RuntimeError("bug"),
    IndexError("list index out of range"),
    RecursionError("maximum recursion depth exceeded"),
    MemoryError(),
    ExceptionGroup("several", [ValueError("x")]),
]


@pytest.mark.parametrize("raised", ANYTHING, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("when", ["load", "score"])
def test_whatever_a_model_library_raises_costs_its_message_only(
    admission: Admission, kept: OneDataType, engine: FakeEngine, raised: Exception, when: str
) -> None:
    script = Script(load_fault=raised) if when == "load" else Script(score_fault=raised)
    engine.scripts[b"v2"] = script
    offer(admission, deploy("v1"), kept)
    before = kept.saved
    with pytest.raises(ModelRejected, match=type(raised).__name__):
        offer(admission, deploy("v2"), kept)
    assert (kept.saved, engine.live) == (before, ["v1"])


def test_a_model_that_cannot_be_closed_is_let_go_of(
    admission: Admission, kept: OneDataType, engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.scripts[b"v1"] = Script(close_fault=OSError("no such session"))
    offer(admission, deploy("v1"), kept)
    offer(admission, REMOVE, kept)
    assert caplog.messages == ["A model could not be closed: OSError: no such session"]


def test_what_is_not_an_exception_of_a_library_is_a_fault_and_leaks_no_model(
    admission: Admission, kept: OneDataType, engine: FakeEngine
) -> None:
    engine.scripts[b"v1"] = Script(score_fault=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        offer(admission, deploy("v1"), kept)
    assert (kept.saved, engine.live) == ((None, {}), [])


def test_close_lets_go_of_every_model_and_can_be_called_again(
    admission: Admission, kept: OneDataType, engine: FakeEngine
) -> None:
    offer(admission, deploy("v1"), kept)
    offer(admission, deploy("v2"), kept)
    admission.close()
    admission.close()
    assert engine.live == []
    assert kept.versions == ["v1", "v2"]
