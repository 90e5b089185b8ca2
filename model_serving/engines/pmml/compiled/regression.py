"""RegressionModel. The rules are PMML4S's (``RegressionModel.predict``, ``predictors.scala``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.compiled.evaluation import Evaluation, Evaluator, MostProbable
from model_serving.engines.pmml.compiled.linear import INVERSE_LINKS, LinearSum, Term
from model_serving.engines.pmml.compiled.reading import (
    MODEL_ATTRIBUTES,
    MODEL_PARTS,
    NotCompiled,
    check,
    number,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.compiled.fields import Field, Fields, Numbers
    from model_serving.engines.pmml.compiled.targets import Target

__all__ = ["compile_regression"]

_ATTRIBUTES = MODEL_ATTRIBUTES | {"modelType", "targetFieldName", "normalizationMethod"}
_NORMALIZATIONS = {
    "none": "identity",
    "softmax": "logit",
    "logit": "logit",
    "exp": "exp",
    "probit": "probit",
    "cloglog": "cloglog",
    "cauchit": "cauchit",
}
"""The normalizations of a regression to numbers, where softmax is the logistic function."""

_BINARY = frozenset({"logit", "probit", "cloglog", "loglog", "cauchit"})


def compile_regression(element: Element, fields: Fields, target: Target) -> Evaluator:
    """Compiles a RegressionModel.

    Raises:
        NotCompiled: a part of the model is not known exactly.
    """
    parts = check(element, _ATTRIBUTES, {*MODEL_PARTS, "RegressionTable"})
    tables = [part for part in parts if part.tag == "RegressionTable"]
    sums = [_read_table(table, fields) for table in tables]
    method = element.get("normalizationMethod", "none")
    if target.classes is None:
        if len(sums) != 1 or method not in _NORMALIZATIONS:
            raise NotCompiled(f"a regression with {len(sums)} tables and the normalization {method}")
        return _Number(sums[0], INVERSE_LINKS[_NORMALIZATIONS[method]])
    classes = [target.index(table.get("targetCategory", "")) for table in tables]
    if len(classes) == 2 and method in _BINARY:
        if sorted(classes) != [0, 1] or len(target.classes) != 2:
            raise NotCompiled("two regression tables for other classes than two")
        return _Binary(sums, classes, INVERSE_LINKS[method])
    if method not in {"softmax", "simplemax", "none"}:
        raise NotCompiled(f"{len(classes)} regression tables with the normalization {method}")
    return _Multinomial(sums, classes, method, MostProbable(target, classes))


def _read_table(table: Element, fields: Fields) -> LinearSum:
    kinds = {
        "NumericPredictor": _numeric,
        "CategoricalPredictor": _categorical,
        "PredictorTerm": _product,
    }
    terms = [kinds[part.tag](part, fields) for part in check(table, {"intercept", "targetCategory"}, kinds)]
    return LinearSum(number(table.get("intercept")), terms)


def _numeric(element: Element, fields: Fields) -> Term:
    check(element, {"name", "exponent", "coefficient"})
    column = fields.continuous(element.get("name")).column
    coefficient, exponent = number(element.get("coefficient")), element.get("exponent", "1")
    if exponent == "1":
        return column, coefficient
    if not exponent.isdecimal():
        raise NotCompiled(f"the exponent {exponent}")
    power = float(exponent)

    def raised(values: Numbers) -> Numbers:
        of = values[:, column]
        return np.where(np.isnan(of), of, np.power(of, power))

    return raised, coefficient


def _categorical(element: Element, fields: Fields) -> Term:
    check(element, {"name", "value", "coefficient"})
    field: Field = fields.named(element.get("name"))
    column, wanted = field.column, field.code(element.get("value", ""))
    if field.codes is None:
        field.numbers.append(wanted)
    # A missing value is not a category, so it adds nothing.
    return (lambda values: (values[:, column] == wanted).astype(np.float64)), number(
        element.get("coefficient")
    )


def _product(element: Element, fields: Fields) -> Term:
    parts = check(element, {"name", "coefficient"}, ("FieldRef",))
    for part in parts:
        check(part, {"field"})
    columns = [fields.continuous(part.get("field")).column for part in parts]
    if not columns:
        raise NotCompiled("an empty PredictorTerm")
    coefficient = number(element.get("coefficient"))

    def product(values: Numbers) -> Numbers:
        made = np.full(len(values), coefficient)
        for column in columns:
            made *= values[:, column]
        return made

    return product, 1.0


class _Number:
    def __init__(self, total: LinearSum, link: Callable[[Numbers], Numbers]) -> None:
        self._total = total
        self._link = link

    def evaluate(self, values: Numbers) -> Evaluation:
        """See ``Evaluator.evaluate``."""
        return Evaluation(self._link(self._total(values)))


class _Binary:
    """Two classes: the second table is used, or the first if the second gives 0 and so is the trivial one."""

    def __init__(
        self, sums: Sequence[LinearSum], classes: Sequence[int], link: Callable[[Numbers], Numbers]
    ) -> None:
        self._sums = sums
        self._classes = classes
        self._link = link

    def evaluate(self, values: Numbers) -> Evaluation:
        """See ``Evaluator.evaluate``."""
        first, second = (total(values) for total in self._sums)
        by_first = second == 0.0
        share = self._link(np.where(by_first, first, second))
        share[np.isnan(first) | np.isnan(second)] = np.nan
        counting = np.where(by_first, self._classes[0], self._classes[1])
        rest = 1.0 - share
        rows = np.empty((4, len(values)))
        for index in (0, 1):
            rows[index] = np.where(counting == index, share, rest)
        rows[2] = np.maximum(share, rest)
        rows[3] = np.nan
        predicted = np.where(share >= rest, counting, 1 - counting)
        return Evaluation(np.where(np.isnan(share), -1, predicted), rows)


class _Multinomial:
    def __init__(
        self, sums: Sequence[LinearSum], classes: Sequence[int], method: str, most_probable: MostProbable
    ) -> None:
        self._sums = sums
        self._classes = list(classes)
        self._method = method
        self._most_probable = most_probable

    def evaluate(self, values: Numbers) -> Evaluation:
        """See ``Evaluator.evaluate``."""
        totals = np.array([total(values) for total in self._sums])
        missing = np.isnan(totals).any(axis=0)
        shares = np.empty_like(totals)
        shares[self._classes] = self._normalized(totals)
        evaluation = self._most_probable.evaluation(shares)
        if evaluation.rows is not None and missing.any():
            evaluation.rows[:, missing] = np.nan
            evaluation.predicted[missing] = -1
        return evaluation

    def _normalized(self, totals: Numbers) -> Numbers:
        if self._method == "softmax":
            totals = np.exp(totals)
        if self._method != "none":
            return np.asarray(totals / np.add.reduce(totals, axis=0))
        if len(totals) == 2:
            totals[0] = np.clip(totals[0], 0.0, 1.0)
        totals[-1] = 1.0 - np.add.reduce(totals[:-1], axis=0)
        return totals
