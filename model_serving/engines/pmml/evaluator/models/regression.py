"""RegressionModel: linear, logistic, ordinal and softmax regression (PMML 4.4: Regression)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import constant
from model_serving.engines.pmml.evaluator.models.linear import LinearSums, Term, numeric_field
from model_serving.engines.pmml.evaluator.models.links import (
    NORMALIZATIONS,
    class_normalization,
    number_normalization,
)
from model_serving.engines.pmml.evaluator.prediction import (
    ModelContext,
    Prediction,
    Single,
    WithoutEntities,
    winner,
    winner_of_one,
)
from model_serving.engines.pmml.evaluator.reading import (
    MODEL_ATTRIBUTES,
    MODEL_PARTS,
    Unsupported,
    children,
    choice,
    named,
    number,
    required,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.data_types import Kind
    from model_serving.engines.pmml.evaluator.models.links import Link
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Scope
    from model_serving.engines.pmml.evaluator.targets import Target

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
    tables = named(parts, "RegressionTable")
    if not tables:
        raise Unsupported("a RegressionModel without a RegressionTable")
    if not context.classifies:
        if len(tables) > 1:
            raise Unsupported("a RegressionModel for regression with several RegressionTables")
        sums = _sums(tables, context)
        return RegressionModel(context.number_kind, sums, number_normalization(method), ())
    classes = _classes(tables, context.target)
    ordinal = context.target.kind.optype == "ordinal" and method not in {"softmax", "simplemax"}
    pairs = list(zip(classes, tables, strict=False))
    if ordinal and set(classes) <= set(context.target.values):
        pairs.sort(key=lambda pair: context.target.values.index(pair[0]))
        classes = tuple(value for value, _ in pairs)
    tables = [table for _, table in pairs]
    if len(classes) == 2 and not ordinal and method not in {"softmax", "simplemax"}:
        sums = _first_of_two(tables, context)
    else:
        sums = _sums(tables, context, len(classes))
    change = class_normalization(method, len(classes), ordinal=ordinal)
    return RegressionModel(context.target.kind, sums, change, classes)


@dataclass(frozen=True, slots=True)
class RegressionModel(WithoutEntities):
    """Implements ``Predictor``."""

    kind: Kind
    sums: LinearSums
    normalized: Link
    classes: tuple[float, ...]

    def predict(self, batch: Batch) -> Prediction:
        """See ``Predictor.predict``."""
        scores = self.normalized.of_batch(self.sums.values(batch))
        if scores.dtype != np.float64:
            scores = scores.astype(np.float64)
        if not self.classes:
            return Prediction(scores[0])
        return Prediction(winner(scores, self.classes), scores)

    def predict_one(self, record: Record) -> Single:
        """See ``Predictor.predict_one``."""
        if self.sums.is_plain:
            scores = self.normalized.of_one(self.sums.one(record))
        elif self.sums.is_single:
            with np.errstate(all="ignore"):
                made = self.normalized.of_batch(self.sums.single_of_one(record))
            scores = made[:, 0].tolist()
        else:
            return Single.of(record.of_batch(self.predict))
        if not self.classes:
            return Single(scores[0])
        return Single(winner_of_one(scores, self.classes), scores)


def _classes(tables: list[Element], target: Target) -> tuple[float, ...]:
    """Returns the classes of the tables, and of two classes the one that has no table.

    Raises:
        Unsupported: it is not clear which class a table is for.
    """
    named_classes = [
        None if text is None else target.class_value(text)
        for text in (table.get("targetCategory") for table in tables)
    ]
    others = [value for value in target.values if value not in named_classes]
    if named_classes.count(None) == 1 and len(others) == 1:
        named_classes = [others[0] if value is None else value for value in named_classes]
        others = []
    if None in named_classes:
        raise Unsupported("RegressionTable without targetCategory in a RegressionModel for classification")
    classes = [value for value in named_classes if value is not None]
    if len(set(classes)) < len(classes):
        raise Unsupported("a RegressionModel with two RegressionTables for one targetCategory")
    if len(classes) == 1:
        if len(others) != 1:
            raise Unsupported(
                "a RegressionModel for classification with one RegressionTable and not two classes"
            )
        classes += others
    return tuple(classes)


def _sums(tables: list[Element], context: ModelContext, count: int = 1) -> LinearSums:
    """Returns the sums of the tables; a class without a table has the sum zero."""
    read = [_read_table(table, context.scope) for table in tables]
    read += [(0.0, {})] * (count - len(read))
    return LinearSums([one[0] for one in read], [one[1] for one in read], single=context.single)


def _first_of_two(tables: list[Element], context: ModelContext) -> LinearSums:
    """Returns the sum of the first class: all that counts of the other are the numbers that must be there."""
    intercept, terms = _read_table(tables[0], context.scope)
    others = [term for table in tables[1:] for term in _read_table(table, context.scope)[1]]
    needed = [field for term in others for field, _ in term.powers]
    # A derived category that cannot be computed makes the record fail, though it counts for nothing here.
    unused = {
        term: 0.0 for term in others if any(field.expression is not None for field, _ in term.categories)
    }
    return LinearSums([intercept], [{**unused, **terms}], needed, single=context.single)


def _read_table(element: Element, scope: Scope) -> tuple[float, dict[Term, float]]:
    """Returns the intercept of a RegressionTable and the coefficients of its terms.

    A missing category counts as none of the categories, as the standard says; a missing number makes the
    result missing.
    """
    parts = children(
        element,
        {"intercept", "targetCategory"},
        ("NumericPredictor", "CategoricalPredictor", "PredictorTerm"),
    )
    coefficients: dict[Term, float] = {}
    for part in parts:
        term = _read_term(part, scope)
        coefficients[term] = coefficients.get(term, 0.0) + number(part, "coefficient")
    return number(element, "intercept", 0.0), coefficients


def _read_term(part: Element, scope: Scope) -> Term:
    if part.tag == "NumericPredictor":
        children(part, {"name", "exponent", "coefficient"})
        field = numeric_field(scope, required(part, "name"), part.tag)
        return Term(powers=((field, number(part, "exponent", 1.0)),))
    if part.tag == "CategoricalPredictor":
        children(part, {"name", "value", "coefficient"})
        field = scope.field(required(part, "name"))
        value = constant(required(part, "value"), field.kind.data_type, scope.program.symbols)
        return Term(categories=((field, value),))
    factors = children(part, {"name", "coefficient"}, ("FieldRef",))
    if not factors:
        raise Unsupported("PredictorTerm without a FieldRef")
    for factor in factors:
        children(factor, {"field"})
    return Term(powers=tuple((numeric_field(scope, one.get("field"), part.tag), 1.0) for one in factors))
