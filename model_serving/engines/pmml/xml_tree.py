"""Reads untrusted XML into a tree, and writes a tree as XML, with limits and without recursion.

Element names lose the prefix for the namespace of the root element: a document whose root is
``<pmml:PMML xmlns:pmml="…">`` becomes the same tree as one whose root is ``<PMML xmlns="…">``. Other prefixes
are kept, because PMML's tables refer to names with them.
"""

from __future__ import annotations

import codecs
import re
from types import TracebackType
from typing import Any, Self
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from model_serving.core.errors import ModelRejected
from model_serving.engines.collector import dismantle
from model_serving.engines.foreign_errors import first_line
from model_serving.engines.pmml.plain_xml import read_plain
from model_serving.engines.pmml.tree_reader import TreeReader

__all__ = ["XmlDocument", "read_xml", "written"]

MOST_ELEMENTS = 4_000_000
MOST_LEVELS = 1000
"""The greatest depth of nested elements: the evaluator reads them recursively."""

_TOO_DEEP = f"the PMML document nests more than {MOST_LEVELS} elements: flatten the model"
_PIECE = 1 << 15
"""The number of bytes that are parsed at once: other threads get their turn between pieces."""

_PLAIN = re.compile(r"[\w .,:+-]*")
_SPACES = " \t\r\n"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class XmlDocument:
    """A document's elements. Its large decision trees may be in columns (see ``ColumnElement``).

    Such trees are read when they are asked for, so what is wrong with them shows only then. As a context
    manager, a document takes itself apart at the end.
    """

    def __init__(self, root: Element, trees: TreeReader | None = None) -> None:
        self.root = root
        self._trees = trees

    def read_rest(self) -> None:
        """Reads the trees that nobody has asked for, which checks them.

        Raises:
            NotInColumns: one of them cannot be read in columns.
        """
        if self._trees is not None:
            self._trees.read_rest()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._trees is not None:
            self._trees.close()
        dismantle(self.root)


def read_xml(content: bytes, most_bytes: int, *, in_columns: bool = True) -> XmlDocument:
    """Reads a document in any encoding that expat knows. White space before it is allowed.

    Args:
        content: the document.
        most_bytes: how many bytes it may have.
        in_columns: large decision trees may be in columns. Should one of them not be as plain as that takes,
            ``NotInColumns`` is raised when it is asked for: read the document again without this.

    Raises:
        ModelRejected: the document is not well-formed XML, has a DOCTYPE, is too large or nested too deeply.
    """
    if len(content) > most_bytes:
        raise ModelRejected(
            f"the PMML document has {len(content):,} bytes, but the limit is {most_bytes:,}: "
            "use a smaller model, or raise --pmml-size-limit"
        )
    content = _without_leading_spaces(content)
    read = read_plain(content, MOST_ELEMENTS, MOST_LEVELS, _refuse_doctype, in_columns=in_columns)
    return XmlDocument(_read(content)) if read is None else XmlDocument(*read)


def _read(content: bytes) -> Element:
    """Reads a document element by element, with whatever prefixes."""
    reading = _Reading()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.builder.data
    parser.StartDoctypeDeclHandler = _refuse_doctype
    view = memoryview(content)
    try:
        place, size = 0, _PIECE
        while place < len(view):
            before = reading.elements
            parser.Parse(view[place : place + size], False)
            place += size
            # The parser reads an unfinished comment or attribute from its beginning again with each piece.
            size = 2 * size if reading.elements == before else _PIECE
        parser.Parse(b"", True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise ModelRejected(f"not a well-formed XML document: {first_line(error)}") from error
    return reading.builder.close()


def written(root: Element) -> str:
    """Writes the tree as XML. The standard library's writer is recursive, but a decision tree can be deep."""
    parts: list[str] = []
    pending: list[Element | str] = [root]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            parts.append(item)
            continue
        attributes = "".join([f" {name}={_quoted(value)}" for name, value in item.items()])
        parts.append(f"<{item.tag}{attributes}>{escape(item.text) if item.text else ''}")
        pending.append(f"</{item.tag}>{escape(item.tail) if item.tail else ''}")
        pending.extend(reversed(item))
    return "".join(parts)


class _Reading:
    """The state while a document is read."""

    def __init__(self) -> None:
        self.builder = TreeBuilder()
        self._level = self.elements = 0
        self._namespace = ""
        # Pairs of a level and the prefixes that are valid inside it, the innermost last.
        self._scopes: list[tuple[int, dict[str, str]]] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._level += 1
        self.elements += 1
        if self._level > MOST_LEVELS:
            raise ModelRejected(_TOO_DEEP)
        if self.elements > MOST_ELEMENTS:
            raise ModelRejected(
                f"the PMML document has more than {MOST_ELEMENTS:,} elements: use a smaller model"
            )
        for name, value in attributes.items():
            if name[:6] == "xmlns:":  # faster than ``startswith``, for every attribute of the document
                self._declare(name[6:], value)
        if self.elements == 1:
            prefix = tag.rpartition(":")[0]
            self._namespace = self._of_prefix(prefix) if prefix else attributes.get("xmlns", "")
        if ":" in tag:
            prefix, _, name = tag.partition(":")
            tag = name if self._of_prefix(prefix) == self._namespace else tag
        self.builder.start(tag, attributes)

    def end(self, tag: str) -> None:
        if self._scopes and self._scopes[-1][0] == self._level:
            self._scopes.pop()
        self._level -= 1
        self.builder.end(tag)

    def _declare(self, prefix: str, namespace: str) -> None:
        if not self._scopes or self._scopes[-1][0] != self._level:
            self._scopes.append((self._level, dict(self._scopes[-1][1]) if self._scopes else {}))
        self._scopes[-1][1][prefix] = namespace

    def _of_prefix(self, prefix: str) -> str:
        """Returns the namespace of a prefix; an undeclared prefix has a namespace of its own."""
        return self._scopes[-1][1].get(prefix, f"{prefix}:") if self._scopes else f"{prefix}:"


def _refuse_doctype(*_: Any) -> None:
    raise ModelRejected("the PMML document has a DOCTYPE, which could pull in other files: remove it")


def _without_leading_spaces(content: bytes) -> bytes:
    """Drops leading space: an XML declaration must come first, but templates often begin with a blank."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            spaces = tuple(space.encode(encoding) for space in _SPACES)
            start = len(mark)
            while content.startswith(spaces, start):
                start += len(spaces[0])
            return content if start == len(mark) else mark + content[start:]
    return content.lstrip(_SPACES.encode())


def _quoted(value: str) -> str:
    # quoteattr is slow, and nearly all of a large model's values are plain.
    return f'"{value}"' if _PLAIN.fullmatch(value) else quoteattr(value)
