"""Turns every exception that an engine raises into an error of the core.

An engine, its model library or a third party's engine may raise anything: IndexError, RecursionError,
MemoryError. Such an exception costs only the model message or the record that it is about, never the job.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from model_serving.core.engine import (
    Columns,
    Engine,
    LoadedModel,
    ModelDescription,
    RecordSchema,
    Scores,
    description_of,
)
from model_serving.core.errors import ModelRejected, ModelServingError, ScoringFailed
from model_serving.core.messages import ModelToServe

__all__ = ["GuardedModel", "load_guarded", "told"]

_LONGEST = 300
_log = logging.getLogger(__name__)


def told(error: BaseException) -> str:
    """An exception's type and the first line of its text, cut to 300 characters."""
    text = ""
    # ``str`` may fail for a library's own exception.
    with suppress(Exception):
        text = next((" ".join(line.split()) for line in str(error).splitlines() if line.strip()), "")
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 3]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def load_guarded(engine: Engine, model: ModelToServe, schema: RecordSchema) -> GuardedModel:
    """Loads a model.

    Raises:
        ModelRejected: the engine rejects the model, or raises an exception that it does not document.
        Unavailable: something that the model needs is out of reach.
    """
    try:
        return GuardedModel(engine.load(model, schema))
    except ModelServingError:
        raise
    except Exception as error:
        raise ModelRejected(
            f"the {model.model_type.name} engine failed while it loaded the model ({told(error)}): "
            "export the model again, or report this with the model"
        ) from error


class GuardedModel:
    """A loaded model that raises only the errors that :class:`LoadedModel` documents."""

    __slots__ = ("_model", "fields")

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self.fields = tuple(model.fields)

    @property
    def findings(self) -> str:
        """See :class:`LoadedModel`."""
        return self._model.findings

    @property
    def description(self) -> ModelDescription:
        """See ``description_of``."""
        return description_of(self._model)

    @property
    def first_row(self) -> Columns | None:
        """See :class:`LoadedModel`. Engines may leave it out."""
        return getattr(self._model, "first_row", None)

    def score(self, columns: Columns) -> Scores:
        """See :class:`LoadedModel`.

        Raises:
            ScoringFailed: the model fails, or raises an exception that it does not document.
            Unavailable: something that the model needs is out of reach.
        """
        try:
            return self._model.score(columns)
        except ModelServingError:
            raise
        except Exception as error:
            raise ScoringFailed(f"the model's library failed ({told(error)})") from error

    def reach(self) -> None:
        """Whether the model can be asked to score now. Engines may leave this method out; then it can.

        Raises:
            Unavailable: what the model needs is out of reach.
        """
        reach = getattr(self._model, "reach", None)
        if reach is not None:
            reach()

    def close(self) -> None:
        """See :class:`LoadedModel`. An error is only logged, because nobody needs the model any more."""
        try:
            self._model.close()
        except Exception as error:  # noqa: BLE001
            _log.warning("A model could not be closed: %s", told(error))
