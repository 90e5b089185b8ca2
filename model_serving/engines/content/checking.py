"""Refuses a model whose content is clearly of another kind than its message says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelType
from model_serving.engines.content.telling import tell

if TYPE_CHECKING:
    from model_serving.core.engine import Engine, LoadedModel, RecordSchema
    from model_serving.core.messages import ModelToServe

__all__ = ["KindCheckedEngine", "check_kind"]

_WITH_CONTENT = (ModelType.TENSORFLOW, ModelType.TENSORFLOWSAVED, ModelType.PMML, ModelType.ONNX)


def check_kind(model_type: ModelType, content: bytes) -> None:
    """Refuses content that is clearly of another kind than ``model_type``.

    Content of an unknown kind passes, because only the engine knows what it can load.

    Raises:
        ModelRejected: the content is of another kind. The text says which one, and what to do.
    """
    if model_type not in _WITH_CONTENT:
        return
    kind = tell(content)
    if kind is None or kind.model_type is model_type:
        return
    said = model_type.name
    if model_type is ModelType.TENSORFLOW:
        said += " (or has no modeltype)"
    raise ModelRejected(f"the message says {said}, but the content looks like {kind.name}: {kind.advice}")


class KindCheckedEngine:
    """An engine that checks the content before it imports a model library or starts a trial."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def load(self, model: ModelToServe, schema: RecordSchema) -> LoadedModel:
        """See ``Engine.load``.

        Raises:
            ModelRejected: also when the content is clearly of another kind than the message says.
        """
        check_kind(model.model_type, model.content)
        return self._engine.load(model, schema)
