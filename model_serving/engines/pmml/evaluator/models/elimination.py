"""Sums a product of factors over all variables but some, one after the other (variable elimination)."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Factor", "TooManyStates", "largest_product", "scaled", "summed_out"]

_MOST_STATES = 1_000_000
_MOST_AXES = 30
_MOST_HIDDEN = 500
_BETWEEN_SCALES = 8
"""How many factors are multiplied before the product is scaled, so that it does not vanish."""


class TooManyStates(Exception):
    """More combinations of values would have to be summed over than the evaluator does."""


class Factor(NamedTuple):
    """A function of variables: ``values`` has an axis of the records (n, or 1 for all), then one for each."""

    variables: tuple[int, ...]
    values: Numbers


def largest_product(shapes: Iterable[tuple[int, ...]], keep: tuple[int, ...], sizes: Sequence[int]) -> int:
    """Returns how many numbers a record needs at most at a time in ``summed_out``.

    Args:
        shapes: the variables of each factor.
        keep: the variables that are not summed over.
        sizes: how many values each variable has.

    Raises:
        TooManyStates: it would be too many.
    """
    found = 1
    for variables in _merged(list(shapes), keep, sizes):
        count = prod(sizes[one] for one in variables)
        if count > _MOST_STATES or len(variables) > _MOST_AXES:
            raise TooManyStates
        found = max(found, count)
    return found


def _merged(
    shapes: list[tuple[int, ...]], keep: tuple[int, ...], sizes: Sequence[int]
) -> Iterator[tuple[int, ...]]:
    """Gives the variables of each product, the one that is then summed over last; in the end ``keep``."""
    together: dict[int, set[int]] = {}
    for shape in shapes:
        for one in shape:
            together.setdefault(one, set()).update(shape)
    hidden = together.keys() - set(keep)
    if len(hidden) > _MOST_HIDDEN:
        raise TooManyStates
    costs = {one: prod(sizes[other] for other in together[one]) for one in hidden}
    while costs:
        # The variable whose product is the smallest comes first.
        chosen = min(costs, key=lambda one: (costs[one], one))
        del costs[chosen]
        others = together.pop(chosen) - {chosen}
        yield (*sorted(others), chosen)
        for one in others:
            together[one] = (together[one] | others) - {chosen}
            if one in costs:
                costs[one] = prod(sizes[other] for other in together[one])
    yield keep


def summed_out(factors: Sequence[Factor], keep: tuple[int, ...], sizes: Sequence[int]) -> Numbers:
    """Returns the sum of the product of factors over all variables but ``keep``, but for a constant a record.

    Returns:
        Shape (n, sizes of ``keep`` in this order), where n is that of the factors, or 1.
    """
    pending = list(factors)
    orders = _merged([factor.variables for factor in factors], keep, sizes)
    for order in orders:
        if order == keep:
            break
        chosen = order[-1]
        product = _product([factor for factor in pending if chosen in factor.variables], order, sizes)
        pending = [factor for factor in pending if chosen not in factor.variables]
        pending.append(Factor(order[:-1], scaled(product.sum(axis=-1))))
    return _product(pending, keep, sizes)


def scaled(values: Numbers) -> Numbers:
    """Returns the values of each record divided by the greatest, so that long products do not vanish."""
    greatest = values.max(axis=tuple(range(1, values.ndim)), keepdims=True)
    return np.asarray(np.divide(values, greatest, out=np.zeros_like(values), where=greatest != 0.0))


def _product(factors: Sequence[Factor], order: tuple[int, ...], sizes: Sequence[int]) -> Numbers:
    """Returns the product of factors of these variables, with the axes in this order after the records'."""
    made = np.ones((1, *(sizes[one] for one in order)))
    for count, factor in enumerate(factors, start=1):
        axes = [1 + factor.variables.index(one) for one in order if one in factor.variables]
        shape = [sizes[one] if one in factor.variables else 1 for one in order]
        made = made * factor.values.transpose(0, *axes).reshape(len(factor.values), *shape)
        if count % _BETWEEN_SCALES == 0:
            made = scaled(made)
    return made
