"""What the serving operators give out, in both variants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from functions.metrics import ServingMetrics
from functions.types import DEAD_LETTERS, ROLLBACKS
from model_serving.assembly import CLOCK
from model_serving.core.admission.signing import sign
from model_serving.core.errors import ModelServingError
from model_serving.core.letters import dead_letter
from model_serving.core.messages import ModelState, ModelStatus
from model_serving.core.scoring.server import Outcome
from model_serving.core.state import Activation
from model_serving.settings import ServingSettings
from model_serving.wire import (
    Decoded,
    encode_dead_letter,
    encode_results,
    encode_rollback,
    encode_status,
    fitted_result,
)

__all__ = ["OutcomeWriter", "refusals", "rejection", "swap_report"]


class OutcomeWriter:
    """Results go to the main output, dead letters and rollbacks to theirs."""

    def __init__(self, settings: ServingSettings, metrics: ServingMetrics) -> None:
        self._metrics = metrics
        self._settings = settings
        # The job's own commands come back by the models topic, where it takes signed ones only.
        self._keys = settings.model_keys()

    def write(self, outcome: Outcome) -> Iterator[Any]:
        """What an operator gives out."""
        for batch in outcome.scored:
            self._metrics.scored.inc(len(batch))
            for result in encode_results(batch):
                yield fitted_result(result, self._settings.result_limit)
        for letter in outcome.dead_letters:
            yield DEAD_LETTERS, encode_dead_letter(letter, self._settings.dead_letter_limit)
        if outcome.dead_letters:
            self._metrics.dead_letters.inc(len(outcome.dead_letters))
        for failing in outcome.failing:
            rollback = encode_rollback(failing)
            yield ROLLBACKS, sign(rollback, self._keys[0]) if self._keys else rollback


def refusals(decoded: Decoded, settings: ServingSettings) -> Iterator[Any]:
    """The dead letters of messages that are no records."""
    for payload, error in decoded.refused:
        letter = dead_letter(error, payload, settings.data_topic, CLOCK.epoch_ms())
        yield DEAD_LETTERS, encode_dead_letter(letter, settings.dead_letter_limit)


def rejection(
    error: ModelServingError,
    payload: bytes,
    settings: ServingSettings,
    subtask: int,
    *,
    data_type: str = "",
    name: str = "",
    version: str = "",
) -> tuple[bytes, bytes]:
    """The dead letter and the status of a model message that is not taken."""
    now = CLOCK.epoch_ms()
    letter = dead_letter(
        error, payload, settings.models_topic, now, data_type=data_type, model=name, version=version
    )
    status = ModelStatus(data_type, name, version, ModelState.REJECTED, now, str(error), subtask=subtask)
    return encode_dead_letter(letter, settings.dead_letter_limit), encode_status(status)


def swap_report(activation: Activation, subtask: int, reporter: str) -> tuple[str, int, str, bytes]:
    """(data type, sequence, reporter, status): that operator instance has carried out the activation."""
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
    return activation.data_type, activation.sequence, reporter, encode_status(status)
