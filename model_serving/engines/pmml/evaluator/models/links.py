"""Normalization methods of regression models and networks (PMML 4.4: Regression, NeuralNetwork)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.reading import Unsupported

if TYPE_CHECKING:
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["NORMALIZATIONS", "cumulative_normal", "normalized", "softmax"]

NORMALIZATIONS = (
    "none",
    "simplemax",
    "softmax",
    "logit",
    "probit",
    "cloglog",
    "exp",
    "loglog",
    "cauchit",
)


def softmax(scores: Numbers) -> Numbers:
    """Returns the softmax over the first axis. It does not overflow: the greatest score is taken off first."""
    powers = np.exp(scores - scores.max(axis=0))
    return np.asarray(powers / powers.sum(axis=0))


def cumulative_normal(values: Numbers) -> Numbers:
    """Returns the cumulative distribution of the standard normal distribution."""
    from math import erfc, sqrt

    return np.array([0.5 * erfc(-value / sqrt(2.0)) for value in values.ravel().tolist()]).reshape(
        values.shape
    )


def inverse_link(scores: Numbers, method: str) -> Numbers:
    """Returns the number between 0 and 1 (for ``exp``: above 0) that a link function gives for a score."""
    if method == "logit":
        return np.asarray(1.0 / (1.0 + np.exp(-scores)))
    if method == "probit":
        return cumulative_normal(scores)
    if method == "cloglog":
        return np.asarray(1.0 - np.exp(-np.exp(scores)))
    if method == "loglog":
        return np.asarray(np.exp(-np.exp(-scores)))
    if method == "cauchit":
        return np.asarray(0.5 + np.arctan(scores) / np.pi)
    if method == "exp":
        return np.asarray(np.exp(scores))
    raise Unsupported(f"normalizationMethod '{method}' here")


def normalized(scores: Numbers, method: str, *, is_class: bool, ordinal: bool = False) -> Numbers:
    """Returns what a normalization method makes of the scores of RegressionTables.

    Args:
        scores: shape (tables, n).
        method: one of ``NORMALIZATIONS``.
        is_class: whether they are the scores of classes; the probabilities then sum to 1.
        ordinal: whether the classes are ordered, each probability then being a difference of two cumulative
            ones.

    Raises:
        Unsupported: the method does not exist for this kind of model.
    """
    if not is_class:
        return scores if method == "none" else _of_number(scores, method)
    if method == "softmax":
        return softmax(scores)
    if method == "simplemax":
        return np.asarray(scores / scores.sum(axis=0))
    cumulative = scores if method == "none" else inverse_link(scores, method)
    if ordinal:
        return _differences(cumulative)
    if len(scores) == 1:
        return cumulative
    if len(scores) == 2 or method == "none":
        # The last class gets what the others leave, so that the probabilities sum to 1.
        made = cumulative.copy()
        made[-1] = 1.0 - made[:-1].sum(axis=0)
        return made
    return np.asarray(cumulative / cumulative.sum(axis=0))


def _of_number(scores: Numbers, method: str) -> Numbers:
    if method == "softmax":
        return np.asarray(1.0 / (1.0 + np.exp(-scores)))
    return inverse_link(scores, method)


def _differences(cumulative: Numbers) -> Numbers:
    """Returns the probabilities of ordered classes from cumulative ones; the last class takes the rest."""
    made = cumulative.copy()
    made[-1] = 1.0
    made[1:] -= made[:-1].copy() if len(made) == 1 else np.vstack([cumulative[:-1]])
    return made
