"""From an error to the dead letter that carries it."""

from __future__ import annotations

from model_serving.core.errors import (
    InvalidRecord,
    ModelRejected,
    ModelServingError,
    NoModel,
    ScoringFailed,
    UnparsableMessage,
)
from model_serving.core.messages import DeadLetter, Reason

__all__ = ["dead_letter"]

_REASONS: dict[type[ModelServingError], Reason] = {
    UnparsableMessage: Reason.UNPARSABLE,
    InvalidRecord: Reason.INVALID_RECORD,
    NoModel: Reason.NO_MODEL,
    ScoringFailed: Reason.SCORING_FAILED,
    ModelRejected: Reason.MODEL_REJECTED,
}


def dead_letter(
    error: ModelServingError,
    payload: bytes,
    topic: str,
    ts: int,
    *,
    data_type: str = "",
    model: str = "",
    version: str = "",
) -> DeadLetter:
    """The dead letter for a message of ``topic`` that was given up at ``ts`` (epoch milliseconds)."""
    return DeadLetter(_REASONS[type(error)], str(error), payload, topic, ts, data_type, model, version)
