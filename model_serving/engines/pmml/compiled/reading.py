"""Reads PMML elements strictly: a model with an unknown element or attribute is not compiled."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Set as AbstractSet

__all__ = [
    "MODEL_ATTRIBUTES",
    "MODEL_PARTS",
    "NOTHING",
    "NotCompiled",
    "check",
    "number",
    "only",
    "optional_number",
    "whole_number",
]

NOTHING: frozenset[str] = frozenset()
"""The known attributes of an element that has none."""

MODEL_ATTRIBUTES = frozenset({"functionName", "modelName", "algorithmName", "isScorable"})
MODEL_PARTS = frozenset({"MiningSchema", "Output", "Targets", "LocalTransformations"})
"""The elements that every model may have and that the compiler reads (see ``check``)."""

_WITHOUT_EFFECT = frozenset({"Extension", "ModelStats", "ModelExplanation", "ModelVerification"})
_MOST_EXACT = 2.0**53
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


class NotCompiled(Exception):
    """The compiler does not know a part of the model exactly. The text names the part."""


def check(element: Element, attributes: AbstractSet[str], parts: Collection[str] = ()) -> list[Element]:
    """Returns the children of an element, without those that never change an answer.

    Args:
        element: the element.
        attributes: the attributes that it may have.
        parts: the children that it may have.

    Raises:
        NotCompiled: the element has another attribute or another child.
    """
    if not element.attrib.keys() <= attributes:
        raise NotCompiled(f"{element.tag} with {', '.join(element.attrib.keys() - attributes)}")
    if element.get("isScorable", "true") != "true":
        raise NotCompiled("a model that is not scorable")
    if not len(element):
        return []
    children = [child for child in element if child.tag in parts]
    if len(children) < len(element):
        for child in element:
            if child.tag not in parts and child.tag not in _WITHOUT_EFFECT:
                raise NotCompiled(f"{child.tag} in {element.tag}")
    return children


def only(elements: Collection[Element], tag: str) -> Element | None:
    """Returns the element with this tag, None when there is none.

    Raises:
        NotCompiled: there are several elements with this tag.
    """
    found = [element for element in elements if element.tag == tag]
    if len(found) > 1:
        raise NotCompiled(f"{len(found)} times {tag}")
    return found[0] if found else None


def number(text: str | None) -> float:
    """Reads a finite decimal number. Spellings that only Java or only Python accepts (``1d``, ``1_0``) fail.

    Raises:
        NotCompiled: the text is not a number, or the number is too large for a double.
    """
    if text is None or not _NUMBER.fullmatch(text):
        raise NotCompiled(f"'{text}' for a number")
    value = float(text)
    if value - value != 0.0:
        raise NotCompiled(f"'{text}' for a number")
    return value


def whole_number(text: str | None) -> float:
    """Reads a number without a fraction (see ``number``)."""
    value = number(text)
    if not value.is_integer() or abs(value) >= _MOST_EXACT:
        raise NotCompiled(f"'{text}' for a whole number")
    return value


def optional_number(text: str | None) -> float | None:
    """Reads a number that may be absent (see ``number``)."""
    return None if text is None else number(text)
