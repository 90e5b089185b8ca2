"""Contents on their way to the model store, while the models are still being checked.

Of a model that is rejected nothing may stay in the store, unless somebody else needs the same content: a
version that is kept, or another message that is being checked in another thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from threading import Lock, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model_serving.core.model_store import ModelStore

__all__ = ["Putting", "Puttings"]


class Putting:
    """A content that is being put into the store, in a thread of its own. ``Puttings`` makes it."""

    def __init__(self, path: str, put: Callable[[], None]) -> None:
        self.path = path
        self._put = put
        self._failed: BaseException | None = None
        self._thread = Thread(target=self._run, name="model-store", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Waits until the content is in the store. Raises what the store raises, once."""
        self._thread.join()
        failed, self._failed = self._failed, None
        try:
            if failed is not None:
                raise failed
        finally:
            # The error refers to this frame, which would keep the content: see ``BackgroundLoads.result``.
            del failed

    def _run(self) -> None:
        try:
            self._put()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asks
            self._failed = error


class Puttings:
    """Everything that this process puts into a store. Safe to use from several threads.

    Call ``begin``, and then ``keep`` or ``take_back``.
    """

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self._lock = Lock()
        self._under_way: Counter[str] = Counter()
        # Those that were begun with an older history may not know that they are needed now.
        self._kept: set[str] = set()

    def begin(self, path: str, content: bytes) -> Putting:
        """Begins to put a content."""
        # The lock: a deletion that is under way must end before the store is asked whether it has the object.
        with self._lock:
            self._under_way[path] += 1
        return Putting(path, lambda: self._store.put(path, content))

    def keep(self, putting: Putting) -> None:
        """Waits until the content is in the store; it is needed from now on. Raises what the store raises."""
        putting.wait()
        with self._lock:
            self._kept.add(putting.path)
            self._end(putting)

    def take_back(self, putting: Putting, needed: Collection[str]) -> None:
        """Deletes the content again, unless somebody else needs it or its path is among the ``needed``.

        What the store does not delete now stays there.
        """
        with suppress(Exception):
            putting.wait()
        with self._lock:
            self._end(putting)
            if not any(putting.path in paths for paths in (self._kept, self._under_way, needed)):
                with suppress(Exception):
                    self._store.delete(putting.path)

    def forget(self, path: str) -> None:
        """The object was deleted, because no version needs it any more."""
        with self._lock:
            self._kept.discard(path)

    def _end(self, putting: Putting) -> None:
        self._under_way[putting.path] -= 1
        if not self._under_way[putting.path]:
            del self._under_way[putting.path]
