"""Reads the large trees of a document while those before them are compiled.

More than half of a load is reading, and much of that is Arrow's or numpy's, during which other threads run.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from model_serving.engines.pmml.xml_columns import XmlColumns

__all__ = ["NotInColumns", "TreeReader"]

_AHEAD = 4
"""How many trees are read before they are asked for, at most: what is not needed yet takes memory."""


class NotInColumns(Exception):
    """A tree cannot be read in columns, or not within the document's limits: read it as elements."""


class TreeReader:
    """The trees of one document, read by one thread. Nothing is read before the first one is asked for.

    More threads would take the processors and Python's lock from the records that are served meanwhile, and
    gain nothing. Close it at the end.
    """

    def __init__(
        self, read: Callable[[int], XmlColumns | None], most_levels: Sequence[int], most_elements: int
    ) -> None:
        """Takes the trees of a document.

        Args:
            read: reads the tree at a place; called in a thread of this reader.
            most_levels: how deep each tree may nest, its root included.
            most_elements: how many elements all of the trees may have together.
        """
        self._read_tree = read
        self._most_levels = most_levels
        self._elements_left = most_elements
        self._thread: ThreadPoolExecutor | None = None
        self._begun: list[Future[XmlColumns | None] | None] = []

    def read(self, place: int) -> XmlColumns:
        """Returns a tree's columns, once. They are read fastest in the order of their places.

        Raises:
            NotInColumns: it cannot be read in columns, or a limit is passed.
        """
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "read-trees")
        for following in range(len(self._begun), min(place + 1 + _AHEAD, len(self._most_levels))):
            self._begun.append(self._thread.submit(self._read_tree, following))
        begun, self._begun[place] = self._begun[place], None
        columns = None if begun is None else begun.result()
        if columns is None or columns.levels > self._most_levels[place]:
            raise NotInColumns
        self._elements_left -= len(columns.tags)
        if self._elements_left < 0:
            raise NotInColumns
        return columns

    def read_rest(self) -> None:
        """Reads the trees that nobody has asked for, to see that they can be read and are within the limits.

        Raises:
            NotInColumns: see ``read``.
        """
        for place in range(len(self._most_levels)):
            if place >= len(self._begun) or self._begun[place] is not None:
                self.read(place)

    def close(self) -> None:
        """Ends the thread. A tree that is being read is finished first."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
