"""What the query server needs of others: what is known, publishing, scoring, and health.

A document is a value for JSON: what a route answers, with the names of its fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from model_serving.core.messages import Command
from model_serving.observe.figures import Figures
from model_serving.observe.ranking import Order
from model_serving.query.encoding import Json

__all__ = [
    "Change",
    "Deployment",
    "Document",
    "Happening",
    "Health",
    "Known",
    "Lag",
    "Listener",
    "Publisher",
    "Scorer",
]

Document = dict[str, Any]


class Happening(Enum):
    """The kinds of events, by their names in the event stream."""

    STATUS = "status"
    STATISTICS = "statistics"
    DEAD_LETTER = "dead-letter"


@dataclass(frozen=True, slots=True)
class Change:
    """Something that has just become known of a data type, which is empty for a dead letter without one.

    ``letter`` gives the dead letter. Without it, the present state of the data type is what is new.
    """

    kind: Happening
    data_type: str
    letter: Callable[[], Json] | None = None


Listener = Callable[[Sequence[Change]], None]


class Known(Protocol):
    """What is known of all data types. Its methods may be called from any thread.

    Those for a monitoring system look at every data type, and a list that is not sorted by name does too; all
    others return at once. What is asked for often comes as JSON, because it is the same for everybody as long
    as nothing new is known.
    """

    def age_s(self) -> float | None:
        """The seconds since Kafka last answered: what is known may be so old. None if it never has."""
        ...

    def names(self, search: str = "") -> Sequence[str]:
        """The data types with this in their name, in upper or lower case, sorted."""
        ...

    def serving_names(self) -> Sequence[str]:
        """The data types that a model serves, sorted."""
        ...

    def data_types(self, search: str, order: Order, *, descending: bool, offset: int, limit: int) -> Json:
        """A part of the sorted list of data types: ``total``, ``offset`` and ``items``."""
        ...

    def serving(self, data_type: str) -> Document | None:
        """The model that serves now, in the fields of ``GET /state``; None if none does."""
        ...

    def data_type(self, name: str) -> Json | None:
        """What is known of a data type; None for an unknown one."""
        ...

    def versions(self, name: str) -> list[Json] | None:
        """Every version that served, with its statistics, newest first; None for an unknown data type."""
        ...

    def series(self, name: str) -> Json | None:
        """The course of a data type over time; None for an unknown one."""
        ...

    def dead_letters(self, limit: int, data_type: str | None = None) -> list[Json]:
        """The newest dead letters, at most ``limit``, newest first.

        Of one data type if it is given; those without a data type if it is empty.
        """
        ...

    def letters_by_reason(self, data_type: str | None = None) -> Mapping[str, int]:
        """How many dead letters there are of each reason: see ``dead_letters`` for the data type."""
        ...

    def dead_letter_counts(self) -> Mapping[tuple[str, str], int]:
        """How many dead letters there are for a data type and reason."""
        ...

    def waiting(self) -> Mapping[str, int]:
        """How many records wait for a model, by data type."""
        ...

    def figures(self) -> Iterable[Figures]:
        """The figures of each version. This may take seconds."""
        ...

    def rollbacks(self) -> Mapping[str, int]:
        """How often a version was taken back, by data type."""
        ...

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Calls the listener with what changes, from any thread, until the returned function is called."""
        ...


class Health(Protocol):
    """Whether the process lives, and whether it can be asked."""

    def problem(self, path: str) -> str | None:
        """What is wrong, for ``/healthz`` or ``/readyz``; empty if nothing is; None for another path."""
        ...


class Lag(Protocol):
    """How far the process is behind that answers, if it scores records too."""

    def behind(self) -> Mapping[tuple[str, int], int]:
        """How many records of a topic and partition it has not read, of those that it reads."""
        ...


@dataclass(frozen=True, slots=True)
class Deployment:
    """A model that was uploaded. Texts are empty where the sender said nothing.

    ``file`` is a temporary file with the content, ``name`` the model's name; ``inputs`` has commas between
    the fields.
    """

    data_type: str
    file: Path
    name: str
    description: str = ""
    version: str = ""
    model_type: str = ""
    inputs: str = ""
    output: str = ""
    result_output: str = ""
    signature_name: str = ""


class Publisher(Protocol):
    """Publishes model messages. Its methods wait for Kafka, so they are called in threads."""

    def deploy(self, model: Deployment) -> Document:
        """Publishes a model and returns what was published.

        Raises:
            HttpError: it is not a model that can be published, or Kafka did not take it.
        """
        ...

    def command(self, command: Command, data_type: str) -> Document:
        """Publishes a command and returns what was published.

        Raises:
            HttpError: Kafka did not take it.
        """
        ...


class Scorer(Protocol):
    """Scores single records."""

    def score(self, serving: Document, data_type: str, record: Document) -> Document:
        """Scores a record with the model that serves, as ``Known.serving`` describes it. Takes its time.

        Raises:
            HttpError: the record cannot be scored.
        """
        ...

    def close(self) -> None:
        """Releases the models."""
        ...
