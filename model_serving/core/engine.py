"""The interface between core and model libraries: an engine loads a model, a loaded model scores batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelToServe

__all__ = [
    "Columns",
    "Engine",
    "InputDescription",
    "LoadedModel",
    "ModelDescription",
    "RecordSchema",
    "Scores",
    "description_of",
    "first_row_of",
    "row_of",
]

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
        """The record field called ``name``, or else one whose name differs only in case or separators.

        Separators are spaces, dots, dashes and underscores.

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


# Not frozen, because a frozen one takes 0.7 µs longer to make, a tenth of what a small model takes.
@dataclass(slots=True)
class Scores:
    """The scores of n records.

    ``result`` has shape (n,), float64; NaN stands for "no result". ``labels`` are the n predicted classes of
    a classifier. ``outputs`` maps the name of an output, such as a probability, to n values. ``why`` says for
    the place of a record without a result why it has none; empty if that is not known. Engines may leave it
    out. It is called only for such records, so it may be slow.
    """

    result: npt.NDArray[np.float64]
    labels: Sequence[str] | None = None
    outputs: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    why: Callable[[int], str] | None = field(default=None, repr=False, compare=False)

    def rows(self, index: npt.NDArray[np.intp]) -> Scores:
        """The scores of the records at the places ``index``, shape (m,), without ``why``."""
        return Scores(
            self.result[index],
            None if self.labels is None else [self.labels[place] for place in index.tolist()],
            {name: values[index] for name, values in self.outputs.items()},
        )


class LoadedModel(Protocol):
    """A model that is ready to score. ``score`` may be called from several threads at a time.

    A model that something else scores, which can be out of reach for a while, may have a method ``reach``
    besides. It returns at once, or raises ``Unavailable`` while records would only wait. A model that cannot
    score zeros and empty texts may have an attribute ``first_row``: a row that it scores, of shape (1,
    fields).
    """

    @property
    def fields(self) -> tuple[str, ...]:
        """The record fields that the model takes, in the order of the columns."""
        ...

    @property
    def findings(self) -> str:
        """What the engine found out while it loaded the model, in a format of its own; empty if nothing.

        With these findings, the engine can load the same model again without finding them out again.
        """
        ...

    def score(self, columns: Columns) -> Scores:
        """Scores n ≥ 1 records, one row each, in ``fields`` order.

        Raises:
            ScoringFailed: the model library gave an error for this batch; single rows may still be scored.
            Unavailable: something that the model needs is out of reach.
        """
        ...

    def close(self) -> None:
        """Releases everything that the model holds. Called once; the model is not used afterwards."""
        ...


class Engine(Protocol):
    """Loads models of one model type. Heavy libraries are imported inside ``load`` only."""

    def load(self, model: ModelToServe, schema: RecordSchema) -> LoadedModel:
        """Loads a model and checks that its inputs are in the record type and that dtypes and shapes fit.

        ``model.findings`` come from this program's own state; findings of another version are ignored.

        Raises:
            ModelRejected: the content is not a model of this type, is not safe, or does not fit the record
                type.
            Unavailable: something that the model needs is out of reach.
        """
        ...


@dataclass(frozen=True, slots=True)
class InputDescription:
    """An input of a model: its name and type in the model's own words, and the record field that it takes."""

    name: str
    type: str
    field: str


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What a loaded model is, for people: ``model-serving try`` and the status show it.

    ``kind`` and ``evaluator`` name the model's format and what computes its scores. ``outputs`` are the
    names in ``Scores.outputs``, ``classes`` the labels of a classifier in the order that an index counts.
    ``result`` says in words what ``Scores.result`` is. ``notes`` are warnings, a sentence each.
    """

    kind: str = ""
    evaluator: str = ""
    inputs: tuple[InputDescription, ...] = ()
    outputs: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    result: str = ""
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """The evaluator and the notes on one line; empty if the engine says neither."""
        evaluator = f"evaluator: {self.evaluator}" if self.evaluator else ""
        said = (evaluator, *(" ".join(note.split()).rstrip(".") for note in self.notes))
        return "; ".join(filter(None, said))


def first_row_of(model: LoadedModel, schema: RecordSchema) -> Columns:
    """Returns a row to score first: the model's attribute ``first_row``, else zeros and empty texts."""
    found = getattr(model, "first_row", None)
    return found if isinstance(found, np.ndarray) else row_of(0.0, model, schema)


def row_of(number: float, model: LoadedModel, schema: RecordSchema) -> Columns:
    """Returns a row for a model, of shape (1, fields): the number in all numeric fields, and empty texts."""
    texts = [field in schema.text for field in model.fields]
    row = ["" if text else number for text in texts]
    return np.array([row], dtype=object if any(texts) else np.float64).reshape(1, len(row))


def description_of(model: LoadedModel) -> ModelDescription:
    """Returns the model's attribute ``description``, which an engine may leave out."""
    found = getattr(model, "description", None)
    return found if isinstance(found, ModelDescription) else ModelDescription()
