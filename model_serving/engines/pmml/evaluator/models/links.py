"""What turns a linear sum into an answer (PMML 4.4: Regression, GeneralRegression, NeuralNetwork)."""

from __future__ import annotations

from collections.abc import Callable
from math import erfc, sqrt
from typing import TypeAlias

import numpy as np

from model_serving.engines.pmml.evaluator.reading import Unsupported
from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = [
    "NORMALIZATIONS",
    "Change",
    "class_normalization",
    "cumulative_normal",
    "differences",
    "inverse_link",
    "number_normalization",
    "simplemax",
    "softmax",
]

NORMALIZATIONS = ("none", "simplemax", "softmax", "logit", "probit", "cloglog", "exp", "loglog", "cauchit")
"""The values of ``normalizationMethod`` of a RegressionModel."""

Change: TypeAlias = Callable[[Numbers], Numbers]
"""Makes something of scores; the shape stays."""


def softmax(scores: Numbers) -> Numbers:
    """Returns the softmax over the first axis. It cannot overflow: the greatest score is taken off first."""
    powers: Numbers = np.exp(scores - np.maximum.reduce(scores))
    powers /= np.add.reduce(powers)
    return powers


def simplemax(scores: Numbers) -> Numbers:
    """Returns each score's share in the sum over the first axis."""
    return np.asarray(scores / np.add.reduce(scores))


def cumulative_normal(values: Numbers) -> Numbers:
    """Returns the cumulative distribution of the standard normal distribution."""
    made = [0.5 * erfc(-value / sqrt(2.0)) for value in values.ravel().tolist()]
    return np.array(made, dtype=values.dtype).reshape(values.shape)


def _logistic(scores: Numbers) -> Numbers:
    return np.asarray(1.0 / (1.0 + np.exp(-scores)))


_INVERSE_LINKS: dict[str, Change] = {
    "identity": lambda scores: scores,
    "none": lambda scores: scores,
    "logit": _logistic,
    "probit": cumulative_normal,
    "cloglog": lambda scores: -np.expm1(-np.exp(scores)),
    "loglog": lambda scores: np.exp(-np.exp(-scores)),
    "cauchit": lambda scores: 0.5 + np.arctan(scores) / np.pi,
    "log": np.exp,
    "exp": np.exp,
    "logc": lambda scores: -np.expm1(scores),
}


def inverse_link(link: str, parameter: float | None = None) -> Change:
    """Returns the inverse of a link function.

    Args:
        link: its name in ``linkFunction``, ``cumulativeLink`` or ``normalizationMethod``.
        parameter: ``linkParameter`` for ``power`` and ``oddspower``, ``distParameter`` for ``negbin``.

    Raises:
        Unsupported: it is not known, or it needs a parameter and has none.
    """
    if link in _INVERSE_LINKS:
        return _INVERSE_LINKS[link]
    if link not in {"power", "oddspower", "negbin"}:
        raise Unsupported(f"the link function '{link}'")
    if parameter is None or (link == "negbin" and parameter == 0.0):
        raise Unsupported(f"the link function '{link}' without its parameter")
    given = parameter
    if link == "negbin":
        return lambda scores: 1.0 / (given * np.expm1(-scores))
    if link == "power":
        return np.exp if given == 0.0 else lambda scores: scores ** (1.0 / given)
    return (
        _logistic if given == 0.0 else lambda scores: 1.0 / (1.0 + (1.0 + given * scores) ** (-1.0 / given))
    )


def number_normalization(method: str) -> Change:
    """Returns what a ``normalizationMethod`` makes of the number that a regression predicts.

    Raises:
        Unsupported: the method does not exist for a number.
    """
    if method == "simplemax":
        raise Unsupported("normalizationMethod 'simplemax' of a RegressionModel for regression")
    return inverse_link("logit" if method == "softmax" else method)


def class_normalization(method: str, classes: int, *, ordinal: bool = False) -> Change:
    """Returns what makes probabilities, which sum to 1, of the scores of classes.

    Args:
        method: one of ``NORMALIZATIONS``.
        classes: their number.
        ordinal: whether the classes are ordered; each probability is then a difference of cumulative ones.

    Raises:
        Unsupported: the method does not exist for classes.
    """
    if method == "exp":
        raise Unsupported("normalizationMethod 'exp' of a RegressionModel for classification")
    if method in {"softmax", "simplemax"}:
        return softmax if method == "softmax" else simplemax
    share = inverse_link(method)
    if ordinal:
        return lambda scores: differences(share(scores))
    if classes == 2 and method == "none":
        # The score is a probability, however far a linear equation carries it beyond 0 or 1.
        return lambda scores: _with_rest(np.clip(scores[:1], 0.0, 1.0))
    if classes == 2:
        return lambda scores: _with_rest(share(scores[:1]))
    if method == "none":
        return lambda scores: _with_rest(scores[:-1])
    # The standard has these methods for two classes. With more, one against the rest is what exporters mean.
    return lambda scores: simplemax(share(scores))


def differences(cumulative: Numbers) -> Numbers:
    """Returns the probabilities of ordered classes from cumulative ones, shape (classes, n).

    The last class takes what is left up to 1, whatever its own score is.
    """
    made = np.array(cumulative)
    made[-1] = 1.0
    made[1:] -= cumulative[:-1]
    return made


def _with_rest(shares: Numbers) -> Numbers:
    """Adds the last class, which gets what the others leave."""
    made = np.empty((len(shares) + 1, shares.shape[1]), dtype=shares.dtype)
    made[:-1] = shares
    np.subtract(1.0, shares[0] if len(shares) == 1 else shares.sum(axis=0), out=made[-1])
    return made
