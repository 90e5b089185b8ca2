"""Serves models in a stream and swaps them while it runs. These are the names that an engine is written with.

An engine is a class with a method ``load`` that returns a loaded model: see :class:`Engine` and
:class:`LoadedModel`. ``docs/engines.md`` shows one from start to end.
"""

from model_serving.core.engine import Columns, Engine, LoadedModel, RecordSchema, Scores
from model_serving.core.errors import ModelRejected, ScoringFailed, Unavailable
from model_serving.core.messages import ModelToServe, OutputRule

__all__ = [
    "Columns",
    "Engine",
    "LoadedModel",
    "ModelRejected",
    "ModelToServe",
    "OutputRule",
    "RecordSchema",
    "Scores",
    "ScoringFailed",
    "Unavailable",
]
