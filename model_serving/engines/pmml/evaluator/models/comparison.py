"""How far records are from clusters or training instances (PMML 4.4, Clustering: ComparisonMeasure)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from model_serving.engines.pmml.evaluator.scope import Field
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Compared", "Measure"]

_SMALL = 1 << 14
"""Up to how many differences all are computed at once; more are computed field by field, in less memory."""


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
    ``cells`` the weights of a measure of binary fields: above and below the line, what it counts that both
    are 0, only the second is 1, only the first is, both are.
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

    @property
    def is_euclidean(self) -> bool:
        """Whether it is the length of the difference, or its square."""
        return self.is_squared and self.measure in {"euclidean", "squaredEuclidean"}

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
