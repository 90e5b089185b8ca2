"""The commands of model messages as objects: Deploy, Rollback and Remove.

Call order: ``prepare``, which checks the command and changes nothing; the preparation's ``run``, which may be
slow and may run in any thread; ``complete``, which takes no time and changes the state.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from model_serving.core.admission.kept import KeptVersions
from model_serving.core.admission.preparation import Preparation, Prepared, Preparer
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import Command, ModelMessage
from model_serving.core.state import Activation, History, KeptVersion

__all__ = ["Deploy", "ModelCommand", "Remove", "Rollback", "Versions", "command_of"]


class Versions(Protocol):
    """The versions of one data type, in state and loaded, which a command changes."""

    @property
    def kept(self) -> KeptVersions:
        """The versions in state."""
        ...

    def is_loaded(self, key: str) -> bool:
        """Whether the version with this key is loaded here."""
        ...

    def succeed(self, history: History, kept: Iterable[KeptVersion]) -> History:
        """Saves and returns the history after one more command."""
        ...

    def forget(self, version: KeptVersion) -> None:
        """Drops a version from state, and releases its model if it is loaded here."""
        ...


class ModelCommand(Protocol):
    """One of the commands below."""

    def prepare(self, versions: Versions, preparer: Preparer) -> Preparation:
        """The work that has to be done before the command is carried out.

        Raises:
            ModelRejected: the command cannot be carried out.
        """
        ...

    def complete(self, prepared: Prepared, versions: Versions) -> Activation:
        """Carries out the prepared command; the state must be the same as for ``prepare``."""
        ...


@dataclass(frozen=True, slots=True)
class Deploy:
    """Serve the message's model; the ``keep`` latest versions, including this one, stay for a rollback."""

    message: ModelMessage
    keep: int

    def prepare(self, versions: Versions, preparer: Preparer) -> Preparation:
        """See :class:`ModelCommand`."""
        history = versions.kept.history()
        return Preparation(history, lambda: preparer.deploy(self.message, history), loads=True)

    def complete(self, prepared: Prepared, versions: Versions) -> Activation:
        """See :class:`ModelCommand`."""
        model, history = prepared.model, prepared.history
        if model is None:
            raise TypeError("a deployment was prepared without a model")
        previous = history.active
        new = KeptVersion(
            model.version,
            model.sha256,
            model.name,
            model.stored.path if model.stored else "",
            model.signature_name,
            model.result_output,
        )
        latest = [*(version for version in history.kept if version.key != new.key), new]
        for version in latest[: -self.keep]:
            versions.forget(version)
        versions.kept.save_model(model)
        after = versions.succeed(history, latest[-self.keep :])
        again = previous is not None and previous.key == new.key
        return Activation(
            data_type=model.data_type,
            sequence=after.sequence,
            model=model,
            previous="" if previous is None or again else previous.version,
            detail="serves already" if again else "",
            load_ms=prepared.load_ms,
        )


@dataclass(frozen=True, slots=True)
class Rollback:
    """Serve the version before the present one again, and forget the present one."""

    message: ModelMessage

    def prepare(self, versions: Versions, preparer: Preparer) -> Preparation:
        """See :class:`ModelCommand`."""
        history = versions.kept.history()
        good = self._before(history)
        model = versions.kept.model(good.key)
        # After a restart the older versions are not loaded yet.
        if versions.is_loaded(good.key):
            return Preparation(history, lambda: Prepared(history, model), loads=False)
        return Preparation(history, lambda: preparer.load(history, model), loads=True)

    def complete(self, prepared: Prepared, versions: Versions) -> Activation:
        """See :class:`ModelCommand`."""
        history, why = prepared.history, self.message.description
        bad = history.kept[-1]
        versions.forget(bad)
        after = versions.succeed(history, history.kept[:-1])
        return Activation(
            data_type=self.message.data_type,
            sequence=after.sequence,
            model=prepared.model,
            previous=bad.version,
            detail=f"rolled back: {why}" if why else "rolled back",
            load_ms=prepared.load_ms,
            fallback=True,
        )

    def _before(self, history: History) -> KeptVersion:
        data_type, active = self.message.data_type, history.active
        if self.message.version and (active is None or active.version != self.message.version):
            raise ModelRejected(
                f"no rollback from version '{self.message.version}': this version does not serve data type "
                f"'{data_type}'"
            )
        if len(history.kept) < 2:
            raise ModelRejected(
                f"nothing to roll back to: data type '{data_type}' has no version before the present one; "
                "deploy a model instead"
            )
        return history.kept[-2]


@dataclass(frozen=True, slots=True)
class Remove:
    """Stop serving the data type, and forget all its versions."""

    message: ModelMessage

    def prepare(self, versions: Versions, preparer: Preparer) -> Preparation:
        """See :class:`ModelCommand`."""
        history = versions.kept.history()
        if history.active is None:
            raise ModelRejected(f"nothing to remove: no model serves data type '{self.message.data_type}'")
        return Preparation(history, lambda: Prepared(history), loads=False)

    def complete(self, prepared: Prepared, versions: Versions) -> Activation:
        """See :class:`ModelCommand`."""
        history = prepared.history
        for version in history.kept:
            versions.forget(version)
        after = versions.succeed(history, ())
        return Activation(self.message.data_type, after.sequence, None, history.kept[-1].version)


def command_of(message: ModelMessage, keep: int) -> ModelCommand:
    """The command of a message; ``keep`` is how many versions a data type keeps."""
    if message.command is Command.DEPLOY:
        return Deploy(message, keep)
    return Rollback(message) if message.command is Command.ROLLBACK else Remove(message)
