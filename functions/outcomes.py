"""What the serving operators give out, in both variants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from functions.core.dead_letters import dead_letter
from functions.core.errors import ModelServingError
from functions.core.messages import ModelState, ModelStatus, ServingResult
from functions.core.server import Outcome
from functions.core.state import Activation
from functions.flink_types import DEAD_LETTERS
from functions.metrics import ServingMetrics
from functions.parts import CLOCK
from functions.wire import encode_dead_letter, encode_result, encode_status

__all__ = ["rejection", "swap_report", "write_outcomes"]


def write_outcomes(outcomes: Iterable[Outcome], metrics: ServingMetrics) -> Iterator[Any]:
    """Results to the main output, dead letters to theirs, in their order."""
    scored = failed = 0
    for outcome in outcomes:
        if isinstance(outcome, ServingResult):
            scored += 1
            yield encode_result(outcome)
        else:
            failed += 1
            yield DEAD_LETTERS, encode_dead_letter(outcome)
    metrics.scored.inc(scored)
    metrics.dead_letters.inc(failed)


def rejection(
    error: ModelServingError,
    payload: bytes,
    topic: str,
    subtask: int,
    *,
    data_type: str = "",
    name: str = "",
    version: str = "",
) -> tuple[bytes, bytes]:
    """The dead letter and the status of a model message that is not taken."""
    now = CLOCK.epoch_ms()
    letter = dead_letter(error, payload, topic, now, data_type=data_type, model=name, version=version)
    status = ModelStatus(data_type, name, version, ModelState.REJECTED, now, str(error), subtask=subtask)
    return encode_dead_letter(letter), encode_status(status)


def swap_report(activation: Activation, subtask: int) -> tuple[str, int, bytes]:
    """(data type, sequence, status): this operator instance has carried out the activation."""
    model = activation.model
    status = ModelStatus(
        data_type=activation.data_type,
        name="" if model is None else model.name,
        version=activation.previous if model is None else model.version,
        state=ModelState.REMOVED if model is None else ModelState.ACTIVE,
        ts=CLOCK.epoch_ms(),
        detail=activation.detail,
        previous="" if model is None else activation.previous,
        load_ms=activation.load_ms,
        subtask=subtask,
    )
    return activation.data_type, activation.sequence, encode_status(status)
