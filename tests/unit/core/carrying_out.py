"""Carries out model messages in a single call, for one data type."""

from __future__ import annotations

from model_serving.core.admission.admission import Admission
from model_serving.core.admission.kept import KeptVersions
from model_serving.core.messages import ModelMessage
from model_serving.core.state import Activation
from model_serving.testing import InMemoryKeptModels

__all__ = ["OneDataType", "offer"]


class OneDataType(KeptVersions):
    """Kept versions in memory, with access to the saved bytes."""

    def __init__(self) -> None:
        self._memory = InMemoryKeptModels()
        super().__init__(self._memory, "")

    @property
    def versions(self) -> list[str]:
        """The kept versions, oldest first. Fails unless exactly their models are kept."""
        return self._memory.versions("")

    @property
    def saved(self) -> tuple[bytes | None, dict[tuple[str, str], bytes]]:
        """The history and the models as they are now."""
        return self._memory.history(""), dict(self._memory.models)

    def restore(self, saved: tuple[bytes | None, dict[tuple[str, str], bytes]]) -> None:
        """Sets the history and the models."""
        history, models = saved
        if history is not None:
            self._memory.save_history("", history)
        self._memory.models = dict(models)


def offer(admission: Admission, message: ModelMessage, kept: KeptVersions) -> Activation:
    """Decides on a message, prepares it and completes it."""
    decision = admission.decide(message, kept)
    return admission.complete(decision, decision.preparation.run(), kept)
