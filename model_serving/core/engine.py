"""The seam between core and model libraries: an engine loads a model, a loaded model scores batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelToServe

__all__ = ["Columns", "Engine", "LoadedModel", "RecordSchema", "Scores"]

Columns = npt.NDArray[Any]
"""n records × k fields: float64 when every field is a number, else objects (``float`` and ``str``)."""


def _spelling(name: str) -> str:
    return name.translate(_SEPARATORS).casefold()


_SEPARATORS = str.maketrans(" .-", "___")


@dataclass(frozen=True, slots=True)
class RecordSchema:
    """The fields of a record type that a model can take, in field-number order."""

    name: str
    numeric: tuple[str, ...]
    text: tuple[str, ...] = ()

    def field_named(self, name: str) -> str:
        """The record field called ``name``; spaces, dots, dashes and underscores are equal, case is ignored.

        Raises:
            ModelRejected: the record type has no such field.
        """
        for candidate in (*self.numeric, *self.text):
            if candidate == name:
                return candidate
        for candidate in (*self.numeric, *self.text):
            if _spelling(candidate) == _spelling(name):
                return candidate
        raise ModelRejected(
            f"the model needs the field '{name}', which {self.name} does not have "
            f"(it has {', '.join((*self.numeric, *self.text))}): "
            "rename the model's input, or start the job with another --record-type"
        )


@dataclass(frozen=True, slots=True)
class Scores:
    """What a model says about n records.

    ``result`` has shape (n,), float64; NaN stands for "no result". ``labels`` are the predicted classes of a
    classifier, n of them. ``outputs`` maps a name to n values: probabilities and other outputs.
    """

    result: npt.NDArray[np.float64]
    labels: Sequence[str] | None = None
    outputs: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)

    def rows(self, index: npt.NDArray[np.intp]) -> Scores:
        """What it says about the records at these places."""
        return Scores(
            self.result[index],
            None if self.labels is None else [self.labels[place] for place in index.tolist()],
            {name: values[index] for name, values in self.outputs.items()},
        )


class LoadedModel(Protocol):
    """A model that is ready to score. ``score`` may be called from several threads at a time."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The record fields that it takes, in the order of the columns."""
        ...

    @property
    def findings(self) -> str:
        """What loading it has found out, in the engine's own words; empty: nothing that is worth keeping.

        Given to ``load`` again with the same model, it spares the engine finding it out again.
        """
        ...

    def score(self, columns: Columns) -> Scores:
        """Scores n ≥ 1 records, one row each, in ``fields`` order.

        Raises:
            ScoringFailed: the model library gave an error for this batch (its other rows may be fine alone).
        """
        ...

    def close(self) -> None:
        """Releases everything that the model holds. The model is not used after it; called once."""
        ...


class Engine(Protocol):
    """Loads models of one kind. Heavy libraries are imported inside ``load`` only."""

    def load(self, model: ModelToServe, schema: RecordSchema) -> LoadedModel:
        """Loads and checks a model: inputs are found in the record type, dtypes and shapes fit.

        ``model.findings`` come from this program's own state; those of another version of it are ignored.

        Raises:
            ModelRejected: the content is no such model, is not safe, or does not fit the record type.
        """
        ...
