"""The loaded models of a process. Each model is loaded once, even if several operators use it.

Admission loads a model to check it, and the serving operators of the same process then find it loaded, so a
swap costs them only a dictionary look-up. A model is closed when its last user releases it.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from model_serving.core.engine import Engine, RecordSchema
from model_serving.core.guarded import GuardedModel, load_guarded
from model_serving.core.messages import ModelToServe, ModelType, OutputRule

__all__ = ["ContentReader", "Lease", "ModelPool"]

ContentReader = Callable[[ModelToServe], ModelToServe]
"""Returns a model with its content; raises ContentUnavailable when the content is not available."""

_Identity = tuple[ModelType, str, tuple[str, ...], OutputRule, str, str, RecordSchema]


@dataclass(slots=True)
class _Entry:
    users: int = 0
    model: GuardedModel | None = None
    loading: threading.Lock = field(default_factory=threading.Lock)


class Lease:
    """The right to use a loaded model until ``release`` is called; further calls of it do nothing."""

    __slots__ = ("_release", "model")

    def __init__(self, model: GuardedModel, release: Callable[[], None]) -> None:
        self.model = model
        self._release: Callable[[], None] | None = release

    def release(self) -> None:
        """Gives the model back."""
        release, self._release = self._release, None
        if release is not None:
            release()


class ModelPool:
    """Loads models through engines and counts who uses them. Safe to use from several threads."""

    def __init__(self, engine_for: Callable[[ModelType], Engine]) -> None:
        self._engine_for = engine_for
        self._entries: dict[_Identity, _Entry] = {}
        self._loading: set[_Identity] = set()
        self._lock = threading.Lock()

    def with_engines(self, around: Callable[[Engine], Engine]) -> ModelPool:
        """A pool with the same loaded models, which loads through ``around(engine)`` instead of an engine."""
        pool = copy.copy(self)
        inner = self._engine_for
        pool._engine_for = lambda model_type: around(inner(model_type))  # noqa: SLF001 - of the same class
        return pool

    def with_source(self, engine_for: Callable[[ModelType], Engine]) -> ModelPool:
        """The same pool, with the same loaded models, for a user that loads through other engines."""
        pool = copy.copy(self)
        pool._engine_for = engine_for  # noqa: SLF001 - of the same class
        return pool

    def acquire(
        self, model: ModelToServe, schema: RecordSchema, with_content: ContentReader | None = None
    ) -> Lease:
        """A lease on the loaded model; loads the model unless somebody already uses it.

        ``with_content`` is called only if the model has to be loaded.

        Raises:
            ModelRejected: the model cannot be loaded.
            ContentUnavailable: the content of the model is not available from the store.
            Unavailable: something else that the model needs is out of reach.
        """
        identity = (
            model.model_type,
            model.sha256,
            model.inputs,
            model.output,
            model.signature_name,
            model.result_output,
            schema,
        )
        with self._lock:
            entry = self._entries.setdefault(identity, _Entry())
            entry.users += 1
        try:
            # Only users of the same model wait while it loads.
            with entry.loading:
                if entry.model is None:
                    whole = model if with_content is None else with_content(model)
                    self._loading.add(identity)
                    try:
                        entry.model = load_guarded(self._engine_for(model.model_type), whole, schema)
                    finally:
                        self._loading.discard(identity)
                loaded = entry.model
        except BaseException:
            self._leave(identity, entry)
            raise
        return Lease(loaded, lambda: self._leave(identity, entry))

    @property
    def live(self) -> int:
        """How many models are loaded now."""
        with self._lock:
            return sum(entry.model is not None for entry in self._entries.values())

    @property
    def is_loading(self) -> bool:
        """Whether an engine loads a model now, for any user of the pool."""
        return bool(self._loading)

    def _leave(self, identity: _Identity, entry: _Entry) -> None:
        with self._lock:
            entry.users -= 1
            unused = entry.users == 0
            if unused:
                del self._entries[identity]
        if unused and entry.model is not None:
            entry.model.close()
