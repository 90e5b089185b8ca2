"""How far records are from clusters or training instances (PMML 4.4, Clustering: ComparisonMeasure)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

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

    from model_serving.engines.pmml.evaluator.scope import Field, Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Compared", "Measure", "read_compared", "read_comparison"]

_FUNCTIONS = ("absDiff", "gaussSim", "delta", "equal", "table")
_SIMILARITIES = frozenset({"gaussSim", "equal", "table"})
_DISTANCES = ("euclidean", "squaredEuclidean", "chebychev", "cityBlock", "minkowski")
_POWERS = {"euclidean": 2.0, "squaredEuclidean": 2.0, "chebychev": 1.0, "cityBlock": 1.0}
_SMALL = 1 << 14
"""Up to how many differences all are computed at once; more are computed field by field, in less memory."""
_CELLS = ("00", "01", "10", "11")
_BINARY: dict[str, tuple[tuple[float, ...], ...]] = {
    "simpleMatching": ((1, 0, 0, 1), (1, 1, 1, 1)),
    "jaccard": ((0, 0, 0, 1), (0, 1, 1, 1)),
    "tanimoto": ((1, 0, 0, 1), (1, 2, 2, 1)),
}
"""Above and below the line: what it counts that both are 0, only the second is 1, only the first, both."""


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """A field that is compared. ``table`` is the similarity of its declared values to one another."""

    field: Field
    weight: float
    function: str
    scale: float
    table: Numbers | None

    def difference(self, left: Numbers, right: Numbers) -> Numbers:
        """Returns the comparison of each of ``left`` with each of ``right``, shape (left, right).

        It is NaN where one of them is missing, or is not in the table. That of ``absDiff`` has its sign.
        """
        if self.table is not None:
            first, second = self._places(left)[:, None], self._places(right)[None, :]
            return np.where((first < 0) | (second < 0), np.nan, self.table[first, second])
        made: Numbers = left[:, None] - right[None, :]
        if self.function == "gaussSim":
            return np.asarray(np.exp(-log(2.0) * made**2 / self.scale**2))
        if self.function in {"equal", "delta"}:
            same, other = (1.0, 0.0) if self.function == "equal" else (0.0, 1.0)
            return np.where(np.isnan(made), np.nan, np.where(made == 0.0, same, other))
        return made

    def _places(self, values: Numbers) -> npt.NDArray[np.intp]:
        """Returns the row of the table for each value, -1 for values that are not declared."""
        found = np.full(len(values), -1, dtype=np.intp)
        for place, value in enumerate(self.field.values):
            found[values == value] = place
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Measure:
    """A ComparisonMeasure with the fields that it compares.

    ``is_distance`` says that the least value is the best. ``power`` is the exponent of the differences,
    ``cells`` the weights of a measure of binary fields (see ``_BINARY``).
    """

    fields: tuple[Compared, ...]
    is_distance: bool
    measure: str
    power: float
    cells: tuple[tuple[float, ...], ...] | None
    is_squared: bool
    """Whether it is a sum of squared differences without weights."""
    importance: Numbers
    """How much each field counts where others are missing, shape (fields,)."""

    def between(self, left: Numbers, right: Numbers) -> Numbers:
        """Returns the distance or similarity of each of ``left`` to each of ``right``.

        Missing values are left out, and the sum is scaled up for them (PMML 4.4, Clustering: adjustM). Two of
        which no field can be compared are NaN apart.

        Args:
            left: the records, shape (fields, m).
            right: what they are compared with, shape (fields, n).

        Returns:
            Shape (m, n).
        """
        if self.cells is not None:
            return _of_binary(left, right, self.cells)
        if self.is_squared and left.size * right.shape[1] <= _SMALL:
            differences: Numbers = left[:, :, None] - right[:, None, :]
            differences *= differences
            made: Numbers = differences.sum(axis=0)
        else:
            made = self._total(left, right, None)
        total = np.add.reduce(made, axis=None)
        if total != total:  # some pair lacks a value: one look at the sum is the quickest way to know
            made = self._adjusted(left, right)
        if self.measure == "euclidean":
            np.sqrt(made, out=made)
        elif self.measure == "minkowski":
            made **= 1.0 / self.power
        return made

    def turned(self) -> Measure:
        """Returns the measure for ``between`` with the records on the right."""
        cells = self.cells and tuple((both[0], both[2], both[1], both[3]) for both in self.cells)
        fields = tuple(replace(one, table=None if one.table is None else one.table.T) for one in self.fields)
        return replace(self, fields=fields, cells=cells)

    def _total(self, left: Numbers, right: Numbers, present: Numbers | None) -> Numbers:
        """Returns the sum over the fields, or the greatest; adds what each field counts to ``present``.

        Without ``present``, two that lack a value are NaN apart.
        """
        made: Numbers | None = None
        for place, one in enumerate(self.fields):
            part = one.difference(left[place], right[place])
            if present is not None:
                missing = np.isnan(part)
                part[missing] = 0.0
                present += np.where(missing, 0.0, self.importance[place])
            if self.power == 2.0:
                part *= part
            else:
                np.abs(part, out=part)
                if self.power != 1.0:
                    part **= self.power
            if one.weight != 1.0:
                part *= one.weight
            if made is None:
                made = part
            elif self.measure == "chebychev":
                np.maximum(made, part, out=made)
            else:
                made += part
        if made is None:
            raise ValueError("nothing to compare")
        return made

    def _adjusted(self, left: Numbers, right: Numbers) -> Numbers:
        """Returns the sum over the fields that both have, scaled up for the others."""
        present = np.zeros((left.shape[1], right.shape[1]))
        made = self._total(left, right, present)
        made *= self.importance.sum() / present
        return made


def _of_binary(left: Numbers, right: Numbers, cells: tuple[tuple[float, ...], ...]) -> Numbers:
    """Counts how often binary values agree, and relates the counts. Values other than 0 and 1 give NaN."""
    first, second = left.T, right
    other_first, other_second = 1.0 - first, 1.0 - second
    counts = (
        other_first @ other_second,
        other_first @ second,
        first @ other_second,
        first @ second,
    )
    above, below = (
        sum(weight * count for weight, count in zip(weights, counts, strict=True)) for weights in cells
    )
    made = np.asarray(above / below)
    for axis, values in ((0, left), (1, right)):
        odd = ~((values == 0.0) | (values == 1.0)).all(axis=0)
        if odd.any():
            made[(odd, slice(None)) if axis == 0 else (slice(None), odd)] = np.nan
    return made


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
