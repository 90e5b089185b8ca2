"""Reads a part of an XML document into columns: its elements and attributes as arrays of numbers.

A large forest has millions of values, and to make an object of each element takes most of the time of its
load. This module splits the text at its quotes instead. What stands between the values repeats, so it is read
once (see ``markup``), and all the rest is arithmetic on arrays. Only text of the plainest form is read; it is
checked to be well-formed. Whatever else there is, such as a comment, makes it give up.
"""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from dataclasses import dataclass
from itertools import count, islice
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, SubElement

import numpy as np
import numpy.typing as npt

from model_serving.engines.pmml.markup import Markup, NotPlain, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ColumnElement", "XmlColumns", "read_columns"]

Indices = npt.NDArray[np.signedinteger[Any]]

_PIECE = 1 << 14
"""The number of bytes that are split at once: other threads get their turn between pieces."""

_MOST_KINDS = 1 << 14
"""The greatest number of different pieces of markup: where each one is new, this way has no gain."""

_MOST_ATTRIBUTES = 60
"""The greatest number of names of attributes: sets of them are the bits of a number."""

_REFERENCE = re.compile("&(?:(lt|gt|amp|quot|apos);)?")
_REFERENCES = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}


@dataclass(frozen=True, slots=True, eq=False)
class XmlColumns:
    """The elements of one element and below, in the document's order: E elements with A attributes.

    Attributes:
        tag_names: the names of elements.
        attribute_names: the names of attributes.
        texts: the different values of attributes.
        tags: the place of each element's name, shape (E,).
        parents: the place of the element around each one, -1 for the first, shape (E,).
        levels: the greatest depth, 1 if there is only one element.
        sets: the attributes that each element has, as bits by their names' places, shape (E,).
        owners: the elements of the attributes, shape (A,).
        attributes: the places of their names, shape (A,).
        values: the places of their values, shape (A,).
        contents: the text in some elements; elements that have elements in them have none.
    """

    tag_names: Vocabulary
    attribute_names: Vocabulary
    texts: list[str]
    tags: Indices
    parents: Indices
    levels: int
    sets: Indices
    owners: Indices
    attributes: Indices
    values: Indices
    contents: dict[int, str]

    def column(self, attribute: str) -> Indices:
        """Returns the place of the attribute's value in each element, -1 where there is none, shape (E,)."""
        made = np.full(len(self.tags), -1, dtype=np.intp)
        chosen = np.flatnonzero(self.attributes == self.attribute_names.find(attribute))
        made[self.owners[chosen]] = self.values[chosen]
        return made

    def bits(self, *attributes: str) -> int:
        """Returns the set (see ``sets``) of some attributes, as far as any element has them."""
        places = [self.attribute_names.find(name) for name in attributes]
        return sum(1 << place for place in places if place >= 0)

    def element(self, place: int) -> Element:
        """Returns a new tree of an element and all below it."""
        made: dict[int, Element] = {}
        names, kinds, texts = self.tag_names.texts, self.attribute_names.texts, self.texts
        at = int(self.owners.searchsorted(place))
        for one in range(place, len(self.tags)):
            above = made.get(int(self.parents[one]))
            if above is None and made:
                break
            attributes = {}
            while at < len(self.owners) and self.owners[at] == one:
                attributes[kinds[self.attributes[at]]] = texts[self.values[at]]
                at += 1
            name = names[self.tags[one]]
            made[one] = Element(name, attributes) if above is None else SubElement(above, name, attributes)
            if one in self.contents:
                made[one].text = self.contents[one]
        return made[place]


class ColumnElement(Element):
    """An element that is in columns: empty until ``fill`` gives it its attributes and children."""

    def __init__(self, columns: XmlColumns) -> None:
        super().__init__(columns.tag_names.texts[columns.tags[0]])
        self.columns = columns

    def fill(self) -> None:
        """Makes this an element like any other. It does nothing the second time."""
        if not len(self) and not self.attrib:
            full = self.columns.element(0)
            self.attrib, self.text = full.attrib, full.text
            self[:] = full


def read_columns(
    content: bytes, start: int, end: int, encoding: str, named: Callable[[str], str]
) -> XmlColumns | None:
    """Reads the bytes of one element of a document.

    Args:
        content: the document.
        start: where the element begins.
        end: where it ends.
        encoding: that of the document, which must be one in which ASCII's characters are those of ASCII.
        named: gives an element's name from what is written; raises NotPlain for prefixes without meaning.

    Returns:
        None if the bytes are not in the plainest form, or not well-formed.
    """
    try:
        read = _Splitting(encoding)
        read.split(content, start, end)
        return _columns(read, named)
    except (NotPlain, UnicodeDecodeError):
        return None


def _numbering() -> dict[str, int]:
    """Returns a table that numbers the texts that it is asked for, in the order in which they come up."""
    return defaultdict(count().__next__)


class _Splitting:
    """The pieces of markup of a text, and the values between them."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self.tags, self.attributes = Vocabulary(), Vocabulary()
        self.kinds: list[Markup] = []
        self.markup, self.values = array("i"), array("i")
        self.known: dict[str, int] = _numbering()
        self._known_markup: dict[str, int] = _numbering()

    def split(self, content: bytes, start: int, end: int) -> None:
        """Splits a part of a document.

        Raises:
            NotPlain: there is markup that is not known.
        """
        view, place, is_value = memoryview(content), start, False
        number_of_markup, number_of_value = self._known_markup.__getitem__, self.known.__getitem__
        while place <= end:
            cut = content.rfind(b'"', place, min(place + _PIECE, end)) if end - place > _PIECE else end
            if cut < 0:  # a long value
                cut = content.find(b'"', place, end)
                cut = end if cut < 0 else cut
            pieces = str(view[place:cut], self._encoding).split('"')
            self.markup.extend(map(number_of_markup, pieces[is_value::2]))
            self.values.extend(map(number_of_value, pieces[not is_value :: 2]))
            is_value ^= len(pieces) % 2 == 1
            place = cut + 1
            if len(self._known_markup) > _MOST_KINDS:
                raise NotPlain
            for piece in islice(self._known_markup, len(self.kinds), None):
                made = Markup.read(piece, self.tags, self.attributes, is_first=not self.kinds)
                self.kinds.append(made)
        if len(self.attributes.texts) > _MOST_ATTRIBUTES or len(self.markup) != len(self.values) + 1:
            raise NotPlain


def _columns(read: _Splitting, named: Callable[[str], str]) -> XmlColumns:
    """Puts the pieces together.

    Raises:
        NotPlain: they are not well-formed, or some value has a reference or a special character.
    """
    markup, values = np.array(read.markup), np.array(read.values)
    attributes = np.array([kind.attribute for kind in read.kinds])[markup]
    if (attributes[:-1] < 0).any() or attributes[-1] >= 0 or (markup[1:] == 0).any():
        raise NotPlain  # the first piece is read in another way than all others
    attributes = attributes[:-1]
    steps = _steps(read.kinds, markup)
    begins = steps > 0
    depth = np.cumsum(np.where(begins, 1, -1))
    if not len(depth) or depth[-1] != 0 or depth.min() < 0 or (depth[:-1] == 0).any():
        raise NotPlain
    _check_ends(steps, np.where(begins, depth, depth + 1))
    begun = np.array([sum(step > 0 for step in kind.steps) for kind in read.kinds])[markup]
    last = np.cumsum(begun) - 1
    owners = last[:-1]
    texts, values = _texts(read.known, values)
    levels = depth[begins]
    with_text = np.array([bool(kind.text) for kind in read.kinds])[markup]
    tag_names = Vocabulary()
    numbers = np.array([tag_names.number(named(tag)) for tag in read.tags.texts])
    for attribute in read.attributes.texts:
        named(attribute)  # its prefix has to be declared; it keeps it
        if attribute.startswith("xmlns"):
            raise NotPlain
    return XmlColumns(
        tag_names,
        read.attributes,
        texts,
        numbers[steps[begins] - 1],
        _parents(levels),
        int(levels.max()),
        _sets(owners, attributes, len(levels)),
        owners,
        attributes,
        values,
        {
            int(last[place] - begun[place]): read.kinds[markup[place]].text
            for place in np.flatnonzero(with_text)
        },
    )


def _steps(kinds: Sequence[Markup], markup: Indices) -> Indices:
    """Returns the steps of all pieces, one after the other."""
    lengths = np.array([len(kind.steps) for kind in kinds])
    known = np.array([step for kind in kinds for step in kind.steps], dtype=np.int32)
    starts = np.cumsum(lengths) - lengths
    counts = lengths[markup]
    places = np.repeat(starts[markup] - (np.cumsum(counts) - counts), counts)
    places += np.arange(len(places))
    made: Indices = known[places]
    return made


def _check_ends(steps: Indices, levels: Indices) -> None:
    """Raises NotPlain if an end tag has another name than the element that it ends."""
    # On each level, begin and end take turns.
    in_levels = steps[np.argsort(levels.astype(np.int32), kind="stable")]
    begins, ends = in_levels[0::2], in_levels[1::2]
    if not ((ends == 0) | (ends == -begins)).all():
        raise NotPlain


def _parents(levels: Indices) -> Indices:
    """Returns the place of the last element before each one that lies one level higher, -1 for the first."""
    count = len(levels)
    keys = levels * count + np.arange(count)
    ordered = np.sort(keys)
    parents: Indices = ordered[ordered.searchsorted(keys - count) - 1] % count
    parents[0] = -1
    return parents


def _sets(owners: Indices, attributes: Indices, count: int) -> Indices:
    """Returns the attributes of each element as bits.

    Raises:
        NotPlain: an element has an attribute twice.
    """
    made = np.zeros(count, dtype=np.int64)
    if len(owners):
        starts = np.flatnonzero(np.diff(owners, prepend=-1))
        bits = np.left_shift(1, attributes, dtype=np.int64)
        made[owners[starts]] = np.bitwise_or.reduceat(bits, starts)
        if (made[owners[starts]] != np.add.reduceat(bits, starts)).any():
            raise NotPlain
    return made


def _texts(known: dict[str, int], values: Indices) -> tuple[list[str], Indices]:
    """Returns the different values with their references resolved, and the place of each value among them."""
    texts = list(known)
    together = "".join(texts)
    if "<" in together or not together.isprintable():
        raise NotPlain
    if "&" not in together:
        return texts, values
    numbers = Vocabulary()
    places = np.array([numbers.number(_resolved(text)) for text in texts])
    return numbers.texts, places[values]


def _resolved(text: str) -> str:
    def character(found: re.Match[str]) -> str:
        if found[1] is None:
            raise NotPlain
        return _REFERENCES[found[1]]

    return _REFERENCE.sub(character, text) if "&" in text else text
