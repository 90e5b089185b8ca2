"""A part of an XML document in columns: its elements and attributes as arrays of numbers.

A large forest has millions of values, and to make an object of each element takes most of the time of its
load.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, SubElement

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

    from model_serving.engines.pmml.markup import Vocabulary

__all__ = ["ColumnElement", "Indices", "XmlColumns"]

Indices = npt.NDArray[np.signedinteger[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class XmlColumns:
    """The elements of one element and below, in the document's order.

    They are E elements with A attributes, which have T different values.

    Attributes:
        tag_names: the names of elements.
        attribute_names: the names of attributes.
        texts: the different values of attributes.
        numbers: the numbers that they spell, NaN where a text spells none, or not in the plainest way, shape
            (T,).
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
    numbers: npt.NDArray[np.float64]
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

    def __init__(self, name: str, read: Callable[[], XmlColumns]) -> None:
        """``read`` gives the columns, once they are asked for."""
        super().__init__(name)
        self._read = read
        self._columns: XmlColumns | None = None

    @property
    def columns(self) -> XmlColumns:
        """The element and all below it.

        Raises:
            NotInColumns: the document cannot be read in this way.
        """
        if self._columns is None:
            self._columns = self._read()
        return self._columns

    def fill(self) -> None:
        """Makes this an element like any other. It does nothing the second time.

        Raises:
            NotInColumns: see ``columns``.
        """
        if not len(self) and not self.attrib:
            full = self.columns.element(0)
            self.attrib, self.text = full.attrib, full.text
            self[:] = full
