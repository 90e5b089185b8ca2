"""Prepares one model by itself, without the versions of a job: to try it, or to score beside a job."""

from __future__ import annotations

from math import inf

from model_serving.core.admission.admission import Admission
from model_serving.core.admission.kept import KeptVersions
from model_serving.core.admission.loads import BackgroundLoads
from model_serving.core.admission.preparation import Prepared
from model_serving.core.messages import ModelMessage

__all__ = ["prepared_alone"]


def prepared_alone(admission: Admission, loads: BackgroundLoads[Prepared], message: ModelMessage) -> Prepared:
    """Loads and checks the model of a message as a job does. The caller releases what is returned.

    Raises:
        ModelRejected: a job would reject the message.
        Unavailable: something that the model needs is out of reach.
    """
    decision = admission.decide(message, KeptVersions(_NothingKept(), message.data_type))
    prepared = loads.result(loads.start(decision.preparation.run), inf)
    if prepared is None:
        raise TypeError("a load that was waited for has no result")
    return prepared


class _NothingKept:
    """See ``core.ports.KeptModels``: a data type without a history.

    The model is only prepared. Keeping it would be a fault of this program, so the other methods raise.
    """

    def history(self, data_type: str) -> bytes | None:
        return None

    def save_history(self, data_type: str, history: bytes) -> None:
        raise NotImplementedError

    def model(self, data_type: str, version: str) -> bytes:
        raise NotImplementedError

    def save_model(self, data_type: str, version: str, model: bytes) -> None:
        raise NotImplementedError

    def drop_model(self, data_type: str, version: str) -> None:
        raise NotImplementedError
