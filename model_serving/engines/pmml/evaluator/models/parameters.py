"""The parameters of a GeneralRegressionModel: what each stands for, and its coefficients (PMML 4.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from model_serving.engines.pmml.evaluator.data_types import constant
from model_serving.engines.pmml.evaluator.models.linear import Term, numeric_field
from model_serving.engines.pmml.evaluator.reading import (
    NOTHING,
    Unsupported,
    children,
    decimal,
    matrix,
    number,
    only,
    required,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.scope import Field, Scope

__all__ = ["PARAMETER_LISTS", "Parameters", "read_parameters"]

PARAMETER_LISTS = frozenset(
    {"ParameterList", "FactorList", "CovariateList", "PPMatrix", "PCovMatrix", "ParamMatrix"}
)
"""The elements that describe parameters."""


class _Factor(NamedTuple):
    """A categorical predictor; ``contrasts`` are the columns of its contrast matrix by category."""

    field: Field
    contrasts: dict[float, tuple[tuple[float, float], ...]] | None


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one model.

    Attributes:
        references: the reference point of each parameter.
        terms: what each parameter stands for, by the target category (None: for all) and its name. A
            parameter that is not there is an intercept.
        betas: (parameter, coefficient) by the target category, None for cells without one.
        factors: the fields of categorical predictors.
    """

    references: dict[str, float]
    terms: dict[str | None, dict[str, Term]]
    betas: dict[str | None, list[tuple[str, float]]]
    factors: tuple[Field, ...]

    def sum_for(self, category: str | None, cells: str | None) -> tuple[float, dict[Term, float]]:
        """Returns the intercept and the terms' coefficients.

        Args:
            category: the target category of which parameters' meanings are asked.
            cells: the target category whose coefficients are taken; None for those of all categories.
        """
        terms = self.terms.get(category, self.terms.get(None, {}))
        intercept, coefficients = 0.0, dict[Term, float]()
        for name, beta in self.betas.get(cells, []):
            term = terms.get(name)
            if term is None:
                intercept += beta
            else:
                coefficients[term] = coefficients.get(term, 0.0) + beta
        return intercept, coefficients

    @property
    def reference(self) -> float:
        """The linear predictor at the reference points of the parameters (Cox regression)."""
        return sum(beta * self.references[name] for name, beta in self.betas.get(None, []))


def read_parameters(parts: list[Element], scope: Scope) -> Parameters:
    """Reads the lists and matrices of parameters from the parts of a GeneralRegressionModel.

    Raises:
        Unsupported: a part of them is not known, or contradicts another.
    """
    references: dict[str, float] = {}
    for part in _items(parts, "ParameterList", "Parameter"):
        children(part, {"name", "label", "referencePoint"})
        references[required(part, "name")] = number(part, "referencePoint", 0.0)
    factors = {
        required(part, "name"): _read_factor(part, scope) for part in _items(parts, "FactorList", "Predictor")
    }
    for part in _items(parts, "CovariateList", "Predictor"):
        children(part, {"name", "contrastMatrixType"})
        numeric_field(scope, required(part, "name"), "CovariateList")
    betas: dict[str | None, list[tuple[str, float]]] = {}
    for cell in _items(parts, "ParamMatrix", "PCell"):
        children(cell, {"targetCategory", "parameterName", "beta", "df"})
        name = _known(cell, references)
        betas.setdefault(cell.get("targetCategory"), []).append((name, number(cell, "beta")))
    if not betas:
        raise Unsupported("a GeneralRegressionModel without a PCell in a ParamMatrix")
    fields = tuple(factor.field for factor in factors.values())
    return Parameters(references, _read_terms(parts, references, factors, scope), betas, fields)


def _items(parts: list[Element], tag: str, item: str) -> list[Element]:
    element = only(parts, tag)
    return [] if element is None else children(element, NOTHING, (item,))


def _known(cell: Element, references: dict[str, float]) -> str:
    name = required(cell, "parameterName")
    if name not in references:
        raise Unsupported(f"{cell.tag} of the parameter '{name}', which the ParameterList does not have")
    return name


def _read_terms(
    parts: list[Element], references: dict[str, float], factors: dict[str, _Factor], scope: Scope
) -> dict[str | None, dict[str, Term]]:
    terms: dict[str | None, dict[str, Term]] = {}
    for cell in _items(parts, "PPMatrix", "PPCell"):
        children(cell, {"value", "predictorName", "parameterName", "targetCategory"})
        name = _known(cell, references)
        found = terms.setdefault(cell.get("targetCategory"), {})
        found[name] = _extended(found.get(name, Term()), cell, factors, scope)
    return terms


def _extended(term: Term, cell: Element, factors: dict[str, _Factor], scope: Scope) -> Term:
    """Returns the product of a term and what a PPCell stands for."""
    name, text = required(cell, "predictorName"), required(cell, "value")
    factor = factors.get(name)
    if factor is None:
        field = numeric_field(scope, name, "PPCell")
        try:
            return term._replace(powers=(*term.powers, (field, decimal(text))))
        except ValueError as error:
            raise Unsupported(f"PPCell of the covariate '{name}' in which {error}") from None
    value = constant(text, factor.field.kind.data_type, scope.program.symbols)
    if factor.contrasts is None:
        return term._replace(categories=(*term.categories, (factor.field, value)))
    if value not in factor.contrasts:
        raise Unsupported(f"PPCell with the value '{text}', for which the Matrix of '{name}' has no column")
    return term._replace(contrasts=(*term.contrasts, (factor.field, factor.contrasts[value])))


def _read_factor(element: Element, scope: Scope) -> _Factor:
    """Reads a factor and its contrast matrix: a row for each category, a column for each PPCell's value."""
    name = required(element, "name")
    parts = children(element, {"name", "contrastMatrixType"}, ("Categories", "Matrix"))
    field = scope.field(name)
    numbers = only(parts, "Matrix")
    if numbers is None:
        return _Factor(field, None)
    listed = only(parts, "Categories")
    values = list(field.values)
    if listed is not None:
        texts = [required(part, "value") for part in children(listed, NOTHING, ("Category",))]
        values = [constant(text, field.kind.data_type, scope.program.symbols) for text in texts]
    table = matrix(numbers)
    if len(values) != len(table) or table.shape[1] > len(values):
        raise Unsupported(f"a Matrix of {len(table)} rows for the {len(values)} categories of '{name}'")
    columns = {
        value: tuple(zip(values, table[:, column].tolist(), strict=True))
        for column, value in enumerate(values[: table.shape[1]])
    }
    return _Factor(field, columns)
