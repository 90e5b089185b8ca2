"""Finds the large decision trees in a document's bytes, and reads them into columns (see ``column_reading``).

The parser reads an empty element in the place of each such tree. Afterwards that element is replaced by one
that has the tree in columns.
"""

from __future__ import annotations

import re
import secrets
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

_MOST_FAILURES = 3
_MODEL = b"TreeModel"
_FIRST_NODE = re.compile(rb"<(?:[A-Za-z_][A-Za-z0-9_.-]*:)?Node(?=[ \t\r\n/>])")
_ENCODING = re.compile(rb"<\?xml[^>]*?\bencoding[ \t\r\n]*=[ \t\r\n]*[\"']([A-Za-z0-9._-]+)[\"']")
_LIKE_ASCII = re.compile(r"us-ascii|iso-8859-\d+|windows-125\d")


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
        """Gives the trees in the document's order. Each one is read when it is asked for."""
        encoding = _encoding(self._content[: self._start])
        failures = 0
        place = self._content.find(_MODEL, self._start) if encoding else -1
        while place >= 0 and failures < _MOST_FAILURES:
            following = self._content.find(_MODEL, place + len(_MODEL))
            first = _FIRST_NODE.search(self._content, place, max(place, following))
            if first is not None and following - first.start() >= SMALLEST:
                start, end = first.start(), self._content.rfind(b">", first.start(), following) + 1
                columns = read_columns(self._content, start, end, encoding, self._named)
                if columns is None:
                    failures += 1
                else:
                    tree = PlainTree(start, end, columns, f"{self._name}{len(self._found)}")
                    self._found.append(tree)
                    yield tree
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


def _encoding(declaration: bytes) -> str:
    """Returns the encoding of which trees can be read, "" if they cannot."""
    found = _ENCODING.search(declaration)
    name = found[1].decode("ascii").lower() if found is not None else "utf-8"
    if name == "utf-8":
        return name
    return "ascii" if _LIKE_ASCII.fullmatch(name) else ""
