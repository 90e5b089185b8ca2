"""Which models are let in: the life of the models of a data type, without Flink.

A model message is offered. It is resolved (its content fetched, its digest checked), loaded, warmed up and
compared with its examples; only then an :class:`Activation` goes to the operators that serve. Whatever
fails raises :class:`ModelRejected` and changes nothing: the model that served goes on serving.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Protocol

import numpy as np

from functions.core.clock import Clock
from functions.core.engine import Columns, LoadedModel, RecordSchema
from functions.core.errors import InvalidRecord, ModelRejected, ScoringFailed, UnparsableMessage
from functions.core.messages import Command, Example, ModelMessage, ModelToServe
from functions.core.pool import Lease, ModelPool
from functions.core.state import Activation, History, KeptVersion

__all__ = ["Admission", "ExampleReader", "KeptModels", "LocationReader"]

_VERSION_DIGITS = 12

LocationReader = Callable[[str], bytes]
"""Fetches a model's content; raises ModelRejected when it cannot be had."""

ExampleReader = Callable[[bytes, tuple[str, ...]], Columns]
"""Turns a record's bytes into one row of the fields asked for; raises UnparsableMessage or InvalidRecord."""


class KeptModels(Protocol):
    """What is remembered of one data type: its history, and the contents of the versions in it."""

    def history(self) -> History: ...

    def save_history(self, history: History) -> None: ...

    def model(self, version: str) -> ModelToServe: ...

    def save_model(self, model: ModelToServe) -> None: ...

    def drop_model(self, version: str) -> None: ...


class Admission:
    """Decides what becomes of model messages. Call order: ``offer`` any number of times, then ``close``.

    The models of the kept versions stay loaded here, so that a rollback needs no loading.
    """

    def __init__(
        self,
        pool: ModelPool,
        schema: RecordSchema,
        read_location: LocationReader,
        read_example: ExampleReader,
        keep_versions: int,
        clock: Clock,
    ) -> None:
        self._pool = pool
        self._schema = schema
        self._read_location = read_location
        self._read_example = read_example
        self._keep_versions = keep_versions
        self._clock = clock
        self._warm: dict[tuple[str, str], Lease] = {}

    def offer(self, message: ModelMessage, kept: KeptModels) -> Activation:
        """Carries out one message for the data type whose models ``kept`` holds.

        Raises:
            ModelRejected: the message cannot be carried out; ``kept`` is as it was.
        """
        history = kept.history()
        if message.command is Command.REMOVE:
            return self._remove(message.data_type, history, kept)
        if message.command is Command.ROLLBACK:
            return self._rollback(message, history, kept)
        return self._deploy(self._resolve(message), message.examples, history, kept)

    def close(self) -> None:
        """Lets go of every loaded model."""
        for lease in self._warm.values():
            lease.release()
        self._warm.clear()

    def _resolve(self, message: ModelMessage) -> ModelToServe:
        if message.data is not None:
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
                "send the model again with the digest of what is sent"
            )
        return ModelToServe(
            data_type=message.data_type,
            name=message.name,
            model_type=message.model_type,
            version=message.version or digest[:_VERSION_DIGITS],
            sha256=digest,
            content=content,
            inputs=message.inputs,
            output=message.output,
        )

    def _deploy(
        self, model: ModelToServe, examples: tuple[Example, ...], history: History, kept: KeptModels
    ) -> Activation:
        known = history.find(model.version)
        if known is not None and known.sha256 != model.sha256:
            raise ModelRejected(
                f"version '{model.version}' is known with other content "
                f"(SHA-256 {known.sha256[:_VERSION_DIGITS]}…): give the new content a version of its own"
            )
        start = self._clock.monotonic_ns()
        lease = self._pool.acquire(model, self._schema)
        try:
            _warm_up(lease.model, self._schema)
            self._check_examples(lease.model, examples)
        except BaseException:
            lease.release()
            raise
        load_ms = (self._clock.monotonic_ns() - start) / 1e6
        self._keep_warm(model.data_type, model.version, lease)
        previous = history.active
        versions = [version for version in history.kept if version.version != model.version]
        versions.append(KeptVersion(model.version, model.sha256, model.name))
        surplus, versions = versions[: -self._keep_versions], versions[-self._keep_versions :]
        for version in surplus:
            self._forget(model.data_type, version, kept)
        kept.save_model(model)
        after = History(tuple(versions), history.sequence + 1)
        kept.save_history(after)
        again = previous is not None and previous.version == model.version
        return Activation(
            data_type=model.data_type,
            sequence=after.sequence,
            model=model,
            previous="" if previous is None or again else previous.version,
            detail="serves already" if again else "",
            load_ms=load_ms,
        )

    def _rollback(self, message: ModelMessage, history: History, kept: KeptModels) -> Activation:
        data_type, active = message.data_type, history.active
        if message.version and (active is None or active.version != message.version):
            raise ModelRejected(
                f"no rollback from version '{message.version}': data type '{data_type}' is not served by it"
            )
        if len(history.kept) < 2:
            raise ModelRejected(
                f"nothing to roll back to: data type '{data_type}' has no version before the present one; "
                "deploy a model instead"
            )
        bad, good = history.kept[-1], history.kept[-2]
        model = kept.model(good.version)
        start = self._clock.monotonic_ns()
        # After a restart the older versions are not loaded yet.
        if (data_type, good.version) not in self._warm:
            self._keep_warm(data_type, good.version, self._pool.acquire(model, self._schema))
        load_ms = (self._clock.monotonic_ns() - start) / 1e6
        self._forget(data_type, bad, kept)
        after = History(history.kept[:-1], history.sequence + 1)
        kept.save_history(after)
        detail = f"rolled back: {message.description}" if message.description else "rolled back"
        return Activation(data_type, after.sequence, model, bad.version, detail, load_ms, fallback=True)

    def _remove(self, data_type: str, history: History, kept: KeptModels) -> Activation:
        active = history.active
        if active is None:
            raise ModelRejected(f"nothing to remove: no model serves data type '{data_type}'")
        for version in history.kept:
            self._forget(data_type, version, kept)
        after = History((), history.sequence + 1)
        kept.save_history(after)
        return Activation(data_type, after.sequence, None, active.version)

    def _keep_warm(self, data_type: str, version: str, lease: Lease) -> None:
        before = self._warm.pop((data_type, version), None)
        self._warm[data_type, version] = lease
        if before is not None:
            before.release()

    def _forget(self, data_type: str, version: KeptVersion, kept: KeptModels) -> None:
        kept.drop_model(version.version)
        lease = self._warm.pop((data_type, version.version), None)
        if lease is not None:
            lease.release()

    def _check_examples(self, model: LoadedModel, examples: tuple[Example, ...]) -> None:
        for number, example in enumerate(examples, start=1):
            try:
                columns = self._read_example(example.record, model.fields)
                result = float(model.score(columns).result[0])
            except (UnparsableMessage, InvalidRecord, ScoringFailed) as error:
                raise ModelRejected(
                    f"example {number} of {len(examples)} cannot be scored: {error}"
                ) from error
            # Written so that a NaN fails too.
            if not abs(result - example.expected) <= example.tolerance:
                raise ModelRejected(
                    f"example {number} of {len(examples)} gives {result:.9g}, "
                    f"expected {example.expected:.9g} within {example.tolerance:.3g}"
                )


def _warm_up(model: LoadedModel, schema: RecordSchema) -> None:
    """Scores a row of zeros: what a first call allocates or compiles is there before a record waits for it.

    A missing result is no fault here: zeros may be outside of what the model knows.
    """
    texts = [field in schema.text for field in model.fields]
    row = ["" if text else 0.0 for text in texts]
    columns = np.array([row], dtype=object if any(texts) else np.float64).reshape(1, len(row))
    try:
        result = model.score(columns).result
    except ScoringFailed as error:
        raise ModelRejected(f"the model fails on a first record: {error}") from error
    if result.shape != (1,):
        raise ModelRejected(f"the model gives {result.shape} results for one record")
