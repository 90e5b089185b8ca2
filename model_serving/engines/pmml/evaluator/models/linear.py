"""Sums of terms with coefficients: the linear part of regressions, for all classes of a model at once."""

from __future__ import annotations

from math import pow  # noqa: A004 - unlike Python's own it gives floats only, or raises
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from model_serving.engines.pmml.evaluator.batch import Gather
from model_serving.engines.pmml.evaluator.models.input_matrix import Category, InputMatrix, Product
from model_serving.engines.pmml.evaluator.models.plain_sums import PlainSums
from model_serving.engines.pmml.evaluator.reading import TooLarge, Unsupported
from model_serving.engines.pmml.evaluator.record import Undecided

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Field, Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["NOT_NUMBERS", "LinearSums", "Term", "numeric_field"]

NOT_NUMBERS = frozenset({"string", "date", "time", "dateTime"})
"""The data types whose values are not numbers to calculate with."""

_MOST_COEFFICIENTS = 50_000_000


class Term(NamedTuple):
    """A product of powers of fields, of 1 or 0 for categories, and of numbers that stand for categories.

    Attributes:
        powers: fields with their exponents.
        categories: fields with a value; the factor is 1 for records that have the value, else 0.
        contrasts: fields with pairs of a value and its number; the factor of other values is 0.
    """

    powers: tuple[tuple[Field, float], ...] = ()
    categories: tuple[tuple[Field, float], ...] = ()
    contrasts: tuple[tuple[Field, tuple[tuple[float, float], ...]], ...] = ()

    def values(self, batch: Batch) -> Numbers:
        """Returns the product for every record, shape (n,): NaN where a power's field is missing."""
        made: Numbers | None = None
        for field, exponent in self.powers:
            values = batch.value(field)
            power = values if exponent == 1.0 else values**exponent
            made = power if made is None else made * power
        if made is None:
            made = np.ones(batch.n)
        for field, category in self.categories:
            made = made * (batch.value(field) == category)
        for field, pairs in self.contrasts:
            values = batch.value(field)
            made = made * sum((values == value) * number for value, number in pairs)
        return made

    def one(self, record: Record) -> float:
        """Returns the product for one record alone (raises as ``Expression.one``)."""
        made = 1.0
        for field, exponent in self.powers:
            value = field.one(record)
            made *= value if exponent == 1.0 else pow(value, exponent)
        for field, category in self.categories:
            made *= field.one(record) == category
        for field, pairs in self.contrasts:
            value = field.one(record)
            made *= sum(number for known, number in pairs if known == value)
        return made

    @property
    def is_number(self) -> bool:
        """Whether the term is one field's value."""
        return (
            not self.categories and not self.contrasts and len(self.powers) == 1 and self.powers[0][1] == 1.0
        )

    @property
    def is_category(self) -> bool:
        """Whether the term asks for one category only."""
        return not self.powers and not self.contrasts and len(self.categories) == 1


def numeric_field(scope: Scope, name: str | None, where: str) -> Field:
    """Returns a field whose values are numbers.

    Args:
        scope: where it is declared.
        name: its name.
        where: the element that names it, for the error.

    Raises:
        Unsupported: there is none with this name, or its values are texts or points in time.
    """
    field = scope.field(name)
    if field.kind.data_type in NOT_NUMBERS:
        raise Unsupported(
            f"{where} with the field '{name}' of type {field.kind.data_type}, which is not a number"
        )
    return field


class LinearSums:
    """Several sums over the same records. A missing number in one of them makes all of them missing."""

    __slots__ = (
        "_categories",
        "_category_coefficients",
        "_intercepts",
        "_number_coefficients",
        "_numbers",
        "_plain",
        "_product_coefficients",
        "_products",
        "_type",
        "_wanted",
    )

    def __init__(
        self,
        intercepts: Sequence[float],
        sums: Sequence[Mapping[Term, float]],
        needed: Sequence[Field] = (),
        *,
        single: bool = False,
    ) -> None:
        """Creates the sums.

        Args:
            intercepts: one for each sum.
            sums: the coefficients of the terms of each sum.
            needed: fields that must not be missing either: where one is, the sums are missing.
            single: whether to add up 32-bit numbers.

        Raises:
            Unsupported: there are too many coefficients.
        """
        terms = list(dict.fromkeys(term for terms in sums for term in terms))
        numbers = [term for term in terms if term.is_number]
        categories = [term for term in terms if term.is_category]
        self._products = [term for term in terms if not term.is_number and not term.is_category]
        if (len(terms) + len(needed)) * len(sums) > _MOST_COEFFICIENTS:
            raise TooLarge(f"a regression with more than {_MOST_COEFFICIENTS:,} coefficients")
        self._type: npt.DTypeLike = np.float32 if single else np.float64
        self._intercepts: Any = np.array(intercepts, dtype=self._type)
        present = {term.powers[0][0] for term in numbers}
        extra = [field for field in dict.fromkeys(needed) if field not in present]
        fields = [*(term.powers[0][0] for term in numbers), *extra]
        # Missing is NaN, and NaN times zero is NaN: a needed field has the coefficient zero.
        unused = np.zeros((len(extra), len(sums)), dtype=self._type)
        self._numbers = InputMatrix(fields) if fields else None
        self._number_coefficients = np.concatenate([self._matrix(numbers, sums), unused])
        self._categories = Gather([term.categories[0][0] for term in categories]) if categories else None
        self._wanted = np.array([term.categories[0][1] for term in categories])
        self._category_coefficients = self._matrix(categories, sums)
        self._product_coefficients = self._matrix(self._products, sums)
        self._plain = None if single else self._folded([term.categories[0] for term in categories])

    def values(self, batch: Batch) -> Numbers:
        """Returns the sums, shape (sums, n)."""
        made: Any = self._intercepts
        if self._numbers is not None:
            # Sums of 32-bit numbers are sums of the columns, others those of what the columns are made of.
            given = (
                self._numbers.gathered(batch)
                if self._plain is not None
                else self._numbers.matrix(batch).astype(self._type)
            )
            made = made + given @ self._number_coefficients
        if self._categories is not None:
            made = made + (self._categories.matrix(batch) == self._wanted) @ self._category_coefficients
        if self._products:
            columns = np.empty((batch.n, len(self._products)), dtype=self._type)
            for place, term in enumerate(self._products):
                columns[:, place] = term.values(batch)
            made = made + columns @ self._product_coefficients
        if made.ndim == 1:
            made = np.repeat(made[None, :], batch.n, axis=0)
        return np.asarray(made.T)

    def one(self, record: Record) -> list[float]:
        """Returns the sums of one record alone (raises as ``Expression.one``)."""
        if self._plain is None:
            raise Undecided
        return self._plain.one(record)

    def single_of_one(self, record: Record) -> Any:
        """Returns the sums of one record alone as 32-bit numbers, shape (sums, 1); see ``is_single``.

        It raises what ``Expression.one`` raises.
        """
        made = self._intercepts
        if self._numbers is not None:
            row = np.array(self._numbers.row(record), dtype=np.float32)
            made = made + row @ self._number_coefficients
        return made[:, None]

    @property
    def is_single(self) -> bool:
        """Whether the sums are those of 32-bit numbers, and of nothing else."""
        return self._plain is None and self._categories is None and not self._products

    @property
    def is_plain(self) -> bool:
        """Whether there is a plain way for one record: not for sums of 32-bit numbers."""
        return self._plain is not None

    def _folded(self, categories: Sequence[tuple[Field, float]]) -> PlainSums:
        """Adds up what the columns of numbers are made of, instead of the columns."""
        made: tuple[Field | Product | Category, ...] = ()
        folded = self._number_coefficients
        if self._numbers is not None:
            made = self._numbers.parts
            folded, added = self._numbers.folded(folded)
            self._number_coefficients = folded
            self._intercepts = self._intercepts + added
        is_category = np.array([isinstance(part, Category) for part in made], dtype=bool)
        parts = [part for part in made if not isinstance(part, Category)]
        coefficients = np.concatenate([folded[~is_category], self._product_coefficients])
        plain = PlainSums(self._intercepts, [*parts, *self._products], coefficients)
        found = [(part.field, part.value) for part in made if isinstance(part, Category)]
        plain.add_categories(found, folded[is_category], needed=True)
        plain.add_categories(categories, self._category_coefficients, needed=False)
        return plain

    def _matrix(self, terms: Sequence[Term], sums: Sequence[Mapping[Term, float]]) -> Numbers:
        made = [[coefficients.get(term, 0.0) for coefficients in sums] for term in terms]
        return np.array(made, dtype=self._type).reshape(len(terms), len(sums))
