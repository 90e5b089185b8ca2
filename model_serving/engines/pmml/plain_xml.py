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

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from xml.etree.ElementTree import Element

__all__ = ["read_plain"]

_PIECE = 1 << 13
"""The number of bytes that are parsed at once: other threads get their turn between pieces."""

_FIRST_BYTES, _LONGEST_HEAD = 1 << 10, 1 << 16
"""The root is looked for in pieces of the first size, up to the second."""

_START_TAG = re.compile(rb"<(?:[^<>\"']|\"[^\"]*\"|'[^']*')*+>")
_DECLARATION, _PREFIX = b"xmlns", "xmlns:"


def read_plain(
    content: bytes, most_elements: int, most_levels: int, refuse_doctype: Callable[..., None]
) -> Element | None:
    """Returns the root of a document; None where this module cannot read it, for whatever reason.

    Args:
        content: the document, which begins with a mark of its encoding, its declaration or its first element.
        most_elements: the number of elements that a document may have.
        most_levels: how deep elements may nest.
        refuse_doctype: is called for a DOCTYPE, and raises an exception.
    """
    try:
        head = _head(content, refuse_doctype)
        if head is None:
            return None
        builder = TreeBuilder()
        around = builder.start("", {})
        # It could be led astray only by a DOCTYPE, and none comes so far.
        parser = XMLParser(target=builder)  # noqa: S314
        parser.feed(content[: head.start])
        parser.feed(head.tag())
        if not _feed(parser, content, head.end, around, most_elements, most_levels):
            return None
        parser.close()
    except (expat.ExpatError, ParseError, LookupError, ValueError):
        return None
    root: Element = around[0]
    root.attrib = head.attributes
    if any(content.find(f"{prefix}:".encode(), head.end) >= 0 for prefix in head.prefixes):
        _rename(root, head.prefixes)
    return root


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

    def tag(self) -> bytes:
        """Returns a start tag in which each prefix stands for itself, and names without one have no space."""
        declared = "".join(f' {_PREFIX}{prefix}="{prefix}"' for prefix in self.prefixes)
        return f"<{self.name}{declared}{'/' * self.is_empty}>".encode("ascii")


def _head(content: bytes, refuse_doctype: Callable[..., None]) -> _Head | None:
    """Returns what is known of the root; None if it has a prefix, or is not written in ASCII's bytes."""
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
            if tag is None or ":" in name or not tag.group().startswith(f"<{name}".encode("ascii")):
                return None
            return _Head(start, tag.end(), name, attributes, tag.group().endswith(b"/>"))
    return None


def _feed(
    parser: XMLParser, content: bytes, place: int, around: Element, most_elements: int, most_levels: int
) -> bool:
    """Parses the rest of a document from a place on. Returns False if it is not plain or may be too large."""
    view, elements, size = memoryview(content), 0, _PIECE
    newest, levels = _newest(around)
    shrunk_at: Element | None = None
    while place < len(content):
        end = place + size
        if content.find(_DECLARATION, place, end + len(_DECLARATION)) >= 0:
            return False
        # A piece of a document begins at most as many elements as it has of these characters.
        begun = content.count(b"<", place, end)
        if elements + begun > most_elements or levels + begun > most_levels:
            if size == _PIECE or shrunk_at is newest:
                return False
            shrunk_at, size = newest, _PIECE
            continue
        elements += begun
        parser.feed(view[place:end])
        place, before = end, newest
        newest, levels = _newest(around)
        # The parser begins an unfinished comment or attribute again with each piece. Growing pieces keep the
        # time for that in proportion to the document.
        size = 2 * size if newest is before else _PIECE
    return True


def _newest(element: Element) -> tuple[Element, int]:
    """Returns the element that began last inside of an element, and how deep it lies.

    While an element is read, those that are open are around its newest one.
    """
    levels = 0
    while len(element):
        element = element[-1]
        levels += 1
    return element, levels


def _rename(root: Element, prefixes: Sequence[str]) -> None:
    """Gives names in the spaces of ``_Head.tag`` their prefixes; elements in the root's space have none."""
    written = {f"{{{prefix}": f"{prefix}:" for prefix in prefixes}
    own = {f"{{{prefix}" for prefix in prefixes if root.get(_PREFIX + prefix) == root.get("xmlns", "")}

    def named(name: str) -> str:
        space, brace, rest = name.partition("}")
        return written.get(space, space + brace) + rest if brace else name

    for element in root.iter():
        space, brace, rest = element.tag.partition("}")
        if brace:
            element.tag = rest if space in own else named(element.tag)
        if "{" in "".join(element.attrib):
            element.attrib = {named(name): value for name, value in element.items()}
