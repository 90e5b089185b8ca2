"""Normalization of regression scores (PMML 4.4, Regression)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

__all__ = ["class_probabilities", "inverse"]


def inverse(score: float, method: str) -> float:
    """Returns what a normalization makes of the score of a regression."""
    return _INVERSE[method](score)


def class_probabilities(scores: Sequence[float], method: str) -> list[float]:
    """Returns the probabilities of unordered classes; of two classes, except for softmax and simplemax."""
    if method == "softmax":
        powers = [math.exp(score - max(scores)) for score in scores]
        return [power / math.fsum(powers) for power in powers]
    if method == "simplemax":
        return [score / math.fsum(scores) for score in scores]
    if len(scores) != 2:
        raise KeyError(f"{method} for {len(scores)} classes")
    first = inverse(scores[0], method)
    return [first, 1.0 - first]


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


_INVERSE: dict[str, Callable[[float], float]] = {
    "none": lambda y: y,
    "softmax": lambda y: 1.0 / (1.0 + _exp(-y)),
    "logit": lambda y: 1.0 / (1.0 + _exp(-y)),
    "exp": _exp,
    "probit": NormalDist().cdf,
    "cloglog": lambda y: 1.0 - _exp(-_exp(y)),
    "loglog": lambda y: _exp(-_exp(-y)),
    "cauchit": lambda y: 0.5 + math.atan(y) / math.pi,
}
