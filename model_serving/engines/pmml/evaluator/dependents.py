"""Which DerivedFields of the TransformationDictionary depend on a field."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_serving.engines.pmml.evaluator.reading import named

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from xml.etree.ElementTree import Element

__all__ = ["Dependents"]


class Dependents:
    """The DerivedFields of a TransformationDictionary by the fields that they are made of.

    A model that treats a field in a way of its own sees the DerivedFields made of the treated values
    (PMML 4.4, Scope of Fields).
    """

    def __init__(self, transformations: Element | None) -> None:
        self._derived = [] if transformations is None else named(list(transformations), "DerivedField")
        self._sources: list[set[str]] | None = None

    def of(self, names: AbstractSet[str]) -> list[Element]:
        """Returns the DerivedFields that are made of some of these fields, directly or by others."""
        if not names or not self._derived:
            return []
        if self._sources is None:
            self._sources = [_sources(element) for element in self._derived]
        known = set(names)
        found: dict[int, Element] = {}
        grows = True
        while grows:
            grows = False
            for place, element in enumerate(self._derived):
                if place not in found and not known.isdisjoint(self._sources[place]):
                    found[place] = element
                    known.add(element.get("name", ""))
                    grows = True
        return list(found.values())


def _sources(element: Element) -> set[str]:
    """Returns all names of fields in an element; those of parameters of functions do no harm."""
    names = {part.get("field") or part.get("textField") for part in element.iter()}
    return {name for name in names if name}
