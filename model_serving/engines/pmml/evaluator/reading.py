"""Reads PMML elements strictly: an element or attribute that is not known exactly is refused by name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from collections.abc import Set as AbstractSet

__all__ = [
    "MODEL_ATTRIBUTES",
    "MODEL_PARTS",
    "NOTHING",
    "Incomplete",
    "TooLarge",
    "Unsupported",
    "children",
    "choice",
    "decimal",
    "flag",
    "matrix",
    "named",
    "number",
    "only",
    "optional_number",
    "plain_decimals",
    "real_array",
    "required",
    "single_child",
    "text_array",
    "whole_number",
]

NOTHING: frozenset[str] = frozenset()
"""The known attributes of an element that has none."""

MODEL_ATTRIBUTES = frozenset(
    {"functionName", "modelName", "algorithmName", "isScorable", "targetFieldName", "x-mathContext"}
)
MODEL_PARTS = frozenset({"MiningSchema", "Output", "Targets", "LocalTransformations"})
"""The elements that every kind of model may have. The compiler reads them, not the module of the kind."""

_WITHOUT_EFFECT = frozenset(
    {"Extension", "ModelStats", "ModelExplanation", "ModelVerification", "Interval", "Partition"}
)
_XML_NAMESPACE = "{http://www.w3.org/XML/1998/namespace}"
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_IN_NUMBERS = "0123456789+-.eE"
_AT_ONCE = 1 << 13
"""The number of numbers that are read at once: other threads get their turn in between."""

_WORDS = {
    "INF": np.inf,
    "+INF": np.inf,
    "-INF": -np.inf,
    "Infinity": np.inf,
    "-Infinity": -np.inf,
    "NaN": np.nan,
}
_ITEM = re.compile(r'"((?:[^"\\]|\\.)*)"(?!\S)|(\S+)', re.DOTALL)


class Unsupported(Exception):
    """A part of the document is not known exactly, or is wrong. The text names element and attribute.

    ``advice`` says what to do about it.
    """

    def __init__(self, text: str, advice: str = "export the model without it") -> None:
        super().__init__(text)
        self.advice = advice


class Incomplete(Unsupported):
    """A part that every document needs is not there, or is not meant to be scored."""


class TooLarge(Unsupported):
    """The document has more of something than the evaluator computes at a time."""


def children(
    element: Element, attributes: AbstractSet[str], parts: Collection[str] = NOTHING
) -> list[Element]:
    """Returns the children of an element, without those that never change an answer.

    Args:
        element: the element.
        attributes: the attributes that it may have.
        parts: the children that it may have.

    Raises:
        Unsupported: the element has another attribute or another child.
    """
    if not element.attrib.keys() <= attributes:
        unknown = sorted(name for name in element.attrib.keys() - attributes if not _of_xml(name))
        if unknown:
            raise Unsupported(f"the attribute {', '.join(unknown)} of {element.tag}")
    if not len(element):
        return []
    found = [child for child in element if child.tag in parts]
    if len(found) < len(element):
        for child in element:
            if child.tag not in parts and child.tag not in _WITHOUT_EFFECT:
                raise Unsupported(f"the element {child.tag} in {element.tag}")
    return found


def _of_xml(name: str) -> bool:
    """Whether an attribute belongs to XML, not to PMML: a namespace, or where a schema is."""
    return name == "xmlns" or name.startswith(("xmlns:", "xml:", "xsi:", _XML_NAMESPACE))


def named(elements: Collection[Element], tag: str) -> list[Element]:
    """Returns the elements with this tag."""
    return [element for element in elements if element.tag == tag]


def only(elements: Collection[Element], tag: str) -> Element | None:
    """Returns the element with this tag, None when there is none.

    Raises:
        Unsupported: there are several elements with this tag.
    """
    found = named(elements, tag)
    if len(found) > 1:
        raise Unsupported(f"{len(found)} elements {tag} where one belongs")
    return found[0] if found else None


def single_child(element: Element, parts: Collection[str]) -> Element:
    """Returns the one child of an element without attributes.

    Raises:
        Unsupported: it has an attribute, another child, no child or several.
    """
    found = children(element, NOTHING, parts)
    if len(found) != 1:
        raise Unsupported(f"{element.tag} with {len(found)} elements where one belongs")
    return found[0]


def required(element: Element, attribute: str) -> str:
    """Returns the text of an attribute.

    Raises:
        Unsupported: the element does not have the attribute.
    """
    text = element.get(attribute)
    if text is None:
        raise Unsupported(f"{element.tag} without {attribute}")
    return text


def choice(element: Element, attribute: str, allowed: Collection[str], default: str | None) -> str:
    """Returns the text of an attribute that has a few possible values; ``default`` when it is absent.

    Raises:
        Unsupported: it has another value, or it is absent and there is no default.
    """
    text = element.get(attribute, default)
    if text is None:
        raise Unsupported(f"{element.tag} without {attribute}")
    if text not in allowed:
        raise Unsupported(f"{attribute} '{text}' of {element.tag}")
    return text


def flag(element: Element, attribute: str, *, default: bool) -> bool:
    """Returns an attribute of type boolean (``true``, ``false``, ``1`` or ``0``)."""
    return choice(element, attribute, ("true", "false", "1", "0"), "true" if default else "false") in {
        "true",
        "1",
    }


def decimal(text: str) -> float:
    """Reads a number as XML Schema spells doubles, ``INF`` and ``NaN`` included.

    Spellings that only Java or only Python accepts (``1d``, ``1_0``) fail.

    Raises:
        ValueError: the text is not a number.
    """
    if _NUMBER.fullmatch(text):
        return float(text)
    stripped = text.strip()
    if _NUMBER.fullmatch(stripped):
        return float(stripped)
    if stripped in _WORDS:
        return _WORDS[stripped]
    raise ValueError(f"'{text}' is not a number")


def number(element: Element, attribute: str, default: float | None = None) -> float:
    """Reads an attribute that is a number; ``default`` when it is absent.

    Raises:
        Unsupported: it is not a number, or it is absent and there is no default.
    """
    text = element.get(attribute)
    if text is None:
        if default is None:
            raise Unsupported(f"{element.tag} without {attribute}")
        return default
    try:
        return decimal(text)
    except ValueError:
        raise Unsupported(f"{attribute} '{text}' of {element.tag}, which is not a number") from None


def optional_number(element: Element, attribute: str) -> float | None:
    """Reads an attribute that is a number and may be absent (see ``number``)."""
    return number(element, attribute) if attribute in element.attrib else None


def whole_number(element: Element, attribute: str, default: int | None = None) -> int:
    """Reads an attribute that is a number without a fraction (see ``number``)."""
    value = number(element, attribute, default)
    if not float(value).is_integer():
        raise Unsupported(f"{attribute} '{element.get(attribute)}' of {element.tag}, which is not whole")
    return int(value)


def text_array(array: Element) -> list[str]:
    """Returns the items of an ``Array``. Items may stand in quotes; a backslash escapes a quote in them.

    PMML 4.4 (General Structure) has an escape for quotes only: every other backslash stands for itself, as in
    the path of a file.

    Raises:
        Unsupported: it has another number of items than its ``n``, quotes that do not stand around an item,
            or it is not an Array.
    """
    if array.tag != "Array":
        raise Unsupported(f"{array.tag} where an Array belongs")
    children(array, {"n", "type"})
    items = [
        match.group(2) if match.group(1) is None else match.group(1).replace('\\"', '"')
        for match in _ITEM.finditer(array.text or "")
    ]
    if '"' in (array.text or ""):
        _check_quotes(array.text or "")
    expected = array.get("n")
    if expected is not None and expected != str(len(items)):
        raise Unsupported(f"an Array that says n='{expected}' and has {len(items)} items")
    return items


def _check_quotes(text: str) -> None:
    for match in _ITEM.finditer(text):
        if match.group(2) is not None and match.group(2).startswith('"'):
            raise Unsupported(
                f"an Array in which the quotes of {match.group(2)} do not stand around an item",
                "write a backslash before each quote within an item",
            )


def real_array(array: Element) -> npt.NDArray[np.float64]:
    """Returns the numbers of an ``Array``, or of a sparse array with its zeros, shape (n,).

    Raises:
        Unsupported: it has something else than numbers, or another number of them than it says.
    """
    if array.tag in {"REAL-SparseArray", "INT-SparseArray"}:
        return _sparse_array(array)
    return _decimals(text_array(array))


def plain_decimals(texts: Sequence[str]) -> npt.NDArray[np.float64] | None:
    """Returns numbers that are written in digits only, shape (n,). None if some text is not such a number."""
    made = np.empty(len(texts))
    for first in range(0, len(texts), _AT_ONCE):
        some = texts[first : first + _AT_ONCE]
        # Python also reads other spellings, but none of these characters alone.
        if "".join(some).strip(_IN_NUMBERS):
            return None
        try:
            made[first : first + _AT_ONCE] = [float(text) for text in some]
        except ValueError:
            return None
    return made


def _decimals(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    plain = plain_decimals(texts)
    if plain is not None:
        return plain
    try:
        return np.array([decimal(text) for text in texts], dtype=np.float64)
    except ValueError as error:
        raise Unsupported(f"an array of numbers in which {error}") from None


def _sparse_array(array: Element) -> npt.NDArray[np.float64]:
    kind = array.tag.partition("-")[0]
    parts = children(array, {"n", "defaultValue"}, ("Indices", f"{kind}-Entries"))
    indices, entries = only(parts, "Indices"), only(parts, f"{kind}-Entries")
    places = [] if indices is None else (indices.text or "").split()
    values = _decimals([] if entries is None else (entries.text or "").split())
    length = whole_number(array, "n", 0 if not places else None)
    if len(places) != len(values):
        raise Unsupported(f"a {array.tag} with {len(places)} indices and {len(values)} entries")
    if not 0 <= length <= 1_000_000:
        raise Unsupported(f"a {array.tag} of {length} numbers")
    full = np.full(length, number(array, "defaultValue", 0.0))
    try:
        index = np.array([int(place) for place in places], dtype=np.intp) - 1
    except ValueError:
        raise Unsupported(f"a {array.tag} with an index that is not whole") from None
    if len(index) and (index.min() < 0 or index.max() >= length):
        raise Unsupported(f"a {array.tag} with an index outside of 1 to {length}")
    full[index] = values
    return full


def matrix(element: Element) -> npt.NDArray[np.float64]:
    """Returns the numbers of a ``Matrix``: ``any``, ``diagonal`` or ``symmetric``.

    Raises:
        Unsupported: it is not a matrix of numbers, or it is of another kind.
    """
    parts = children(
        element,
        {"kind", "nbRows", "nbCols", "diagDefault", "offDiagDefault"},
        ("Array", "MatCell", "REAL-SparseArray"),
    )
    kind = choice(element, "kind", ("any", "diagonal", "symmetric"), "any")
    arrays = [real_array(part) for part in parts if part.tag != "MatCell"]
    if arrays and len(arrays) != len(parts):
        raise Unsupported("a Matrix with arrays and cells")
    if kind == "diagonal" and len(arrays) == 1:
        full = np.full((len(arrays[0]), len(arrays[0])), number(element, "offDiagDefault", 0.0))
        np.fill_diagonal(full, arrays[0])
        return full
    if kind == "symmetric" and arrays:
        size = len(arrays)
        full = np.zeros((size, size))
        for row, array in enumerate(arrays):
            if len(array) != row + 1:
                raise Unsupported("a symmetric Matrix that is not a lower triangle")
            full[row, : row + 1] = array
            full[: row + 1, row] = array
        return full
    if arrays:
        if len({len(array) for array in arrays}) != 1:
            raise Unsupported("a Matrix with rows of different lengths")
        return np.array(arrays)
    return _cells(element, parts, symmetric=kind == "symmetric")


def _cells(element: Element, cells: Sequence[Element], *, symmetric: bool) -> npt.NDArray[np.float64]:
    rows, columns = whole_number(element, "nbRows"), whole_number(element, "nbCols")
    if not (0 < rows <= 10_000 and 0 < columns <= 10_000):
        raise Unsupported(f"a Matrix of {rows} rows and {columns} columns")
    full = np.full((rows, columns), number(element, "offDiagDefault", 0.0))
    np.fill_diagonal(full, number(element, "diagDefault", 0.0))
    for cell in cells:
        children(cell, {"row", "col"})
        row, column = whole_number(cell, "row") - 1, whole_number(cell, "col") - 1
        if not (0 <= row < rows and 0 <= column < columns):
            raise Unsupported("a MatCell outside of its Matrix")
        try:
            full[row, column] = decimal(cell.text or "")
        except ValueError as error:
            raise Unsupported(f"a MatCell in which {error}") from None
        if symmetric:
            full[column, row] = full[row, column]
    return full
