"""Makes model messages, and carries them out in a single call, for one data type."""

from __future__ import annotations

import hashlib
from typing import Any

from model_serving.core.admission.admission import Admission
from model_serving.core.admission.kept import KeptVersions
from model_serving.core.messages import ModelMessage, ModelToServe, ModelType
from model_serving.core.state import Activation
from model_serving.testing import InMemoryKeptModels

__all__ = ["OneDataType", "deploy", "offer", "served", "sha256"]


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


def deploy(version: str, content: bytes | None = None, **fields: Any) -> ModelMessage:
    """A message with a model; its content is the version's name, if no other content is given."""
    data = version.encode() if content is None else content
    return ModelMessage("wine", "model", ModelType.PMML, data, version=version, **fields)


def sha256(content: bytes) -> str:
    """The hex digest of a content."""
    return hashlib.sha256(content).hexdigest()


def served(version: str, content: bytes | None = None) -> ModelToServe:
    """The model that the message of ``deploy`` deploys."""
    content = version.encode() if content is None else content
    return ModelToServe("wine", "model", ModelType.PMML, version, sha256(content), content)
