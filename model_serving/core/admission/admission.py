"""Decides which models are admitted, and carries out model messages.

A model message is carried out in two steps. Its preparation
(:mod:`model_serving.core.admission.preparation`) does the slow work, in any thread, and touches no state:
fetch, load, warm up, compare with the examples. Completing it takes no time, changes the state and gives an
:class:`Activation` for the operators that serve. If a step fails, it raises :class:`ModelRejected` and
changes nothing: the model that served goes on serving.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from model_serving.core.admission.commands import ModelCommand, command_of
from model_serving.core.admission.kept import KeptVersions
from model_serving.core.admission.preparation import (
    ExampleReader,
    LocationCheck,
    LocationReader,
    Preparation,
    Prepared,
    Preparer,
    anywhere,
)
from model_serving.core.clock import Clock
from model_serving.core.engine import RecordSchema
from model_serving.core.messages import ModelMessage
from model_serving.core.model_store import ModelContents, everything_inline
from model_serving.core.pool import Lease, ModelPool
from model_serving.core.state import Activation, History, KeptVersion, model_key

__all__ = ["Admission", "Decision"]


@dataclass(frozen=True, slots=True)
class Decision:
    """A message that may be carried out: its command, and the preparation that must run before."""

    command: ModelCommand
    data_type: str
    preparation: Preparation


class Admission:
    """Decides on model messages and carries them out.

    Call order: for each message ``decide``, the preparation's ``run``, ``complete``. Messages of one data
    type come one after the other; messages of other data types may come in between. At the end ``close``.
    Only ``run`` may be called in other threads.

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
        check_location: LocationCheck = anywhere,
    ) -> None:
        """``contents`` keeps large models in a model store; without it, all models are in state.

        ``read_location`` fetches models, ``check_location`` decides where models may be that their servers
        score.
        """
        self._contents = contents or everything_inline()
        self._preparer = Preparer(
            pool, schema, read_location, read_example, clock, self._contents, check_location
        )
        self._keep_versions = keep_versions
        self._clock = clock
        self._warm: dict[tuple[str, str], Lease] = {}

    def decide(self, message: ModelMessage, kept: KeptVersions) -> Decision:
        """How to carry out a message; ``kept`` holds the versions of the message's data type.

        Raises:
            ModelRejected: the message cannot be carried out.
        """
        command = command_of(message, self._keep_versions)
        preparation = command.prepare(self._versions(message.data_type, kept), self._preparer)
        return Decision(command, message.data_type, preparation)

    def complete(self, decision: Decision, prepared: Prepared, kept: KeptVersions) -> Activation:
        """Carries out a prepared decision; ``kept`` must be the same as when it was decided."""
        if prepared.model is not None and prepared.lease is not None:
            self._keep_warm(decision.data_type, model_key(prepared.model), prepared.lease)
        return decision.command.complete(prepared, self._versions(decision.data_type, kept))

    def collect(self, kept: KeptVersions) -> int | None:
        """Deletes objects of the data type that the model store need not hold any more.

        Do not call this while a message for the data type is being prepared, because it could delete an
        object that the preparation needs.

        Returns:
            When there will be more to delete, in epoch milliseconds; None if there will not be.
        """
        history = kept.history()
        after = self._contents.collect(history, self._clock.epoch_ms())
        if after != history:
            kept.save_history(after)
        return self._contents.next_collection(after)

    def forget(self, data_type: str) -> None:
        """Releases the loaded versions of a data type, because its state was changed elsewhere."""
        for of, key in [known for known in self._warm if known[0] == data_type]:
            self._warm.pop((of, key)).release()

    def close(self) -> None:
        """Releases every loaded model."""
        for lease in self._warm.values():
            lease.release()
        self._warm.clear()

    def _versions(self, data_type: str, kept: KeptVersions) -> _Versions:
        return _Versions(data_type, kept, self._warm, self._contents, self._clock)

    def _keep_warm(self, data_type: str, key: str, lease: Lease) -> None:
        before = self._warm.pop((data_type, key), None)
        self._warm[data_type, key] = lease
        if before is not None:
            before.release()


@dataclass(frozen=True, slots=True)
class _Versions:
    """The versions of one data type, in state and loaded: see ``commands.Versions``."""

    data_type: str
    kept: KeptVersions
    warm: dict[tuple[str, str], Lease]
    contents: ModelContents
    clock: Clock

    def is_loaded(self, key: str) -> bool:
        return (self.data_type, key) in self.warm

    def succeed(self, history: History, kept: Iterable[KeptVersion]) -> History:
        after = self.contents.succeed(history, kept, self.clock.epoch_ms())
        self.kept.save_history(after)
        return after

    def forget(self, version: KeptVersion) -> None:
        self.kept.drop_model(version.key)
        lease = self.warm.pop((self.data_type, version.key), None)
        if lease is not None:
            lease.release()
