"""Reads a ComparisonMeasure with the fields that it compares (PMML 4.4: Clustering, Nearest Neighbors)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.models.comparison import Compared, Measure
from model_serving.engines.pmml.evaluator.reading import (
    NOTHING,
    Unsupported,
    children,
    choice,
    matrix,
    number,
    only,
    required,
    single_child,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.scope import Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["read_compared", "read_comparison"]

_FUNCTIONS = ("absDiff", "gaussSim", "delta", "equal", "table")
_SIMILARITIES = frozenset({"gaussSim", "equal", "table"})
_DISTANCES = ("euclidean", "squaredEuclidean", "chebychev", "cityBlock", "minkowski")
_POWERS = {"euclidean": 2.0, "squaredEuclidean": 2.0, "chebychev": 1.0, "cityBlock": 1.0}
_CELLS = ("00", "01", "10", "11")
_BINARY: dict[str, tuple[tuple[float, ...], ...]] = {
    "simpleMatching": ((1, 0, 0, 1), (1, 1, 1, 1)),
    "jaccard": ((0, 0, 0, 1), (0, 1, 1, 1)),
    "tanimoto": ((1, 0, 0, 1), (1, 2, 2, 1)),
}
"""Above and below the line: what it counts that both are 0, only the second is 1, only the first, both."""


def read_compared(element: Element, default: str, scope: Scope) -> Compared:
    """Reads a ClusteringField or a KNNInput. ``default`` is the compareFunction of the ComparisonMeasure.

    Raises:
        Unsupported: a part of it is not known, or the function does not fit the field's type.
    """
    parts = children(
        element,
        {"field", "isCenterField", "fieldWeight", "similarityScale", "compareFunction"},
        ("Comparisons",),
    )
    field = scope.field(required(element, "field"))
    function = choice(element, "compareFunction", _FUNCTIONS, default)
    weight = number(element, "fieldWeight", 1.0)
    where = f"{element.tag} '{field.name}'"
    if function in {"absDiff", "gaussSim"} and field.kind.is_text:
        raise Unsupported(f"compareFunction '{function}' of {where}, which is text: it has no differences")
    scale = 1.0
    if function == "gaussSim":
        scale = number(element, "similarityScale")
        if not scale > 0.0:
            raise Unsupported(f"similarityScale {scale:g} of {where}, which must be above 0")
    table = None
    comparisons = only(parts, "Comparisons")
    if function == "table":
        if comparisons is None:
            raise Unsupported(f"compareFunction 'table' of {where} without Comparisons")
        table = matrix(single_child(comparisons, ("Matrix",)))
        count = len(field.values)
        if not count or table.shape != (count, count):
            raise Unsupported(f"Comparisons of {where} without a row and a column for each declared value")
    return Compared(field, weight, function, scale, table)


def read_comparison(
    element: Element | None,
    inputs: Sequence[Element],
    scope: Scope,
    importance: Numbers | None = None,
) -> Measure:
    """Reads a ComparisonMeasure and the fields that it compares.

    Args:
        element: the ComparisonMeasure.
        inputs: the elements of the fields.
        scope: where the fields are.
        importance: how much each field counts where others are missing; None: all the same.

    Raises:
        Unsupported: a part is not known, or measure and functions do not fit.
    """
    if element is None:
        raise Unsupported("a model without a ComparisonMeasure")
    parts = children(
        element,
        {"kind", "compareFunction", "minimum", "maximum"},
        {*_DISTANCES, *_BINARY, "binarySimilarity"},
    )
    if len(parts) != 1:
        raise Unsupported(f"a ComparisonMeasure with {len(parts)} measures where one belongs")
    (measure,) = parts
    is_distance = choice(element, "kind", ("distance", "similarity"), None) == "distance"
    default = choice(element, "compareFunction", _FUNCTIONS, "absDiff")
    fields = tuple(read_compared(one, default, scope) for one in inputs)
    if not fields:
        raise Unsupported("a ComparisonMeasure without a field to compare")
    power, cells = _power_and_cells(measure, fields, is_distance=is_distance)
    if importance is None:
        importance = np.ones(len(fields))
    elif len(importance) != len(fields):
        raise Unsupported(f"{len(importance)} MissingValueWeights for {len(fields)} fields")
    is_squared = power == 2.0 and all(one.function == "absDiff" and one.weight == 1.0 for one in fields)
    return Measure(fields, is_distance, measure.tag, power, cells, is_squared, importance)


def _power_and_cells(
    measure: Element, fields: Sequence[Compared], *, is_distance: bool
) -> tuple[float, tuple[tuple[float, ...], ...] | None]:
    if measure.tag not in {"minkowski", "binarySimilarity"}:
        children(measure, NOTHING)
    if measure.tag not in _DISTANCES:
        if is_distance:
            raise Unsupported(f"the similarity {measure.tag} in a ComparisonMeasure of kind 'distance'")
        return 1.0, _BINARY.get(measure.tag) or _parameters(measure)
    if not is_distance and not all(one.function in _SIMILARITIES for one in fields):
        raise Unsupported(f"the distance {measure.tag} in a ComparisonMeasure of kind 'similarity'")
    if measure.tag != "minkowski":
        return _POWERS[measure.tag], None
    children(measure, {"p-parameter"})
    power = number(measure, "p-parameter")
    if not power > 0.0:
        raise Unsupported(f"p-parameter {power:g} of minkowski, which must be above 0")
    return power, None


def _parameters(measure: Element) -> tuple[tuple[float, ...], ...]:
    names = [f"{letter}{cell}-parameter" for letter in "cd" for cell in _CELLS]
    children(measure, set(names))
    values = tuple(number(measure, name) for name in names)
    return values[:4], values[4:]
