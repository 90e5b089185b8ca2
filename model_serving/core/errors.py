"""The errors for everything that can be wrong with messages, models, stores and state from outside.

::

    ModelServingError
    ├── UnparsableMessage   the bytes are not a message of the topic's type
    ├── InvalidRecord       a message of the right type that is not a record to score
    ├── NoModel             no model serves the record's data type
    ├── ScoringFailed       the model gave an error or no result for a record
    ├── ModelRejected       a model or a command that cannot be carried out
    │   └── FailsAtFirst    a model that failed on the first record that it was given
    ├── Unavailable         something is out of reach now: a store, a remote server, a Java process
    │   └── ContentUnavailable  the content of a model in state is not available from the model store
    └── IncompatibleState   state that was written by a newer version of this software

The first five are about data: each ends as a dead letter with the text of the error and the original bytes.
``Unavailable`` rejects a model message and costs records their scores, but is never counted against a model.
``ContentUnavailable`` at a desk, ``IncompatibleState``, and every exception that is not in this tree are
faults of the program or of its surroundings: they fail the job, which then restarts from its last checkpoint.
"""

from __future__ import annotations

__all__ = [
    "ContentUnavailable",
    "FailsAtFirst",
    "IncompatibleState",
    "InvalidRecord",
    "ModelRejected",
    "ModelServingError",
    "NoModel",
    "ScoringFailed",
    "Unavailable",
    "UnparsableMessage",
]


class ModelServingError(Exception):
    """The root. Its text is one line that says what is wrong and, if possible, what to do next."""


class UnparsableMessage(ModelServingError):
    """The bytes are not a message of the topic's type."""

    def __init__(self, message_type: str, why: str) -> None:
        super().__init__(f"not a {message_type} message: {why}")


class InvalidRecord(ModelServingError):
    """A message of the right type that is not a record to score."""


class NoModel(ModelServingError):
    """No model serves the record's data type."""

    def __init__(self, data_type: str, why: str) -> None:
        super().__init__(f"no model for data type '{data_type}': {why}")


class ScoringFailed(ModelServingError):
    """A model gave an error or no result for a record."""


class ModelRejected(ModelServingError):
    """A model or a command that cannot be carried out."""


class FailsAtFirst(ModelRejected):
    """A model that failed on the first record that it was given, without examples of others."""


class Unavailable(ModelServingError):
    """Something that a model needs is out of reach: a store, a remote server, a Java process.

    This error says nothing about the model, so it is never counted as a failure of the model. ``retry_ms`` is
    in how many milliseconds it is worth another try; None: records that wait for it would wait in vain.
    """

    def __init__(self, text: str, retry_ms: int | None = None) -> None:
        super().__init__(text)
        self.retry_ms = retry_ms


class ContentUnavailable(Unavailable):
    """The content of a model in state is missing in the model store, differs there, or is out of reach."""


class IncompatibleState(ModelServingError):
    """State that this version of the software cannot read."""

    def __init__(self, what: str, found: int, newest: int) -> None:
        super().__init__(
            f"{what} has schema version {found}, this software reads up to {newest}: "
            "restore it with the version that wrote it, or a later one"
        )
