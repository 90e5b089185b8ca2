"""Sums of terms: intercept plus coefficients times values, added in the document's order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from model_serving.engines.pmml.compiled.fields import Numbers

__all__ = ["INVERSE_LINKS", "LinearSum", "Term"]

Term = tuple["int | Callable[[Numbers], Numbers]", float]
"""A column of the values, or a function of the values, and the coefficient that it is multiplied by."""


class LinearSum:
    """Adds terms in their order. A missing value, NaN, makes the sum missing."""

    def __init__(self, intercept: float, terms: Sequence[Term]) -> None:
        self._intercept = intercept
        self._terms = terms
        simple = [(source, coefficient) for source, coefficient in terms if isinstance(source, int)]
        self._columns: list[int] | None = None
        if simple and len(simple) == len(terms):
            self._columns = [column for column, _ in simple]
            self._factors = [factor for _, factor in simple]
            self._of_columns = np.array(self._factors)[:, None]

    def __call__(self, values: Numbers) -> Numbers:
        """Returns the sums, shape (n,), for values of shape (n, fields)."""
        if self._columns is None:
            total = np.full(len(values), self._intercept)
            for source, coefficient in self._terms:
                total += (values[:, source] if isinstance(source, int) else source(values)) * coefficient
            return total
        if len(values) == 1:
            row = values[0].tolist()
            one = self._intercept
            for column, factor in zip(self._columns, self._factors, strict=True):
                one += row[column] * factor
            return np.array([one])
        terms = np.multiply(values.T.take(self._columns, axis=0), self._of_columns, order="C")
        terms[0] += self._intercept
        return np.asarray(np.add.reduce(terms, axis=0))


def _logistic(values: Numbers) -> Numbers:
    return 1.0 / (1.0 + np.exp(-values))


def _normal(values: Numbers) -> Numbers:
    """Computes the standard normal distribution function, 0 or 1 beyond 40 deviations like the evaluator."""
    made = [
        math.nan
        if math.isnan(each)
        else float(each > 0)
        if abs(each) > 40
        else 0.5 * math.erfc(-each / math.sqrt(2))
        for each in values.tolist()
    ]
    return np.array(made)


INVERSE_LINKS: dict[str, Callable[[Numbers], Numbers]] = {
    "identity": lambda values: values,
    "exp": np.exp,
    "logit": _logistic,
    "probit": _normal,
    "cloglog": lambda values: 1.0 - np.exp(-np.exp(values)),
    "loglog": lambda values: np.exp(-np.exp(-values)),
    "cauchit": lambda values: 0.5 + (1.0 / math.pi) * np.arctan(values),
    "logc": lambda values: 1.0 - np.exp(values),
}
"""Functions from the linear sum to the mean, by PMML's names for links and normalization methods."""
