"""What a board knows, as documents; and whoever listens is told what has changed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from model_serving.observe.board import Board, Order
from model_serving.query.documents import data_type_document, letter_document, serving_document
from model_serving.query.ports import Change, Document, Listener, VersionFigures

__all__ = ["BoardKnown"]


class BoardKnown:
    """See ``query.ports.Known``."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()

    def names(self, search: str = "") -> Sequence[str]:
        """See ``Known``."""
        return self._board.names(search)

    def data_types(self, search: str, order: Order, *, descending: bool, offset: int, limit: int) -> Document:
        """See ``Known``."""
        page = self._board.data_types(search, order=order, descending=descending, offset=offset, limit=limit)
        return {
            "total": page.total,
            "offset": page.offset,
            "items": [data_type_document(one) for one in page.data_types],
        }

    def serving(self, data_type: str) -> Document | None:
        """See ``Known``."""
        found = self._board.data_type(data_type)
        return None if found is None else serving_document(found)

    def data_type(self, name: str) -> Document | None:
        """See ``Known``."""
        found = self._board.data_type(name)
        return None if found is None else data_type_document(found)

    def versions(self, name: str) -> list[Document] | None:
        """See ``Known``."""
        raise NotImplementedError

    def series(self, name: str) -> Document | None:
        """See ``Known``."""
        raise NotImplementedError

    def dead_letters(self, limit: int, data_type: str | None = None) -> list[Document]:
        """See ``Known``."""
        return [letter_document(one) for one in self._board.dead_letters(limit, data_type)]

    def dead_letter_counts(self) -> Mapping[tuple[str, str], int]:
        """See ``Known``."""
        raise NotImplementedError

    def waiting(self) -> Mapping[str, int]:
        """See ``Known``."""
        raise NotImplementedError

    def figures(self) -> Iterable[VersionFigures]:
        """See ``Known``."""
        raise NotImplementedError

    def listen(self, listener: Listener) -> Callable[[], None]:
        """See ``Known``."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def forget() -> None:
            with self._lock:
                self._listeners = tuple(one for one in self._listeners if one is not listener)

        return forget

    def tell(self, changes: Sequence[Change]) -> None:
        """Tells all listeners what has changed."""
        for listener in self._listeners:
            listener(changes)
