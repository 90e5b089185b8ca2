"""Reads documents that declare their namespaces at the root, as nearly all do, with ElementTree's parser.

That parser is in C. It knows neither this project's limits nor names as they are written, so this module
gives up where it cannot be sure: the caller then reads the document in a slower way that sees every element.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError, TreeBuilder, XMLParser
from xml.parsers import expat

from model_serving.engines.pmml.markup import NotPlain
from model_serving.engines.pmml.plain_trees import PlainTrees
from model_serving.engines.pmml.tree_reader import TreeReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.plain_trees import PlainTree

__all__ = ["read_plain"]

_PIECE = 1 << 13
"""The number of bytes that are parsed at once: other threads get their turn between pieces."""

_FIRST_BYTES, _LONGEST_HEAD = 1 << 10, 1 << 16
"""The root is looked for in pieces of the first size, up to the second."""

_START_TAG = re.compile(rb"<(?:[^<>\"']|\"[^\"]*\"|'[^']*')*+>")
_DECLARATION, _PREFIX = "xmlns", "xmlns:"


def read_plain(
    content: bytes,
    most_elements: int,
    most_levels: int,
    refuse_doctype: Callable[..., None],
    *,
    in_columns: bool = True,
) -> tuple[Element, TreeReader] | None:
    """Returns the root of a document and its large trees; None where this module cannot read it.

    Args:
        content: the document, which begins with a mark of its encoding, its declaration or its first element.
        most_elements: the number of elements that a document may have.
        most_levels: how deep elements may nest.
        refuse_doctype: is called for a DOCTYPE, and raises an exception.
        in_columns: large trees are read in columns, when they are asked for.
    """
    try:
        head = _head(content, refuse_doctype)
        if head is None:
            return None
        trees = PlainTrees(content, head.end, head.named)
        builder = TreeBuilder()
        around = builder.start("", {})
        # It could be led astray only by a DOCTYPE, and none comes so far.
        parser = XMLParser(target=builder)  # noqa: S314
        parser.feed(content[: head.start])
        parser.feed(head.tag())
        feed = _Feed(parser, content, around, most_elements, most_levels)
        place, levels_left = head.end, []
        for tree in trees if in_columns else ():
            if not feed.text(place, tree.start) or not feed.tree(tree):
                return None
            levels_left.append(most_levels - feed.levels + 1)
            place = tree.end
        if not feed.text(place, len(content)):
            return None
        parser.close()
    except (expat.ExpatError, ParseError, LookupError, ValueError):
        return None
    root: Element = around[0]
    root.attrib = head.attributes
    if root.tag != head.name or any(
        content.find(f"{prefix}:".encode(), head.end) >= 0 for prefix in head.prefixes
    ):
        _rename(root, head)
    reader = TreeReader(trees.read, levels_left, most_elements - feed.elements)
    return (root, reader) if trees.put_into(root, reader.read) else None


@dataclass(frozen=True, slots=True)
class _Head:
    """Where the root's start tag begins and ends, and what it says."""

    start: int
    end: int
    name: str
    attributes: dict[str, str]
    is_empty: bool

    @property
    def prefixes(self) -> list[str]:
        """The prefixes that are declared."""
        return [name[len(_PREFIX) :] for name in self.attributes if name.startswith(_PREFIX)]

    @property
    def own_prefixes(self) -> list[str]:
        """The prefixes that are declared for the namespace of the root."""
        prefix, colon, _ = self.name.partition(":")
        space = self.attributes.get(_PREFIX + prefix if colon else _DECLARATION, "")
        return [one for one in self.prefixes if self.attributes[_PREFIX + one] == space]

    def named(self, written: str) -> str:
        """Returns the name that an element gets in the tree.

        Raises:
            NotPlain: its prefix is not declared here.
        """
        prefix, colon, rest = written.partition(":")
        if colon and prefix not in self.prefixes:
            raise NotPlain
        return rest if colon and prefix in self.own_prefixes else written

    def tag(self) -> bytes:
        """Returns a start tag in which each prefix stands for itself, and names without one have no space."""
        declared = "".join(f' {_PREFIX}{prefix}="{prefix}"' for prefix in self.prefixes)
        return f"<{self.name}{declared}{'/' * self.is_empty}>".encode("ascii")


def _head(content: bytes, refuse_doctype: Callable[..., None]) -> _Head | None:
    """Returns what is known of the root; None if it is not written in ASCII's bytes."""
    found: list[tuple[int, str, dict[str, str]]] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, attributes: found.append(
        (parser.CurrentByteIndex, name, attributes)
    )
    parser.StartDoctypeDeclHandler = refuse_doctype
    for place in range(0, min(len(content), _LONGEST_HEAD), _FIRST_BYTES):
        parser.Parse(content[place : place + _FIRST_BYTES], False)
        if found:
            start, name, attributes = found[0]
            tag = _START_TAG.match(content, start)
            if tag is None or not tag.group().startswith(f"<{name}".encode("ascii")):
                return None
            return _Head(start, tag.end(), name, attributes, tag.group().endswith(b"/>"))
    return None


class _Feed:
    """Gives a document to the parser in small pieces, and counts what comes out of it."""

    def __init__(
        self, parser: XMLParser, content: bytes, around: Element, most_elements: int, most_levels: int
    ) -> None:
        """``around`` is the element that the parser puts the document's elements into.

        ``elements`` is how many there may be by now, ``levels`` how deep the newest one lies.
        """
        self._parser, self._content = parser, content
        self._around, self.elements = around, 0
        self._most_elements, self._most_levels = most_elements, most_levels
        self._newest, self.levels = _newest(around)

    def text(self, place: int, stop: int) -> bool:
        """Parses a part of the document. Returns False if it is not plain or may be too large."""
        content, view, size = self._content, memoryview(self._content), _PIECE
        shrunk_at: Element | None = None
        while place < stop:
            end = min(place + size, stop)
            if content.find(_DECLARATION.encode(), place, end + len(_DECLARATION)) >= 0:
                return False
            # A piece of a document begins at most as many elements as it has of these characters.
            if not self._fits(content.count(b"<", place, end)):
                if size == _PIECE or shrunk_at is self._newest:
                    return False
                shrunk_at, size = self._newest, _PIECE
                continue
            before = self._newest
            self._parse(view[place:end], content.count(b"<", place, end))
            place = end
            # The parser begins an unfinished comment or attribute again with each piece. Growing pieces keep
            # the time for that in proportion to the document.
            size = 2 * size if self._newest is before else _PIECE
        return True

    def tree(self, tree: PlainTree) -> bool:
        """Parses what stands for a tree. Returns False if the document may be too large with it."""
        if not self._fits(1):
            return False
        self._parse(tree.written, 1)
        return True

    def _fits(self, elements: int) -> bool:
        """Returns whether the limits hold with this many more elements, each inside of the one before it."""
        return self.elements + elements <= self._most_elements and self.levels + elements <= self._most_levels

    def _parse(self, piece: bytes | memoryview, elements: int) -> None:
        self.elements += elements
        self._parser.feed(piece)
        self._newest, self.levels = _newest(self._around)


def _newest(element: Element) -> tuple[Element, int]:
    """Returns the element that began last inside of an element, and how deep it lies.

    While an element is read, those that are open are around its newest one.
    """
    levels = 0
    while len(element):
        element = element[-1]
        levels += 1
    return element, levels


def _rename(root: Element, head: _Head) -> None:
    """Gives names in the spaces of ``_Head.tag`` their prefixes; elements in the root's space have none."""
    written = {f"{{{prefix}": f"{prefix}:" for prefix in head.prefixes}
    own = {f"{{{prefix}" for prefix in head.own_prefixes}

    def named(name: str) -> str:
        space, brace, rest = name.partition("}")
        return written.get(space, space + brace) + rest if brace else name

    for element in root.iter():
        space, brace, rest = element.tag.partition("}")
        if brace:
            element.tag = rest if space in own else named(element.tag)
        if "{" in "".join(element.attrib):
            element.attrib = {named(name): value for name, value in element.items()}
