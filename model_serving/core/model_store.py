"""Keeps large models outside of Flink's state; state and activations refer to them by path, SHA-256 and size.

An object is named after the run that put it, its data type and its content:
``<run>/<data type>/<SHA-256>``. A run is one submission of a job, from whatever checkpoint or savepoint it
starts. Only the run that put an object deletes it, unless the job was restored in claim mode, with the right
to the objects that its checkpoint or savepoint refers to. So two jobs that share a store, or start from the
same savepoint, never delete an object that the other one needs.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from model_serving.core.errors import ContentUnavailable, ModelRejected
from model_serving.core.messages import ModelToServe, StoredContent
from model_serving.core.putting import Puttings
from model_serving.core.state import DroppedObject, History, KeptVersion

__all__ = ["ModelContents", "ModelStore", "PutAway", "StoreFailed", "everything_inline", "object_path"]

_NAME_LENGTH = 60
_DIGEST_LENGTH = 32
_RETRY_MS = 600_000
"""How long until a deletion that the store refused is tried again, in milliseconds."""

_BESIDE_BYTES = 1 << 20
"""Contents above this size are written while the model loads. Smaller ones take no time."""


class StoreFailed(Exception):
    """The store did not do what it was asked to do. The text is one line, without the store's credentials."""


class ModelStore(Protocol):
    """Objects by path; ``/`` separates the parts of a path. Safe to use from several threads."""

    @property
    def mostly_waits(self) -> bool:
        """Whether a large object takes little processor time, so that it is put while its model loads."""
        ...

    def put(self, path: str, content: bytes) -> None:
        """Stores an object whole or not at all. An object that is there with the same size is not changed.

        Raises:
            StoreFailed: the object is not in the store now.
        """
        ...

    def get(self, path: str) -> bytes:
        """The content of an object.

        Raises:
            FileNotFoundError: there is no object at the path.
            StoreFailed: the store cannot be read.
        """
        ...

    def delete(self, path: str) -> None:
        """Deletes an object, if there is one at the path.

        Raises:
            StoreFailed: the object cannot be deleted.
        """
        ...

    def __str__(self) -> str:
        """The URL of the store, without credentials."""
        ...


def object_path(run: str, data_type: str, sha256: str) -> str:
    """The path of an object in the store.

    A data type may be any text. The path keeps the characters of it that every file system allows, for
    people who look at the store. A digest follows, which tells data types apart (also ``Wine`` and ``wine``
    where case does not count).
    """
    readable = re.sub(r"[^A-Za-z0-9_-]", "_", data_type)[:_NAME_LENGTH]
    digest = hashlib.sha256(data_type.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_LENGTH]
    return f"{run}/{readable}-{digest}/{sha256}"


PutAway = Callable[[ModelToServe], ModelToServe]
"""Returns a model as state keeps it; raises ModelRejected if the store does not take its content."""


class ModelContents:
    """Decides which contents go to the store, fetches them from there, and deletes those no longer needed."""

    def __init__(
        self, store: ModelStore, inline_limit: int, run: str, retention_ms: int, *, claims: bool = False
    ) -> None:
        """Contents above ``inline_limit`` bytes go to the store, under the name of this ``run``.

        ``retention_ms`` is how long an object stays once no version refers to it. ``claims``: this run may
        also delete objects that other runs have put.
        """
        self._store = store
        self._puttings = Puttings(store)
        self._inline_limit = inline_limit
        self._run = run
        self._retention_ms = retention_ms
        self._claims = claims

    @contextmanager
    def putting_away(self, model: ModelToServe, history: History) -> Iterator[PutAway]:
        """Gives what puts the model away; call it inside of the block, once the model has passed all checks.

        If the store mostly waits, a very large content is put into it during the block, in a thread of its
        own. If the block raises, it is deleted again, unless ``history`` knows of it.
        """
        if not self._store.mostly_waits or len(model.content) <= max(_BESIDE_BYTES, self._inline_limit):
            yield self._put_away
            return
        putting = self._puttings.begin(self._path(model), model.content)

        def put_away(checked: ModelToServe) -> ModelToServe:
            with _rejecting(checked):
                self._puttings.keep(putting)
            return _without_content(checked, putting.path)

        try:
            yield put_away
        except BaseException:
            known = [*(version.stored for version in history.kept), *(gone.path for gone in history.dropped)]
            self._puttings.take_back(putting, known)
            raise

    def at_hand(self, model: ModelToServe) -> ModelToServe:
        """The model with its content, which is fetched if it is in the store.

        Raises:
            ContentUnavailable: the content is gone, has another digest, or cannot be read.
        """
        if model.stored is None:
            return model
        what = f"version '{model.version}' of data type '{model.data_type}'"
        where = f"the model store {self._store} ({model.stored.path})"
        try:
            content = self._store.get(model.stored.path)
        except FileNotFoundError:
            raise ContentUnavailable(
                f"{what} is not in {where}: start the job with the --model-store that it was put into, put "
                "the file back, or restore a later checkpoint"
            ) from None
        except StoreFailed as failed:
            raise ContentUnavailable(f"{what} cannot be fetched: {failed}; mend the store") from failed
        digest = hashlib.sha256(content).hexdigest()
        if digest != model.sha256:
            raise ContentUnavailable(
                f"{what} has other content in {where}: {len(content)} bytes with SHA-256 {digest}, not "
                f"{model.stored.size} bytes with {model.sha256}; put the right file there"
            )
        return replace(model, content=content)

    def succeed(self, history: History, kept: Iterable[KeptVersion], now_ms: int) -> History:
        """The history after one more command.

        Objects that no version refers to any more count as dropped at ``now_ms`` (epoch milliseconds).
        """
        kept = tuple(kept)
        needed = {version.stored for version in kept}
        waiting = {gone.path: gone.dropped_ms for gone in history.dropped if self._owns(gone.path)}
        for version in history.kept:
            if version.stored and self._owns(version.stored):
                waiting.setdefault(version.stored, now_ms)
        dropped = tuple(DroppedObject(*gone) for gone in waiting.items() if gone[0] not in needed)
        return History(kept, history.sequence + 1, dropped)

    def collect(self, history: History, now_ms: int) -> History:
        """Deletes objects that were dropped long enough ago. Returns the history without them.

        If the store does not delete an object now, this is tried again later; serving does not depend on it.
        """
        left = []
        for gone in history.dropped:
            if gone.dropped_ms + self._retention_ms > now_ms:
                left.append(gone)
            elif self._owns(gone.path):
                try:
                    self._store.delete(gone.path)
                    self._puttings.forget(gone.path)
                except StoreFailed:
                    left.append(replace(gone, dropped_ms=now_ms + _RETRY_MS - self._retention_ms))
        return replace(history, dropped=tuple(left))

    def next_collection(self, history: History) -> int | None:
        """When the next object is due for deletion, in epoch milliseconds; None if there is none."""
        return min((gone.dropped_ms + self._retention_ms for gone in history.dropped), default=None)

    def _put_away(self, model: ModelToServe) -> ModelToServe:
        """See ``PutAway``. The content of a large model is put into the store and left out."""
        if len(model.content) <= self._inline_limit:
            return model
        path = self._path(model)
        with _rejecting(model):
            self._store.put(path, model.content)
        return _without_content(model, path)

    def _owns(self, path: str) -> bool:
        return self._claims or path.startswith(f"{self._run}/")

    def _path(self, model: ModelToServe) -> str:
        return object_path(self._run, model.data_type, model.sha256)


@contextmanager
def _rejecting(model: ModelToServe) -> Iterator[None]:
    try:
        yield
    except StoreFailed as failed:
        raise ModelRejected(
            f"the model ({len(model.content)} bytes) cannot be stored: {failed}; mend the store and send "
            "the model again, or start the job with another --model-store or --inline-limit"
        ) from failed


def _without_content(model: ModelToServe, path: str) -> ModelToServe:
    return replace(model, content=b"", stored=StoredContent(path, len(model.content)))


class _NoStore:
    mostly_waits = False

    def put(self, path: str, content: bytes) -> None:
        raise StoreFailed("there is no model store")

    def get(self, path: str) -> bytes:
        raise StoreFailed("there is no model store")

    def delete(self, path: str) -> None:
        raise StoreFailed("there is no model store")

    def __str__(self) -> str:
        return "(none)"


def everything_inline() -> ModelContents:
    """Keeps every content in the model itself, without a store."""
    return ModelContents(_NoStore(), sys.maxsize, run="", retention_ms=0)
