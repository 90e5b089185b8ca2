"""GeneralRegressionModel: linear and generalized linear models.

The rules are PMML4S's (``GeneralRegressionModel.predict``, ``RegressionParameter.eval``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.compiled.evaluation import Evaluation, Evaluator, MostProbable
from model_serving.engines.pmml.compiled.linear import INVERSE_LINKS, LinearSum, Term
from model_serving.engines.pmml.compiled.reading import (
    MODEL_ATTRIBUTES,
    MODEL_PARTS,
    NOTHING,
    NotCompiled,
    check,
    number,
    only,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.compiled.fields import Fields, Numbers
    from model_serving.engines.pmml.compiled.targets import Target

__all__ = ["compile_general_regression"]

_ATTRIBUTES = MODEL_ATTRIBUTES | {
    "modelType",
    "targetVariableName",
    "targetReferenceCategory",
    "distribution",
    "linkFunction",
    "linkParameter",
    "trialsValue",
    "offsetValue",
    "modelDF",
}
_LISTS = frozenset({"ParameterList", "FactorList", "CovariateList", "PPMatrix", "PCovMatrix", "ParamMatrix"})
_LINKS = {
    "identity": "identity",
    "log": "exp",
    "logit": "logit",
    "probit": "probit",
    "cloglog": "cloglog",
    "loglog": "loglog",
    "logc": "logc",
}


def compile_general_regression(element: Element, fields: Fields, target: Target) -> Evaluator:
    """Compiles a GeneralRegressionModel of the types regression, generalLinear and generalizedLinear.

    Raises:
        NotCompiled: a part of the model is not known exactly.
    """
    parts = check(element, _ATTRIBUTES, MODEL_PARTS | _LISTS)
    parameters = _read_parameters(parts, fields)
    cells = check(_list(parts, "ParamMatrix"), NOTHING, ("PCell",))
    for cell in cells:
        check(cell, {"targetCategory", "parameterName", "beta", "df"})
    intercept, terms = 0.0, list[Term]()
    for cell in cells:
        name, beta = cell.get("parameterName", ""), number(cell.get("beta", "0"))
        if name not in parameters:
            raise NotCompiled(f"a cell of the parameter {name}, which is not listed")
        source = parameters[name]
        if source is None:
            intercept += beta
        else:
            terms.append((source, beta))
    total = LinearSum(intercept, terms)
    if element.get("modelType") in {"regression", "generalLinear"} and target.classes is None:
        return _Mean(total, 0.0, 1.0, INVERSE_LINKS["identity"])
    if element.get("modelType") != "generalizedLinear":
        raise NotCompiled(f"the model type {element.get('modelType')}")
    offset, trials = number(element.get("offsetValue", "0")), number(element.get("trialsValue", "1"))
    mean = _Mean(total, offset, trials, _read_link(element))
    if target.classes is None:
        return mean
    categories = {cell.get("targetCategory", "") for cell in cells}
    if element.get("distribution") != "binomial" or len(target.classes) != 2 or len(categories) != 1:
        raise NotCompiled("a generalized linear classifier that is not binomial with one set of parameters")
    modelled = target.index(categories.pop())
    reference = element.get("targetReferenceCategory")
    if reference is not None and target.index(reference) == modelled:
        raise NotCompiled("a reference category with parameters")
    return _Binomial(mean, modelled, MostProbable(target, [modelled, 1 - modelled]))


def _read_link(element: Element) -> Callable[[Numbers], Numbers]:
    name = element.get("linkFunction", "")
    if name == "power":
        parameter = number(element.get("linkParameter"))
        return np.exp if parameter == 0.0 else (lambda values: np.power(values, 1.0 / parameter))
    if name not in _LINKS:
        raise NotCompiled(f"the link function {name}")
    return INVERSE_LINKS[_LINKS[name]]


def _list(parts: Sequence[Element], tag: str) -> Element:
    found = only(parts, tag)
    if found is None:
        raise NotCompiled(f"a model without {tag}")
    return found


def _read_parameters(
    parts: Sequence[Element], fields: Fields
) -> dict[str, int | Callable[[Numbers], Numbers] | None]:
    """Returns what every parameter is multiplied by, None for the intercept's parameter."""
    names = []
    for parameter in check(_list(parts, "ParameterList"), NOTHING, ("Parameter",)):
        check(parameter, {"name", "label"})
        names.append(parameter.get("name", ""))
    if len(set(names)) < len(names):
        raise NotCompiled("a parameter that is listed twice")
    for tag in ("FactorList", "CovariateList"):
        for predictor in (
            check(_list(parts, tag), NOTHING, ("Predictor",)) if only(parts, tag) is not None else ()
        ):
            check(predictor, {"name"})
    cells: dict[str, list[Element]] = {name: [] for name in names}
    for cell in check(_list(parts, "PPMatrix"), NOTHING, ("PPCell",)):
        check(cell, {"value", "predictorName", "parameterName"})
        cells.setdefault(cell.get("parameterName", ""), []).append(cell)
    return {name: _parameter(cells[name], fields) if cells[name] else None for name in names}


def _parameter(cells: Sequence[Element], fields: Fields) -> int | Callable[[Numbers], Numbers]:
    """Returns the product of factors (1 or 0) and covariates. If one is 0, it is 0, even if others miss."""
    factors, covariates = [], []
    for cell in cells:
        field = fields.named(cell.get("predictorName"))
        if field.codes is not None:
            factors.append((field.column, field.code(cell.get("value", ""))))
        else:
            covariates.append((field.column, number(cell.get("value"))))
    if not factors and len(covariates) == 1 and covariates[0][1] == 1.0:
        return covariates[0][0]

    def product(values: Numbers) -> Numbers:
        made = np.ones(len(values))
        zero = np.zeros(len(values), dtype=bool)
        for column, code in factors:
            zero |= values[:, column] != code
        for column, power in covariates:
            of = values[:, column]
            raised = of if power == 1.0 else np.where(np.isnan(of), of, np.power(of, power))
            zero |= raised == 0.0
            made *= raised
        made[zero] = 0.0
        return made

    return product


class _Mean:
    def __init__(
        self, total: LinearSum, offset: float, trials: float, link: Callable[[Numbers], Numbers]
    ) -> None:
        self._total = total
        self._offset = offset
        self._trials = trials
        self._link = link

    def evaluate(self, values: Numbers) -> Evaluation:
        """See ``Evaluator.evaluate``."""
        return Evaluation(self._link(self._total(values) + self._offset) * self._trials)


class _Binomial:
    def __init__(self, mean: _Mean, modelled: int, most_probable: MostProbable) -> None:
        self._mean = mean
        self._modelled = modelled
        self._most_probable = most_probable

    def evaluate(self, values: Numbers) -> Evaluation:
        """See ``Evaluator.evaluate``."""
        share = np.clip(self._mean.evaluate(values).predicted.astype(np.float64), 0.0, 1.0)
        shares = np.empty((2, len(values)))
        shares[self._modelled] = share
        shares[1 - self._modelled] = 1.0 - share
        return self._most_probable.evaluation(shares)
