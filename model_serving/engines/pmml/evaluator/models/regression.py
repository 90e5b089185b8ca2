"""RegressionModel: linear, logistic and softmax regression (PMML 4.4: Regression)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.batch import Gather
from model_serving.engines.pmml.evaluator.data_types import Kind, constant
from model_serving.engines.pmml.evaluator.models.links import NORMALIZATIONS, normalized
from model_serving.engines.pmml.evaluator.prediction import ModelContext, Prediction, winner
from model_serving.engines.pmml.evaluator.reading import (
    MODEL_ATTRIBUTES,
    MODEL_PARTS,
    Unsupported,
    children,
    choice,
    named,
    number,
    required,
    whole_number,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.scope import Field, Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["RegressionModel", "compile_model"]

_ATTRIBUTES = MODEL_ATTRIBUTES | {"modelType", "normalizationMethod"}


def compile_model(element: Element, context: ModelContext) -> RegressionModel:
    """Reads a RegressionModel.

    Raises:
        Unsupported: a part of it is not known.
    """
    context.needs("regression", "classification")
    parts = children(element, _ATTRIBUTES, {*MODEL_PARTS, "RegressionTable"})
    method = choice(element, "normalizationMethod", NORMALIZATIONS, "none")
    tables = [_Table(part, context.scope) for part in named(parts, "RegressionTable")]
    if not tables:
        raise Unsupported("a RegressionModel without a RegressionTable")
    if not context.classifies:
        if len(tables) > 1:
            raise Unsupported("a RegressionModel for regression with several RegressionTables")
        return RegressionModel(context.target.kind, tables, method, ())
    classes = tuple(
        context.target.class_value(required(part, "targetCategory"))
        for part in named(parts, "RegressionTable")
    )
    if len(set(classes)) < len(classes):
        raise Unsupported("a RegressionModel with two RegressionTables for one targetCategory")
    return RegressionModel(
        context.target.kind, tables, method, classes, ordinal=context.target.kind.optype == "ordinal"
    )


@dataclass(frozen=True, slots=True)
class RegressionModel:
    """Implements ``Predictor``."""

    kind: Kind
    tables: Sequence[_Table]
    method: str
    classes: tuple[float, ...]
    ordinal: bool = False

    @property
    def entities(self) -> tuple[str, ...]:
        """None: classes have no ids."""
        return ()

    def predict(self, batch: Batch) -> Prediction:
        """See ``Predictor.predict``."""
        if not self.classes:
            return Prediction(normalized(self.tables[0].values(batch)[None, :], self.method, is_class=False)[0])
        scores = np.array([table.values(batch) for table in self.tables])
        probabilities = normalized(scores, self.method, is_class=True, ordinal=self.ordinal)
        return Prediction(winner(probabilities, self.classes), probabilities)


class _Table:
    """One equation: the intercept, and terms of fields, of categories and of products of fields."""

    def __init__(self, element: Element, scope: Scope) -> None:
        parts = children(
            element,
            {"intercept", "targetCategory"},
            ("NumericPredictor", "CategoricalPredictor", "PredictorTerm"),
        )
        self._intercept = number(element, "intercept", 0.0)
        linear: dict[Field, float] = {}
        self._powers: list[tuple[Field, float, float]] = []
        self._categories: list[tuple[Field, float, float]] = []
        self._products: list[tuple[tuple[Field, ...], float]] = []
        for part in parts:
            if part.tag == "NumericPredictor":
                children(part, {"name", "exponent", "coefficient"})
                field = scope.field(part.get("name"))
                exponent, coefficient = whole_number(part, "exponent", 1), number(part, "coefficient")
                if exponent == 1:
                    linear[field] = linear.get(field, 0.0) + coefficient
                else:
                    self._powers.append((field, exponent, coefficient))
            elif part.tag == "CategoricalPredictor":
                children(part, {"name", "value", "coefficient"})
                field = scope.field(part.get("name"))
                value = constant(
                    required(part, "value"), field.kind.data_type, scope.program.symbols
                )
                self._categories.append((field, value, number(part, "coefficient")))
            else:
                factors = children(part, {"name", "coefficient"}, ("FieldRef",))
                fields = tuple(scope.field(factor.get("field")) for factor in factors)
                self._products.append((fields, number(part, "coefficient")))
        self._linear = Gather(list(linear))
        self._coefficients = np.array(list(linear.values()))

    def values(self, batch: Batch) -> Numbers:
        """Returns the equation's value for every record: NaN where a number is missing.

        A missing category counts as none of the categories, as the standard says.
        """
        made = np.full(batch.n, self._intercept)
        if len(self._coefficients):
            made += self._linear.matrix(batch) @ self._coefficients
        for field, exponent, coefficient in self._powers:
            made = made + coefficient * batch.value(field) ** exponent
        for field, value, coefficient in self._categories:
            made = made + np.where(batch.value(field) == value, coefficient, 0.0)
        for fields, coefficient in self._products:
            product = np.full(batch.n, coefficient)
            for field in fields:
                product = product * batch.value(field)
            made = made + product
        return made
