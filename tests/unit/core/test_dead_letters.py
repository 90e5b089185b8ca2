"""Every error that is data has its dead letter."""

from __future__ import annotations

import pytest

from model_serving.core.errors import (
    FailsAtFirst,
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
    (FailsAtFirst("x is 0"), Reason.MODEL_REJECTED, "x is 0"),
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


def test_an_error_of_an_engine_has_the_reason_of_what_it_is_derived_from() -> None:
    class CannotScore(ScoringFailed):
        """An engine's own error."""

    assert dead_letter(CannotScore("no"), b"", "mdata", 17).reason is Reason.SCORING_FAILED


def test_no_error_and_no_reason_is_left_out() -> None:
    faults = {ModelServingError, IncompatibleState} | every_error(Unavailable)
    # Engines have errors of their own, derived from these.
    of_the_core = {
        one for one in every_error(ModelServingError) if one.__module__.startswith("model_serving.core.")
    }
    assert {type(error) for error, _, _ in ERRORS} == of_the_core - faults
    assert {reason for _, reason, _ in ERRORS} == set(Reason) - {Reason.UNSPECIFIED}
