"""Finds the large decision trees in a document's bytes. They are read into columns (see ``column_reading``).

The parser reads an empty element in the place of each such tree. Afterwards that element is replaced by one
that has the tree in columns.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from model_serving.engines.pmml.column_reading import read_columns
from model_serving.engines.pmml.markup import NotPlain
from model_serving.engines.pmml.xml_columns import ColumnElement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.xml_columns import XmlColumns

__all__ = ["SMALLEST", "PlainTree", "PlainTrees"]

SMALLEST = 1 << 15
"""The least number of bytes of a tree that is read in columns: small ones are faster as elements."""

_MODEL, _NODE = b"TreeModel", "Node"
_FIRST_NODE = re.compile(rb"<((?:[A-Za-z_][A-Za-z0-9_.-]*:)?Node)(?=[ \t\r\n/>])")
_ENCODING = re.compile(rb"<\?xml[^>]*?\bencoding[ \t\r\n]*=[ \t\r\n]*[\"']([A-Za-z0-9._-]+)[\"']")
_LIKE_ASCII = re.compile(r"us-ascii|iso-8859-\d+|windows-125\d")


@dataclass(frozen=True, slots=True)
class PlainTree:
    """A tree: where its root begins and ends in the document, and what stands for it meanwhile."""

    start: int
    end: int
    name: str

    @property
    def written(self) -> bytes:
        """The element that the parser reads instead."""
        return f"<{self.name}/>".encode("ascii")


class PlainTrees:
    """The large trees of one document. Whether they can be read in columns shows when they are read."""

    def __init__(self, content: bytes, start: int, named: Callable[[str], str]) -> None:
        """Takes a document of which the root begins at ``start``; ``named`` is that of ``read_columns``."""
        self._content = content
        self._start = start
        self._named = named
        self._encoding = _encoding(content[:start])
        # A name that the document cannot have, because it is made up now.
        self._name = f"tree-{secrets.token_hex(8)}-"
        self._found: list[PlainTree] = []

    def __iter__(self) -> Iterator[PlainTree]:
        """Gives the trees in the document's order."""
        for start, end in self._spans() if self._encoding else ():
            tree = PlainTree(start, end, f"{self._name}{len(self._found)}")
            self._found.append(tree)
            yield tree

    def _spans(self) -> Iterator[tuple[int, int]]:
        """Gives the places of large trees."""
        place = self._content.find(_MODEL, self._start)
        while place >= 0:
            following = self._content.find(_MODEL, place + len(_MODEL))
            first = _FIRST_NODE.search(self._content, place, max(place, following))
            if first is not None and following - first.start() >= SMALLEST and self._is_node(first[1]):
                yield first.start(), self._content.rfind(b">", first.start(), following) + 1
            place = following

    def _is_node(self, written: bytes) -> bool:
        try:
            return self._named(written.decode("ascii")) == _NODE
        except NotPlain:
            return False

    def read(self, place: int) -> XmlColumns | None:
        """Reads the tree at a place among those that were found. See ``read_columns``."""
        tree = self._found[place]
        return read_columns(self._content, tree.start, tree.end, self._encoding, self._named)

    def put_into(self, root: Element, read: Callable[[int], XmlColumns]) -> bool:
        """Puts the trees into a document, where the elements are that stand for them.

        Args:
            root: the document.
            read: gives the columns of a tree; it is called when they are asked for.

        Returns:
            False if some are not where they belong, because the parser saw them as something else, such as
            a comment.
        """
        waiting = {tree.name: place for place, tree in enumerate(self._found)}
        for model in root.iter("TreeModel") if waiting else ():
            for at, part in enumerate(model):
                place = waiting.pop(part.tag, None)
                if place is not None:
                    model[at] = ColumnElement(_NODE, partial(read, place))
                    model[at].tail = part.tail
        return not waiting


def _encoding(declaration: bytes) -> str:
    """Returns the encoding of which trees can be read, "" if they cannot."""
    found = _ENCODING.search(declaration)
    name = found[1].decode("ascii").lower() if found is not None else "utf-8"
    if name == "utf-8":
        return name
    return "ascii" if _LIKE_ASCII.fullmatch(name) else ""
