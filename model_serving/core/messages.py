"""The values that the core works on. ``model_serving.wire`` translates them from and to bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

__all__ = [
    "WITH_SIGNATURES",
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
    """The model types, numbered as on the wire."""

    TENSORFLOW = 0
    TENSORFLOWSAVED = 1
    PMML = 2
    ONNX = 3
    TFSERVING = 4
    OPENINFERENCE = 5


WITH_SIGNATURES = frozenset({ModelType.TENSORFLOWSAVED, ModelType.TFSERVING, ModelType.OPENINFERENCE})
"""The types whose models may have several signatures, of which a message can choose one."""


class Command(IntEnum):
    """The commands that a model message can give, numbered as on the wire."""

    DEPLOY = 0
    REMOVE = 1
    ROLLBACK = 2


class OutputRule(IntEnum):
    """How a model's outputs become one result, numbered as on the wire."""

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
    """The outcome of a model message, numbered as on the wire."""

    UNSPECIFIED = 0
    ACTIVE = 1
    REJECTED = 2
    REMOVED = 3


@dataclass(frozen=True, slots=True)
class Example:
    """A record with a known result, which a model must give within ``tolerance`` before it is admitted."""

    record: bytes
    expected: float
    tolerance: float


@dataclass(frozen=True, slots=True)
class Envelope:
    """The fields of a model message that its status shows, even if the message is rejected.

    ``model_type`` is the number on the wire, even if it is not known. ``size`` is the size of the content in
    bytes, 0 if the content is not in the message. ``by_location``: the content is at a location.
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
    """A model message as it arrived. A message that deploys has either ``data`` or ``location``.

    For ``signature_name`` and ``result_output`` see :class:`ModelToServe`.
    """

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
    signature_name: str = ""
    result_output: str = ""


@dataclass(frozen=True, slots=True)
class FailingModel:
    """A model that is to be taken back.

    It failed on ``failures`` records in a row, and ``why`` is the error of the last one. With 0 failures, the
    model could not be loaded where it serves, and ``why`` is the reason.
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
    """Where a model's content is stored: ``path`` is relative to the model store, ``size`` is in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class ModelToServe:
    """A model, as engines load it and state holds it.

    ``content`` is the file itself; for a SavedModel, a zip or tar of its folder. ``sha256`` is the hex digest
    of the content. If ``stored`` is set, the content is in the model store, and ``content`` is empty until
    it is fetched. ``findings`` are those of an earlier load: see ``LoadedModel``. ``signature_name`` chooses
    a signature of a SavedModel, ``result_output`` the output that the result is taken from; empty: the usual.
    ``reference`` is what fields of records are compared with: see ``statistics.watch.encode_reference``.
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
    signature_name: str = ""
    result_output: str = ""
    reference: str = field(default="", repr=False)

    @property
    def size(self) -> int:
        """The size of the content in bytes, in memory or in the model store."""
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
    """The outcome of a model message. ``ts`` is epoch milliseconds, ``load_ms`` a duration in milliseconds.

    ``model_type`` is its number on the wire, ``size`` the size of the model's content in bytes. In a status
    about waiting records, ``waiting`` is how many records of the data type wait for a model.
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
