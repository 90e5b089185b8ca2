"""Which models are let in: the life of the models of a data type, without Flink.

A model message is carried out in two steps. Its preparation
(:mod:`model_serving.core.admission.preparation`) does what is slow, in any thread, and touches no state:
fetch, load, warm up, compare with the examples. Completing it takes no time, changes the state and gives an
:class:`Activation` for the operators that serve. Whatever fails raises :class:`ModelRejected` and changes
nothing: the model that served goes on serving.
"""

from __future__ import annotations

from typing import Protocol

from model_serving.core.admission.preparation import (
    ExampleReader,
    LocationReader,
    Preparation,
    Prepared,
    Preparer,
)
from model_serving.core.clock import Clock
from model_serving.core.engine import RecordSchema
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import Command, ModelMessage, ModelToServe
from model_serving.core.model_store import ModelContents, everything_inline
from model_serving.core.pool import Lease, ModelPool
from model_serving.core.state import Activation, History, KeptVersion

__all__ = ["Admission", "KeptModels"]


class KeptModels(Protocol):
    """What is remembered of one data type: its history, and the contents of the versions in it."""

    def history(self) -> History: ...

    def save_history(self, history: History) -> None: ...

    def model(self, version: str) -> ModelToServe: ...

    def save_model(self, model: ModelToServe) -> None: ...

    def drop_model(self, version: str) -> None: ...


class Admission:
    """Decides what becomes of model messages.

    Call order: for each message ``preparation``, its ``run``, ``complete``; the messages of one data type one
    after the other, those of others in between. Then ``close``. Only ``run`` may be called in other threads.

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
        contents: ModelContents | None = None,
    ) -> None:
        """``contents`` are where large models are kept; without them all models are in state."""
        self._contents = contents or everything_inline()
        self._preparer = Preparer(pool, schema, read_location, read_example, clock, self._contents)
        self._keep_versions = keep_versions
        self._clock = clock
        self._warm: dict[tuple[str, str], Lease] = {}

    def preparation(self, message: ModelMessage, kept: KeptModels) -> Preparation:
        """What comes before a message is carried out for the data type whose models ``kept`` holds.

        Raises:
            ModelRejected: the message cannot be carried out.
        """
        history = kept.history()
        if message.command is Command.DEPLOY:
            return Preparation(message, history, None, loads=True, preparer=self._preparer)
        if message.command is Command.REMOVE:
            if history.active is None:
                raise ModelRejected(f"nothing to remove: no model serves data type '{message.data_type}'")
            return Preparation(message, history, None, loads=False, preparer=self._preparer)
        good = _before(history, message)
        # After a restart the older versions are not loaded yet.
        loads = (message.data_type, good.version) not in self._warm
        return Preparation(message, history, kept.model(good.version), loads, self._preparer)

    def complete(self, prepared: Prepared, kept: KeptModels) -> Activation:
        """Carries out what is prepared; ``kept`` has to be as it was when the preparation was made."""
        message, history = prepared.message, prepared.history
        if prepared.model is None:
            return self._remove(message.data_type, history, kept)
        if prepared.lease is not None:
            self._keep_warm(message.data_type, prepared.model.version, prepared.lease)
        if message.command is Command.ROLLBACK:
            return self._rollback(prepared, prepared.model, kept)
        return self._deploy(prepared, prepared.model, kept)

    def collect(self, kept: KeptModels) -> int | None:
        """Deletes what the model store need not hold any more.

        Not while a message for the data type is being prepared: what it relies on would be deleted.

        Returns:
            When there will be more to delete, in epoch milliseconds.
        """
        history = kept.history()
        after = self._contents.collect(history, self._clock.epoch_ms())
        if after != history:
            kept.save_history(after)
        return self._contents.next_collection(after)

    def close(self) -> None:
        """Lets go of every loaded model."""
        for lease in self._warm.values():
            lease.release()
        self._warm.clear()

    def _deploy(self, prepared: Prepared, model: ModelToServe, kept: KeptModels) -> Activation:
        history = prepared.history
        previous = history.active
        versions = [version for version in history.kept if version.version != model.version]
        stored = model.stored.path if model.stored else ""
        versions.append(KeptVersion(model.version, model.sha256, model.name, stored))
        surplus, versions = versions[: -self._keep_versions], versions[-self._keep_versions :]
        for version in surplus:
            self._forget(model.data_type, version, kept)
        kept.save_model(model)
        after = self._contents.succeed(history, versions, self._clock.epoch_ms())
        kept.save_history(after)
        again = previous is not None and previous.version == model.version
        return Activation(
            data_type=model.data_type,
            sequence=after.sequence,
            model=model,
            previous="" if previous is None or again else previous.version,
            detail="serves already" if again else "",
            load_ms=prepared.load_ms,
        )

    def _rollback(self, prepared: Prepared, model: ModelToServe, kept: KeptModels) -> Activation:
        data_type, history, why = model.data_type, prepared.history, prepared.message.description
        bad = history.kept[-1]
        self._forget(data_type, bad, kept)
        after = self._contents.succeed(history, history.kept[:-1], self._clock.epoch_ms())
        kept.save_history(after)
        detail = f"rolled back: {why}" if why else "rolled back"
        return Activation(
            data_type, after.sequence, model, bad.version, detail, prepared.load_ms, fallback=True
        )

    def _remove(self, data_type: str, history: History, kept: KeptModels) -> Activation:
        active = history.kept[-1]
        for version in history.kept:
            self._forget(data_type, version, kept)
        after = self._contents.succeed(history, (), self._clock.epoch_ms())
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


def _before(history: History, message: ModelMessage) -> KeptVersion:
    """The version that a ROLLBACK goes back to.

    Raises:
        ModelRejected: there is none, or another version serves than the one to be taken back.
    """
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
    return history.kept[-2]
