"""The slow part of carrying out a model message.

It fetches the content, checks its digest, loads the model, warms it up, tries the examples, and puts a large
model into the model store. Of a model that its server scores, the location is the content. It touches no
state and may run in any thread; :mod:`model_serving.core.admission.commands` decides on it and completes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from model_serving.core.clock import Clock
from model_serving.core.engine import Columns, LoadedModel, RecordSchema, first_row_of
from model_serving.core.errors import (
    ContentUnavailable,
    FailsAtFirst,
    InvalidRecord,
    ModelRejected,
    ScoringFailed,
    UnparsableMessage,
)
from model_serving.core.messages import WITH_SIGNATURES, Example, ModelMessage, ModelToServe
from model_serving.core.model_servers.location import SCORED_BY_A_SERVER, read_location
from model_serving.core.model_store import ModelContents
from model_serving.core.pool import Lease, ModelPool
from model_serving.core.state import History
from model_serving.core.statistics.watch import encode_reference

__all__ = [
    "VERSION_DIGITS",
    "ExampleReader",
    "LocationCheck",
    "LocationReader",
    "Preparation",
    "Prepared",
    "Preparer",
    "anywhere",
]

VERSION_DIGITS = 12
"""How many hex digits of a content's SHA-256 are its version if none is given, and name it in texts."""

LocationReader = Callable[[str], bytes]
"""Fetches a model's content from a location; raises ModelRejected if it is not available."""

LocationCheck = Callable[[str], None]
"""Raises ModelRejected if a model that its server scores may not be at this URL."""

ExampleReader = Callable[[bytes, tuple[str, ...]], Columns]
"""Turns a record's bytes into one row of the given fields; raises UnparsableMessage or InvalidRecord."""


def anywhere(url: str) -> None:
    """A ``LocationCheck`` that lets every URL pass."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A command that can be carried out at once. It owns its lease: complete the command, or release it.

    ``history`` is the history that it was prepared for. ``model`` is the model that will serve, None after a
    REMOVE. Without a ``lease``, nothing had to be loaded.
    """

    history: History
    model: ModelToServe | None = None
    lease: Lease | None = None
    load_ms: float = 0.0

    def release(self) -> None:
        """Releases the loaded model. Do not call this once the command is completed."""
        if self.lease is not None:
            self.lease.release()


@dataclass(frozen=True, slots=True)
class Preparation:
    """The work that has to be done before a command can be carried out; ``loads``: it may be slow.

    ``run`` does the work, in any thread. It raises ModelRejected if the command cannot be carried out, and
    then nothing stays loaded for it.
    """

    history: History
    run: Callable[[], Prepared]
    loads: bool


class Preparer:
    """Fetches, loads and checks models. Safe to use from several threads."""

    def __init__(
        self,
        pool: ModelPool,
        schema: RecordSchema,
        read_location: LocationReader,
        read_example: ExampleReader,
        clock: Clock,
        contents: ModelContents,
        check_location: LocationCheck = anywhere,
    ) -> None:
        self._pool = pool
        self._schema = schema
        self._read_location = read_location
        self._read_example = read_example
        self._clock = clock
        self._contents = contents
        self._check_location = check_location

    def deploy(self, message: ModelMessage, history: History) -> Prepared:
        """Prepares a new model: fetches, loads, warms up, tries the examples, and stores a large model.

        Raises:
            ModelRejected: the content is not available, does not load, does not pass its examples, or the
                model store does not take it.
            Unavailable: something that the model needs is out of reach.
        """
        model = self._resolve(message)
        known = history.find(model.version)
        if known is not None and known.sha256 != model.sha256:
            raise ModelRejected(
                f"version '{model.version}' is known with other content "
                f"(SHA-256 {known.sha256[:VERSION_DIGITS]}…): give the new content a version of its own"
            )
        start = self._clock.monotonic_ns()
        with self._contents.putting_away(model, history) as put_away:
            lease = self._pool.acquire(model, self._schema)
            try:
                _warm_up(lease.model, self._schema, has_examples=bool(message.examples))
                rows = self._check_examples(lease.model, message.examples)
                model = replace(model, reference=encode_reference(lease.model.fields, rows))
                load_ms = self._ms_since(start)
                model = put_away(model)
            except BaseException:
                lease.release()
                raise
        return Prepared(history, _with_findings(model, lease), lease, load_ms)

    def load(self, history: History, model: ModelToServe) -> Prepared:
        """Prepares a model that was admitted before: it is loaded, but not checked again.

        Raises:
            ModelRejected: the model does not load any more, or is not in the model store.
            Unavailable: something that the model needs is out of reach.
        """
        start = self._clock.monotonic_ns()
        try:
            lease = self._pool.acquire(model, self._schema, self._contents.at_hand)
        except ContentUnavailable as error:
            raise ModelRejected(str(error)) from error
        return Prepared(history, _with_findings(model, lease), lease, self._ms_since(start))

    def _ms_since(self, start_ns: int) -> float:
        return (self._clock.monotonic_ns() - start_ns) / 1e6

    def _resolve(self, message: ModelMessage) -> ModelToServe:
        if message.signature_name and message.model_type not in WITH_SIGNATURES:
            raise ModelRejected(
                f"signature_name is '{message.signature_name}', but a model of the type "
                f"{message.model_type.name} has no signatures: leave signature_name empty"
            )
        if message.model_type in SCORED_BY_A_SERVER:
            content = self._served_location(message)
        elif message.data is not None:
            content = message.data
        elif message.location:
            content = self._read_location(message.location)
        else:
            raise ModelRejected("the message has neither data nor a location: send one of them")
        if not content:
            raise ModelRejected("the model is empty")
        digest = hashlib.sha256(content).hexdigest()
        if message.sha256 and message.sha256.lower() != digest:
            raise ModelRejected(
                f"the content's SHA-256 is {digest}, the message says {message.sha256}: "
                "send the model again with the digest of its content"
            )
        return ModelToServe(
            data_type=message.data_type,
            name=message.name,
            model_type=message.model_type,
            version=message.version or digest[:VERSION_DIGITS],
            sha256=digest,
            content=content,
            inputs=message.inputs,
            output=message.output,
            description=message.description,
            signature_name=message.signature_name,
            result_output=message.result_output,
        )

    def _served_location(self, message: ModelMessage) -> bytes:
        """The content of a model that its server scores: the location, the same for all spellings of it."""
        if not message.location:
            raise ModelRejected(
                f"a model of the type {message.model_type.name} is scored by its server: send its location, "
                "not its data"
            )
        location = str(read_location(message.location, message.model_type))
        self._check_location(location)
        return location.encode()

    def _check_examples(self, model: LoadedModel, examples: tuple[Example, ...]) -> list[Columns]:
        """Scores the examples. Returns the row of each."""
        rows = []
        for number, example in enumerate(examples, start=1):
            try:
                columns = self._read_example(example.record, model.fields)
                result = float(model.score(columns).result[0])
            except (UnparsableMessage, InvalidRecord, ScoringFailed) as error:
                raise ModelRejected(
                    f"example {number} of {len(examples)} cannot be scored: {error}"
                ) from error
            # In this form a NaN fails too.
            if not abs(result - example.expected) <= example.tolerance:
                raise ModelRejected(
                    f"example {number} of {len(examples)} gives {result:.9g}, "
                    f"expected {example.expected:.9g} within {example.tolerance:.3g}"
                )
            rows.append(columns)
        return rows


def _with_findings(model: ModelToServe, lease: Lease) -> ModelToServe:
    return replace(model, findings=lease.model.findings)


def _warm_up(model: LoadedModel, schema: RecordSchema, *, has_examples: bool) -> None:
    """Scores a first row, so that no record has to wait for what the first call allocates or compiles.

    Zeros may be outside of the values that the model knows. So a missing result is not an error here, and a
    model that fails is not refused if it has examples, which have to be scored next.
    """
    try:
        result = model.score(first_row_of(model, schema)).result
    except ScoringFailed as error:
        if has_examples:
            return
        raise FailsAtFirst(
            f"the model fails on a first record: {error}; if it can score others, send some as examples "
            "(publish-models --try records.csv --examples 1)"
        ) from error
    if result.shape != (1,):
        raise ModelRejected(f"the model gives {result.shape} results for one record")
