"""Refuses a model whose content plainly is of another kind than its message says."""

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
    """Raises ModelRejected when the content plainly is of another kind than ``model_type``.

    The text says what it looks like and what to do. Content that cannot be told passes: what an engine can
    load is for the engine to say.
    """
    if model_type not in _WITH_CONTENT:
        return
    kind = tell(content)
    if kind is None or kind.model_type is model_type:
        return
    said = model_type.name
    if model_type is ModelType.TENSORFLOW:
        said += " (which a modeltype that is not set means, too)"
    raise ModelRejected(f"the message says {said}, but the content looks like {kind.name}: {kind.advice}")


class KindCheckedEngine:
    """An engine that first looks at the content: before a model library is imported or a trial is made."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def load(self, model: ModelToServe, schema: RecordSchema) -> LoadedModel:
        """See ``Engine.load``.

        Raises:
            ModelRejected: also when the content plainly is of another kind than the message says.
        """
        check_kind(model.model_type, model.content)
        return self._engine.load(model, schema)
