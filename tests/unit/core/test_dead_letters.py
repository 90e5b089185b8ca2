"""Every error that is data has its dead letter."""

from __future__ import annotations

import pytest

from model_serving.core.errors import (
    IncompatibleState,
    InvalidRecord,
    ModelRejected,
    ModelServingError,
    NoModel,
    ScoringFailed,
    Unavailable,
    UnparsableMessage,
)
from model_serving.core.letters import dead_letter
from model_serving.core.messages import DeadLetter, Reason

ERRORS: list[tuple[ModelServingError, Reason, str]] = [
    (UnparsableMessage("Point", "truncated"), Reason.UNPARSABLE, "not a Point message: truncated"),
    (InvalidRecord("no data type"), Reason.INVALID_RECORD, "no data type"),
    (NoModel("wine", "wait"), Reason.NO_MODEL, "no model for data type 'wine': wait"),
    (ScoringFailed("x is 2"), Reason.SCORING_FAILED, "x is 2"),
    (ModelRejected("not a model"), Reason.MODEL_REJECTED, "not a model"),
]


def every_error(root: type[ModelServingError]) -> set[type[ModelServingError]]:
    return {root}.union(*(every_error(leaf) for leaf in root.__subclasses__()))


@pytest.mark.parametrize(("error", "reason", "detail"), ERRORS, ids=[type(row[0]).__name__ for row in ERRORS])
def test_an_error_becomes_its_dead_letter(error: ModelServingError, reason: Reason, detail: str) -> None:
    assert dead_letter(error, b"\x00bytes", "mdata", 17) == DeadLetter(
        reason, detail, b"\x00bytes", "mdata", 17, "", "", ""
    )
    assert dead_letter(
        error, b"", "models", 18, data_type="wine", model="forest", version="v1"
    ) == DeadLetter(reason, detail, b"", "models", 18, "wine", "forest", "v1")


def test_no_error_and_no_reason_is_left_out() -> None:
    # Subclasses of Unavailable are the engines' own.
    faults = {ModelServingError, IncompatibleState} | every_error(Unavailable)
    assert {type(error) for error, _, _ in ERRORS} == every_error(ModelServingError) - faults
    assert {reason for _, reason, _ in ERRORS} == set(Reason) - {Reason.UNSPECIFIED}
