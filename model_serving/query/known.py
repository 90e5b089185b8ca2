"""What a board knows, as documents; and whoever listens is told what has changed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from model_serving.observe.answers import DataType
from model_serving.observe.board import Board, Topic
from model_serving.observe.figures import Figures
from model_serving.observe.ranking import Order
from model_serving.observe.reading import News
from model_serving.observe.values import Letter
from model_serving.query.documents import (
    data_type_document,
    letter_document,
    series_document,
    serving_document,
    version_document,
)
from model_serving.query.encoding import Encodings, Json, encoded, json_list, json_object
from model_serving.query.ports import Change, Document, Happening, Listener

__all__ = ["BoardKnown"]

_HAPPENINGS = {Topic.STATUS: Happening.STATUS, Topic.STATISTICS: Happening.STATISTICS}
_TAKEN_BACK = "rolled back"
"""How the detail of a status begins if it is about a version before the present one that serves again."""


class BoardKnown:
    """See ``query.ports.Known``."""

    def __init__(self, board: Board, age_s: Callable[[], float | None] = lambda: None) -> None:
        """``age_s`` gives the seconds since Kafka last answered."""
        self._board = board
        self._age_s = age_s
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()
        self._encodings = Encodings()

    def age_s(self) -> float | None:
        """See ``Known``."""
        return self._age_s()

    def names(self, search: str = "") -> Sequence[str]:
        """See ``Known``."""
        return self._board.names(search)

    def serving_names(self) -> Sequence[str]:
        """See ``Known``."""
        return self._board.serving_names()

    def data_types(self, search: str, order: Order, *, descending: bool, offset: int, limit: int) -> Json:
        """See ``Known``."""
        page = self._board.data_types(search, order=order, descending=descending, offset=offset, limit=limit)
        items = json_list(map(self._data_type, page.data_types))
        return json_object({"total": encoded(page.total), "offset": encoded(page.offset), "items": items})

    def serving(self, data_type: str) -> Document | None:
        """See ``Known``."""
        found = self._board.data_type(data_type)
        return None if found is None else serving_document(found)

    def data_type(self, name: str) -> Json | None:
        """See ``Known``."""
        found = self._board.data_type(name)
        return None if found is None else self._data_type(found)

    def versions(self, name: str) -> list[Json] | None:
        """See ``Known``."""
        if name not in self._board:
            return None
        return [
            self._encodings.of(("version", name, one.version), one, version_document)
            for one in self._board.versions(name)
        ]

    def series(self, name: str) -> Json | None:
        """See ``Known``."""
        return None if name not in self._board else encoded(series_document(self._board.series(name)))

    def dead_letters(self, limit: int, data_type: str | None = None) -> list[Json]:
        """See ``Known``."""
        return [self._letter(one) for one in self._board.dead_letters(limit, data_type)]

    def letters_by_reason(self, data_type: str | None = None) -> Mapping[str, int]:
        """See ``Known``."""
        return self._board.dead_letter_counts(data_type)

    def dead_letter_counts(self) -> Mapping[tuple[str, str], int]:
        """See ``Known``. Letters that belong to no known data type are counted for the empty one."""
        rest = Counter(self._board.dead_letter_counts())
        counts: dict[tuple[str, str], int] = {}
        for name, letters in self._board.letters_of_types().items():
            for reason, count in letters.items():
                counts[name, reason] = count
                rest[reason] -= count
        return {("", reason): count for reason, count in rest.items() if count > 0} | counts

    def waiting(self) -> Mapping[str, int]:
        """See ``Known``."""
        return self._board.waiting()

    def figures(self) -> Iterable[Figures]:
        """See ``Known``."""
        for name in self._board.names():
            yield from self._board.figures(name)

    def rollbacks(self) -> Mapping[str, int]:
        """See ``Known``."""
        counts = {
            name: sum(one.detail.startswith(_TAKEN_BACK) for one in self._board.standing(name).changes)
            for name in self._board.names()
        }
        return {name: count for name, count in counts.items() if count}

    def hear(self, news: Sequence[News]) -> None:
        """Tells the listeners what is new. See ``observe.reading.BoardFeeder.listen``."""
        listeners = self._listeners
        if not listeners:
            return
        # Of several reports about a data type, the last one says it all.
        changes = dict.fromkeys(
            Change(_HAPPENINGS[one.topic], one.data_type) for one in news if one.letter is None
        )
        letters = [
            Change(Happening.DEAD_LETTER, one.data_type, partial(self._letter, one.letter))
            for one in news
            if one.letter is not None
        ]
        for listener in listeners:
            listener([*changes, *letters])

    def _data_type(self, found: DataType) -> Json:
        return self._encodings.of(("data type", found.data_type), found, data_type_document)

    def _letter(self, letter: Letter) -> Json:
        return self._encodings.of(("letter", letter.place), letter, letter_document)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """See ``Known``."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def forget() -> None:
            with self._lock:
                self._listeners = tuple(one for one in self._listeners if one is not listener)

        return forget
