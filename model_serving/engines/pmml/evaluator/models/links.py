"""What turns a linear sum into an answer (PMML 4.4: Regression, GeneralRegression, NeuralNetwork)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import atan, erfc, exp, expm1, pi, sqrt
from operator import sub
from typing import TypeAlias

import numpy as np

from model_serving.engines.pmml.evaluator.reading import Unsupported
from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = [
    "NORMALIZATIONS",
    "SIMPLEMAX",
    "SOFTMAX",
    "Change",
    "Link",
    "binary",
    "class_normalization",
    "cumulative",
    "each",
    "inverse_link",
    "logistic_of_one",
    "number_normalization",
    "simplemax",
    "softmax",
    "softmax_of_one",
]

_LEAST_EXPONENT = -709.0
"""Where the logistic function is zero but for a number below 1e-300."""

NORMALIZATIONS = ("none", "simplemax", "softmax", "logit", "probit", "cloglog", "exp", "loglog", "cauchit")
"""The values of ``normalizationMethod`` of a RegressionModel."""

Change: TypeAlias = Callable[[Numbers], Numbers]
"""Makes something of scores; the shape stays."""


@dataclass(frozen=True, slots=True)
class Link:
    """Makes answers of scores: of arrays, shape (scores, n), and of the scores of one record alone.

    ``of_one`` may raise what ``Expression.one`` may raise.
    """

    of_batch: Change
    of_one: Callable[[list[float]], list[float]]


def softmax(scores: Numbers) -> Numbers:
    """Returns the softmax over the first axis. It cannot overflow: the greatest score is taken off first."""
    powers: Numbers = np.exp(scores - np.maximum.reduce(scores))
    powers /= np.add.reduce(powers)
    return powers


def simplemax(scores: Numbers) -> Numbers:
    """Returns each score's share in the sum over the first axis."""
    return np.asarray(scores / np.add.reduce(scores))


def softmax_of_one(scores: list[float]) -> list[float]:
    """Returns the softmax of the scores of one record."""
    greatest = max(scores)
    powers = [exp(score - greatest) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def _simplemax_of_one(scores: list[float]) -> list[float]:
    """Returns each score's share in their sum; raises ZeroDivisionError if that is zero."""
    total = sum(scores)
    return [score / total for score in scores]


SOFTMAX = Link(softmax, softmax_of_one)
"""Makes probabilities of scores that may be any numbers."""

SIMPLEMAX = Link(simplemax, _simplemax_of_one)
"""Makes shares of scores, of which the sum must not be zero."""


def _cumulative_normal(value: float) -> float:
    """Returns the cumulative distribution of the standard normal distribution."""
    return 0.5 * erfc(-value / sqrt(2.0))


def _cumulative_normals(values: Numbers) -> Numbers:
    made = [_cumulative_normal(value) for value in values.ravel().tolist()]
    return np.array(made, dtype=values.dtype).reshape(values.shape)


def logistic_of_one(score: float) -> float:
    """Returns the logistic function of one number; it cannot overflow."""
    return 0.0 if score < _LEAST_EXPONENT else 1.0 / (1.0 + exp(-score))


def each(of_batch: Change, of_float: Callable[[float], float]) -> Link:
    """Returns what makes an answer of each score by itself."""
    return Link(of_batch, lambda scores: [of_float(score) for score in scores])


def _only(of_batch: Change) -> Link:
    """Returns a link that has no shorter way for one record."""

    def of_one(scores: list[float]) -> list[float]:
        with np.errstate(all="ignore"):
            made: list[float] = of_batch(np.array(scores)[:, None])[:, 0].tolist()
        return made

    return Link(of_batch, of_one)


_IDENTITY = Link(lambda scores: scores, lambda scores: scores)
_LOGISTIC = each(lambda scores: 1.0 / (1.0 + np.exp(-scores)), logistic_of_one)
_EXPONENTIAL = each(np.exp, exp)
_INVERSE_LINKS: dict[str, Link] = {
    "identity": _IDENTITY,
    "none": _IDENTITY,
    "logit": _LOGISTIC,
    "probit": each(_cumulative_normals, _cumulative_normal),
    "cloglog": each(lambda scores: -np.expm1(-np.exp(scores)), lambda score: -expm1(-exp(score))),
    "loglog": each(lambda scores: np.exp(-np.exp(-scores)), lambda score: exp(-exp(-score))),
    "cauchit": each(lambda scores: 0.5 + np.arctan(scores) / np.pi, lambda score: 0.5 + atan(score) / pi),
    "log": _EXPONENTIAL,
    "exp": _EXPONENTIAL,
    "logc": each(lambda scores: -np.expm1(scores), lambda score: -expm1(score)),
}


def inverse_link(link: str, parameter: float | None = None) -> Link:
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
        return _only(lambda scores: 1.0 / (given * np.expm1(-scores)))
    if link == "power":
        return _EXPONENTIAL if given == 0.0 else _only(lambda scores: scores ** (1.0 / given))
    if given == 0.0:
        return _LOGISTIC
    return _only(lambda scores: 1.0 / (1.0 + (1.0 + given * scores) ** (-1.0 / given)))


def number_normalization(method: str) -> Link:
    """Returns what a ``normalizationMethod`` makes of the number that a regression predicts.

    Raises:
        Unsupported: the method does not exist for a number.
    """
    if method == "simplemax":
        raise Unsupported("normalizationMethod 'simplemax' of a RegressionModel for regression")
    return inverse_link("logit" if method == "softmax" else method)


def class_normalization(method: str, classes: int, *, ordinal: bool = False) -> Link:
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
        return SOFTMAX if method == "softmax" else SIMPLEMAX
    share = inverse_link(method)
    if ordinal:
        return cumulative(share)
    if classes == 2 and method == "none":
        # The score is a probability, however far a linear equation carries it beyond 0 or 1.
        return Link(
            lambda scores: _with_rest(np.clip(scores[:1], 0.0, 1.0)),
            lambda scores: _with_rest_of_one([min(max(scores[0], 0.0), 1.0)]),
        )
    if classes == 2:
        return binary(share)
    if method == "none":
        return Link(lambda scores: _with_rest(scores[:-1]), lambda scores: _with_rest_of_one(scores[:-1]))
    # The standard has these methods for two classes. With more, one against the rest is what exporters mean.
    return Link(
        lambda scores: simplemax(share.of_batch(scores)),
        lambda scores: _simplemax_of_one(share.of_one(scores)),
    )


def binary(share: Link) -> Link:
    """Returns the probabilities of two classes; the second one gets what the first one leaves."""
    return Link(
        lambda scores: _with_rest(share.of_batch(scores[:1])),
        lambda scores: _with_rest_of_one(share.of_one(scores[:1])),
    )


def cumulative(share: Link) -> Link:
    """Returns the probabilities of ordered classes, of which the link gives cumulative ones.

    The last class takes what is left up to 1, whatever its own score is.
    """

    def of_one(scores: list[float]) -> list[float]:
        upper = [*share.of_one(scores)[:-1], 1.0]
        return [upper[0], *map(sub, upper[1:], upper)]

    return Link(lambda scores: _differences(share.of_batch(scores)), of_one)


def _differences(cumulative: Numbers) -> Numbers:
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


def _with_rest_of_one(shares: list[float]) -> list[float]:
    return [*shares, 1.0 - sum(shares)]
