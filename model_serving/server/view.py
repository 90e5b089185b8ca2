"""The state of the one member that admits models: what the mirror has, and what this member wrote since."""

from __future__ import annotations

from collections.abc import Iterable

from model_serving.server.entries import Entry, Key, Kind, part_count
from model_serving.server.mirror import Change, Mirror

__all__ = ["KeptInView", "PendingInView", "StateView"]


class _Own:
    """A value that the mirror may not have yet; ``unseen`` counts the writes that it has not shown."""

    __slots__ = ("unseen", "value")

    def __init__(self) -> None:
        self.unseen = 0
        self.value: bytes | None = None


class StateView:
    """Reads and writes entries that nobody else writes at the same time.

    A write is seen at once by this view, and by everybody once the messages that ``written`` returns are in
    the state topic.
    """

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._own: dict[Key, _Own] = {}
        self._written: dict[Key, Entry] = {}
        mirror.listen(self._seen)

    def get(self, key: Key) -> bytes | None:
        """The value of an entry; None if there is none."""
        with self._mirror.changed:
            own = self._own.get(key)
            return self._mirror.get(key) if own is None else own.value

    def put(self, key: Key, value: bytes) -> None:
        """Writes an entry."""
        self._write(Entry(key, value))

    def delete(self, key: Key) -> None:
        """Deletes an entry."""
        with self._mirror.changed:
            own = self._own.get(key)
            if self._is_unknown(key, own):
                del self._own[key], self._written[key]
                return
            ours = 0 if own is None or own.value is None else part_count(own.value)
            self._write(Entry(key, None, max(1, ours, self._mirror.parts(key))))

    def keys(self, kind: Kind, data_type: str | None = None) -> list[Key]:
        """The keys of a kind, or of a kind and data type."""
        with self._mirror.changed:
            known = dict.fromkeys(self._mirror.keys(kind, data_type))
            for key, own in self._own.items():
                if key.kind is kind and data_type in (None, key.data_type):
                    known.pop(key, None)
                    if own.value is not None:
                        known[key] = None
        return list(known)

    def has_written(self, *besides: Kind) -> bool:
        """Whether ``written`` would return an entry of another kind than these."""
        return any(key.kind not in besides for key in self._written)

    def written(self) -> list[Entry]:
        """What was written since the last call, in its order; the last value of each entry."""
        written, self._written = self._written, {}
        return list(written.values())

    def close(self) -> None:
        """Ends the view."""
        self._mirror.forget(self._seen)

    def _is_unknown(self, key: Key, own: _Own | None) -> bool:
        """Whether nobody but this view can know of the entry: the caller holds the mirror's lock."""
        is_only_here = own is not None and own.unseen == 1 and key in self._written
        return is_only_here and not self._mirror.parts(key)

    def _write(self, entry: Entry) -> None:
        with self._mirror.changed:
            own = self._own.setdefault(entry.key, _Own())
            if self._written.pop(entry.key, None) is None:
                own.unseen += 1
            own.value = entry.value
            self._written[entry.key] = entry

    def _seen(self, changes: Iterable[Change]) -> None:
        for change in changes:
            own = self._own.get(change.key)
            if own is not None:
                own.unseen -= 1
                if own.unseen <= 0:
                    del self._own[change.key]


class KeptInView:
    """See ``core.ports.KeptModels``."""

    def __init__(self, view: StateView) -> None:
        self._view = view

    def history(self, data_type: str) -> bytes | None:
        """See ``core.ports.KeptModels``."""
        return self._view.get(Key(Kind.HISTORY, data_type))

    def save_history(self, data_type: str, history: bytes) -> None:
        """See ``core.ports.KeptModels``."""
        self._view.put(Key(Kind.HISTORY, data_type), history)

    def model(self, data_type: str, version: str) -> bytes:
        """See ``core.ports.KeptModels``."""
        saved = self._view.get(Key(Kind.KEPT, data_type, version))
        if saved is None:
            raise KeyError(version)
        return saved

    def save_model(self, data_type: str, version: str, model: bytes) -> None:
        """See ``core.ports.KeptModels``."""
        self._view.put(Key(Kind.KEPT, data_type, version), model)

    def drop_model(self, data_type: str, version: str) -> None:
        """See ``core.ports.KeptModels``."""
        self._view.delete(Key(Kind.KEPT, data_type, version))


class PendingInView:
    """See ``core.ports.PendingModels``."""

    def __init__(self, view: StateView) -> None:
        self._view = view

    def numbers(self, data_type: str) -> list[int]:
        """See ``core.ports.PendingModels``."""
        return [int(key.item) for key in self._view.keys(Kind.PENDING, data_type)]

    def get(self, data_type: str, number: int) -> bytes:
        """See ``core.ports.PendingModels``."""
        payload = self._view.get(Key(Kind.PENDING, data_type, str(number)))
        if payload is None:
            raise KeyError(number)
        return payload

    def put(self, data_type: str, number: int, payload: bytes) -> None:
        """See ``core.ports.PendingModels``."""
        self._view.put(Key(Kind.PENDING, data_type, str(number)), payload)

    def remove(self, data_type: str, number: int) -> None:
        """See ``core.ports.PendingModels``."""
        self._view.delete(Key(Kind.PENDING, data_type, str(number)))
