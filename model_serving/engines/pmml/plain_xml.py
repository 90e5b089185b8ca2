"""Reads documents whose names have no prefixes, nearly all large ones, with the parser that the library has in C.

That parser knows neither this project's limits nor names as they are written, so this module gives up where it
cannot be sure: the caller then reads the document with a parser that is half as fast and sees every element.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError, TreeBuilder, XMLParser
from xml.parsers import expat

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element

__all__ = ["read_plain"]

_PIECE = 1 << 13
"""The number of bytes that are parsed at once: other threads get their turn between pieces."""

_FIRST_BYTES, _LONGEST_HEAD = 1 << 10, 1 << 16
"""The root is looked for in pieces of the first size, up to the second."""

_START_TAG = re.compile(rb"<(?:[^<>\"']|\"[^\"]*\"|'[^']*')*+>")
_DECLARATION = b"xmlns"


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
        start, end, tag, attributes = head
        builder = TreeBuilder()
        around = builder.start("", {})
        parser = XMLParser(target=builder)
        parser.feed(content[:start])
        # Without its declarations, the names below the root are read as they are written, and one with a
        # prefix is an error.
        parser.feed(tag + b"/>" if content[end - 2 : end] == b"/>" else tag + b">")
        if not _feed(parser, content, end, around, most_elements, most_levels):
            return None
        parser.close()
    except (expat.ExpatError, ParseError, LookupError, ValueError):
        return None
    root: Element = around[0]
    root.attrib = attributes
    return root


def _head(
    content: bytes, refuse_doctype: Callable[..., None]
) -> tuple[int, int, bytes, dict[str, str]] | None:
    """Returns where the root's start tag begins and ends, its first bytes and its attributes.

    None if it has a prefix, is written in other bytes than ASCII's, or is not found.
    """
    found: list[tuple[int, str, dict[str, str]]] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda tag, attributes: found.append(
        (parser.CurrentByteIndex, tag, attributes)
    )
    parser.StartDoctypeDeclHandler = refuse_doctype
    for place in range(0, min(len(content), _LONGEST_HEAD), _FIRST_BYTES):
        parser.Parse(content[place : place + _FIRST_BYTES], False)
        if found:
            start, tag, attributes = found[0]
            name, written = b"<" + tag.encode(), _START_TAG.match(content, start)
            if written is None or ":" in tag or not written.group().startswith(name):
                return None
            return start, written.end(), name, attributes
    return None


def _feed(
    parser: XMLParser, content: bytes, place: int, around: Element, most_elements: int, most_levels: int
) -> bool:
    """Parses the rest of a document from a place on. Returns False if it is not plain, or may be too large."""
    view, elements = memoryview(content), 0
    while place < len(content):
        end = place + _PIECE
        if content.find(_DECLARATION, place, end + len(_DECLARATION)) >= 0:
            return False
        # A piece of a document begins at most as many elements as it has of these characters.
        begun = content.count(b"<", place, end)
        elements += begun
        if elements > most_elements or _levels(around) + begun > most_levels:
            return False
        parser.feed(view[place:end])
        place = end
    return True


def _levels(element: Element) -> int:
    """Returns how deep the last part of an element lies: while it is read, all open elements are around it."""
    levels = 0
    while len(element):
        element = element[-1]
        levels += 1
    return levels
