"""Admission of models that a model server scores: the location is the content."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from model_serving.core.admission.admission import Admission
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import Command, ModelMessage, ModelType
from model_serving.core.pool import ModelPool
from model_serving.testing import POINT, FakeClock, FakeEngine, FakeLocations, read_point
from tests.unit.core.carrying_out import OneDataType, offer

ONE, TWO = "http://host:8501/v1/models/wine/versions/1", "http://host:8501/v1/models/wine/versions/2"
MESSAGE = ModelMessage("wine", "model", ModelType.TFSERVING, location=ONE)


def digest(location: str) -> str:
    return hashlib.sha256(location.encode()).hexdigest()


def test_it_is_kept_swapped_and_rolled_back_like_any_other(
    admission: Admission, kept: OneDataType, engine: FakeEngine
) -> None:
    first = offer(admission, replace(MESSAGE, location="HTTP://HOST:8501/v1/models/wine/versions/1/"), kept)
    assert first.model is not None
    assert (first.model.content, first.model.sha256) == (ONE.encode(), digest(ONE))
    assert first.model.version == digest(ONE)[:12]
    second = offer(admission, replace(MESSAGE, location=TWO, version="v2", sha256=digest(TWO)), kept)
    assert (second.previous, engine.live) == (digest(ONE)[:12], sorted([ONE, TWO]))
    back = offer(admission, ModelMessage("wine", command=Command.ROLLBACK), kept)
    assert back.model == first.model
    assert engine.live == [ONE]


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (
            replace(MESSAGE, location=None, data=b"x"),
            "is scored by its server: send its location, not its data",
        ),
        (replace(MESSAGE, location=None), "is scored by its server: send its location, not its data"),
        (
            replace(MESSAGE, location="http://host/wine"),
            "needs a location like http://host:8501/v1/models/NAME",
        ),
        (replace(MESSAGE, model_type=ModelType.OPENINFERENCE), "a location like http://host:8080/v2/models"),
        (replace(MESSAGE, sha256="00"), f"the content's SHA-256 is {digest(ONE)}, the message says 00"),
    ],
)
def test_a_message_that_is_wrong_is_rejected(
    admission: Admission, kept: OneDataType, message: ModelMessage, why: str
) -> None:
    with pytest.raises(ModelRejected, match=why):
        offer(admission, message, kept)
    assert kept.versions == []


def test_it_is_only_where_models_may_be(pool: ModelPool, clock: FakeClock, kept: OneDataType) -> None:
    asked = []

    def check(url: str) -> None:
        asked.append(url)
        raise ModelRejected("not there")

    admission = Admission(
        pool, POINT, FakeLocations(), read_point, keep_versions=3, clock=clock, check_location=check
    )
    with pytest.raises(ModelRejected, match=r"^not there$"):
        offer(admission, MESSAGE, kept)
    assert asked == [ONE]
    admission.close()
