"""The statuses that a desk writes, each in a report of its own."""

from __future__ import annotations

from dataclasses import dataclass

from model_serving.core.channels import AT_ONCE, SwapReport
from model_serving.core.clock import Clock
from model_serving.core.messages import ModelState, ModelStatus, ModelToServe
from model_serving.core.ports import MessageEncoder
from model_serving.core.state import Activation

__all__ = ["DeskStatuses", "Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """The identity of a desk: ``reporter`` is its name in swap reports, ``subtask`` its number in statuses.

    ``key`` signs the model messages that the desk writes; None: they are not signed.
    """

    reporter: str
    subtask: int
    key: bytes | None = None


class DeskStatuses:
    """Makes the reports of one desk."""

    def __init__(self, encoder: MessageEncoder, place: Place, clock: Clock) -> None:
        self._encoder = encoder
        self._place = place
        self._clock = clock

    def swapped(self, activation: Activation, summary: str) -> SwapReport:
        """The report that an activation is carried out; ``summary`` is what the engine says of the model."""
        model = activation.model
        if model is None:
            status = ModelStatus(
                data_type=activation.data_type,
                name="",
                version=activation.previous,
                state=ModelState.REMOVED,
                ts=self._clock.epoch_ms(),
                detail=activation.detail,
                load_ms=activation.load_ms,
                subtask=self._place.subtask,
            )
        else:
            detail = "; ".join(filter(None, (activation.detail, summary)))
            status = self._status(model, ModelState.ACTIVE, detail, activation)
        return self._report(status, activation.sequence)

    def rejected(self, model: ModelToServe, why: str) -> SwapReport:
        """The report, to be written at once, that a model cannot serve here."""
        return self._report(self._status(model, ModelState.REJECTED, why), AT_ONCE)

    def waiting(self, data_type: str, count: int, detail: str) -> SwapReport:
        """The report, to be written at once, that ``count`` records of a data type wait."""
        status = ModelStatus(
            data_type=data_type,
            name="",
            version="",
            state=ModelState.UNSPECIFIED,
            ts=self._clock.epoch_ms(),
            detail=detail,
            subtask=self._place.subtask,
            waiting=count,
        )
        return self._report(status, AT_ONCE)

    def _report(self, status: ModelStatus, sequence: int) -> SwapReport:
        encoded = self._encoder.status(status)
        return SwapReport(status.data_type, sequence, self._place.reporter, encoded)

    def _status(
        self, model: ModelToServe, state: ModelState, detail: str, activation: Activation | None = None
    ) -> ModelStatus:
        return ModelStatus(
            data_type=model.data_type,
            name=model.name,
            version=model.version,
            state=state,
            ts=self._clock.epoch_ms(),
            detail=detail,
            previous="" if activation is None else activation.previous,
            load_ms=0.0 if activation is None else activation.load_ms,
            subtask=self._place.subtask,
            description=model.description,
            model_type=int(model.model_type),
            sha256=model.sha256,
            size=model.size,
        )
