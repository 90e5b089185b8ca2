"""Finds the large decision trees in a document's bytes, and reads them into columns (see ``column_reading``).

The parser reads an empty element in the place of each such tree. Afterwards that element is replaced by one
that has the tree in columns.
"""

from __future__ import annotations

import re
import secrets
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from model_serving.engines.pmml.column_reading import read_columns
from model_serving.engines.pmml.xml_columns import ColumnElement, XmlColumns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from xml.etree.ElementTree import Element

__all__ = ["SMALLEST", "PlainTree", "PlainTrees"]

SMALLEST = 1 << 15
"""The least number of bytes of a tree that is read in columns: small ones are faster as elements."""

_AT_ONCE = 2
"""How many trees are read at the same time. Much of the work is numpy's, during which other threads
run; beyond two, they would wait for Python's lock. On processors that are busy with a stream, one thread gets
what is left of one of them only."""

_MOST_FAILURES = 3
_MODEL = b"TreeModel"
_FIRST_NODE = re.compile(rb"<(?:[A-Za-z_][A-Za-z0-9_.-]*:)?Node(?=[ \t\r\n/>])")
_ENCODING = re.compile(rb"<\?xml[^>]*?\bencoding[ \t\r\n]*=[ \t\r\n]*[\"']([A-Za-z0-9._-]+)[\"']")
_LIKE_ASCII = re.compile(r"us-ascii|iso-8859-\d+|windows-125\d")

_Span = tuple[int, int]
"""Where a tree begins and ends in the document."""


@dataclass(frozen=True, slots=True)
class PlainTree:
    """A tree: where its root begins and ends in the document, and what stands for it meanwhile."""

    start: int
    end: int
    columns: XmlColumns
    name: str

    @property
    def written(self) -> bytes:
        """The element that the parser reads instead."""
        return f"<{self.name}/>".encode("ascii")


class PlainTrees:
    """The large trees of one document, as far as they can be read in columns."""

    def __init__(self, content: bytes, start: int, named: Callable[[str], str]) -> None:
        """Takes a document of which the root begins at ``start``; ``named`` is that of ``read_columns``."""
        self._content = content
        self._start = start
        self._named = named
        # A name that the document cannot have, because it is made up now.
        self._name = f"tree-{secrets.token_hex(8)}-"
        self._found: list[PlainTree] = []

    def __iter__(self) -> Iterator[PlainTree]:
        """Gives the trees in the document's order. A few are read before they are asked for."""
        encoding = _encoding(self._content[: self._start])
        failures = 0
        for (start, end), columns in self._read(encoding) if encoding else ():
            if columns is None:
                failures += 1
                if failures == _MOST_FAILURES:
                    return
            else:
                tree = PlainTree(start, end, columns, f"{self._name}{len(self._found)}")
                self._found.append(tree)
                yield tree

    def _read(self, encoding: str) -> Iterator[tuple[_Span, XmlColumns | None]]:
        """Gives what can be read of each large tree, in the document's order; None: nothing."""
        threads = ThreadPoolExecutor(_AT_ONCE, "read-trees")
        begun: deque[tuple[_Span, Future[XmlColumns | None]]] = deque()
        try:
            for span in self._spans():
                begun.append((span, threads.submit(self._columns, span, encoding)))
                if len(begun) > 2 * _AT_ONCE:
                    yield _taken(begun.popleft())
            yield from map(_taken, begun)
        finally:
            threads.shutdown(cancel_futures=True)

    def _columns(self, span: _Span, encoding: str) -> XmlColumns | None:
        return read_columns(self._content, *span, encoding, self._named)

    def _spans(self) -> Iterator[_Span]:
        """Gives the places of large trees."""
        place = self._content.find(_MODEL, self._start)
        while place >= 0:
            following = self._content.find(_MODEL, place + len(_MODEL))
            first = _FIRST_NODE.search(self._content, place, max(place, following))
            if first is not None and following - first.start() >= SMALLEST:
                yield first.start(), self._content.rfind(b">", first.start(), following) + 1
            place = following

    def put_into(self, root: Element) -> bool:
        """Puts the trees into a document, where the elements are that stand for them.

        Returns False if some are not where they belong, because the parser saw them as something else, such
        as a comment.
        """
        waiting = {tree.name: tree.columns for tree in self._found}
        for model in root.iter("TreeModel") if waiting else ():
            for place, part in enumerate(model):
                columns = waiting.pop(part.tag, None)
                if columns is not None:
                    model[place] = ColumnElement(columns)
                    model[place].tail = part.tail
        return not waiting


def _taken(begun: tuple[_Span, Future[XmlColumns | None]]) -> tuple[_Span, XmlColumns | None]:
    span, columns = begun
    return span, columns.result()


def _encoding(declaration: bytes) -> str:
    """Returns the encoding of which trees can be read, "" if they cannot."""
    found = _ENCODING.search(declaration)
    name = found[1].decode("ascii").lower() if found is not None else "utf-8"
    if name == "utf-8":
        return name
    return "ascii" if _LIKE_ASCII.fullmatch(name) else ""
