"""Admission: which models are let in, and that one that is not changes nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from model_serving.core.admission.admission import Admission
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import Command, Example, ModelMessage, ModelToServe, ModelType, OutputRule
from model_serving.core.state import Activation, History, KeptVersion
from model_serving.testing import FakeEngine, FakeLocations, Script
from tests.unit.core.carrying_out import OneDataType, deploy, offer, served, sha256

REMOVE = ModelMessage("wine", command=Command.REMOVE)


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


def test_a_model_that_fails_on_zeros_is_let_in_with_an_example_that_it_scores(
    admission: Admission, kept: OneDataType, engine: FakeEngine
) -> None:
    engine.scripts[b"v1"] = Script(poison=0.0)
    assert offer(admission, deploy("v1", examples=(RIGHT,)), kept).model == served("v1")


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
    "fails on zeros": (
        deploy("v2", b"fails"),
        (
            "the model fails on a first record: x is 0; if it can score others, send some as examples "
            "(publish-models --try records.csv --examples 1)"
        ),
    ),
    "fails on zeros and in its example": (
        deploy("v2", b"fails", examples=(Example(b"0,0,red", 0.0, 1.0),)),
        "example 1 of 1 cannot be scored: x is 0",
    ),
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
