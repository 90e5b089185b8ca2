"""The values that the core works on. ``model_serving.wire`` translates them from and to bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

__all__ = [
    "Command",
    "DeadLetter",
    "Envelope",
    "Example",
    "FailingModel",
    "ModelMessage",
    "ModelState",
    "ModelStatus",
    "ModelToServe",
    "ModelType",
    "OutputRule",
    "Reason",
    "StoredContent",
]


class ModelType(IntEnum):
    """The kinds of model, numbered as on the wire."""

    TENSORFLOW = 0
    TENSORFLOWSAVED = 1
    PMML = 2
    ONNX = 3
    TFSERVING = 4
    OPENINFERENCE = 5


class Command(IntEnum):
    """What a model message asks for, numbered as on the wire."""

    DEPLOY = 0
    REMOVE = 1
    ROLLBACK = 2


class OutputRule(IntEnum):
    """How a model's outputs become the one result, numbered as on the wire."""

    AUTO = 0
    ARGMAX = 1
    VALUE = 2


class Reason(IntEnum):
    """Why a message became a dead letter, numbered as on the wire."""

    UNSPECIFIED = 0
    UNPARSABLE = 1
    INVALID_RECORD = 2
    NO_MODEL = 3
    SCORING_FAILED = 4
    MODEL_REJECTED = 5


class ModelState(IntEnum):
    """What became of a model message, numbered as on the wire."""

    UNSPECIFIED = 0
    ACTIVE = 1
    REJECTED = 2
    REMOVED = 3


@dataclass(frozen=True, slots=True)
class Example:
    """A record with a known answer, that a model must give within ``tolerance`` before it goes live."""

    record: bytes
    expected: float
    tolerance: float


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is said of a model message whatever becomes of it.

    ``model_type`` is the number on the wire, known or not. ``size`` is that of the content in bytes, 0 where
    it is not in the message. ``by_location``: the content is at a location.
    """

    data_type: str = ""
    name: str = ""
    version: str = ""
    description: str = ""
    model_type: int = 0
    sha256: str = ""
    size: int = 0
    by_location: bool = False


@dataclass(frozen=True, slots=True)
class ModelMessage:
    """A model message as it arrived. To deploy, one of ``data`` and ``location`` is set."""

    data_type: str
    name: str = ""
    model_type: ModelType = ModelType.TENSORFLOW
    data: bytes | None = None
    location: str | None = None
    version: str = ""
    sha256: str = ""
    command: Command = Command.DEPLOY
    inputs: tuple[str, ...] = ()
    output: OutputRule = OutputRule.AUTO
    examples: tuple[Example, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class FailingModel:
    """A model that is to be taken back.

    It failed on ``failures`` records in a row, and ``why`` is what it said of the last one; or, with 0
    failures, it does not serve for the reason ``why``.
    """

    data_type: str
    name: str
    version: str
    failures: int
    why: str

    def __str__(self) -> str:
        """The reason in words."""
        return f"{self.failures} failures in a row ({self.why})" if self.failures else self.why


@dataclass(frozen=True, slots=True)
class StoredContent:
    """Where a model's content lies: ``path`` is relative to the model store, ``size`` is in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class ModelToServe:
    """A model: what an engine loads and what state holds.

    ``content`` is the file itself; for a SavedModel a zip or tar of its folder. ``sha256`` is its hex digest.
    Where ``stored`` is set the content is in the model store, and ``content`` is empty until it is fetched.
    ``findings`` is what its engine found out when it was loaded before: see ``LoadedModel``.
    """

    data_type: str
    name: str
    model_type: ModelType
    version: str
    sha256: str
    content: bytes = field(repr=False)
    inputs: tuple[str, ...] = ()
    output: OutputRule = OutputRule.AUTO
    stored: StoredContent | None = None
    findings: str = field(default="", repr=False)
    description: str = ""

    @property
    def size(self) -> int:
        """Of the content, in bytes, wherever it is."""
        return len(self.content) if self.stored is None else self.stored.size


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be served. ``ts`` is epoch milliseconds."""

    reason: Reason
    detail: str
    payload: bytes = field(repr=False)
    topic: str
    ts: int
    data_type: str = ""
    model: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """What became of a model message. ``ts`` is epoch milliseconds, ``load_ms`` a duration in them.

    ``model_type`` is its number on the wire, ``size`` that of the model's content in bytes. ``waiting`` is
    how many records of the data type wait for a model, where the status is about that.
    """

    data_type: str
    name: str
    version: str
    state: ModelState
    ts: int
    detail: str = ""
    previous: str = ""
    load_ms: float = 0.0
    subtask: int = 0
    description: str = ""
    model_type: int = 0
    sha256: str = ""
    size: int = 0
    waiting: int = 0
