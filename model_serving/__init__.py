"""Serves models in a stream and swaps them while it runs. These are the names that an engine is written with.

An engine is a class with a method ``load`` that returns a loaded model: see :class:`Engine` and
:class:`LoadedModel`. ``docs/engines.md`` shows one from start to end.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_MODULES = ("model_serving.core.engine", "model_serving.core.errors", "model_serving.core.messages")


def __getattr__(name: str) -> Any:
    """Imports the name when it is used first: a program that starts no engine does without numpy."""
    if name in __all__:
        for module in map(import_module, _MODULES):
            if name in module.__all__:
                globals()[name] = getattr(module, name)
                return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
