"""Scorecard: a sum of partial scores, with the reasons that weigh most (PMML 4.4: Scorecard)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import Kind
from model_serving.engines.pmml.evaluator.expressions.compiler import EXPRESSIONS, compile_expression
from model_serving.engines.pmml.evaluator.predicates import PREDICATES, compile_predicate
from model_serving.engines.pmml.evaluator.prediction import (
    ModelContext,
    Prediction,
    Single,
    WithoutClasses,
    WithoutEntities,
)
from model_serving.engines.pmml.evaluator.reading import (
    MODEL_ATTRIBUTES,
    MODEL_PARTS,
    NOTHING,
    Unsupported,
    children,
    choice,
    flag,
    number,
    only,
    optional_number,
    single_child,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch, Mask, Rows
    from model_serving.engines.pmml.evaluator.predicates import Predicate
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Expression, Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Scorecard", "compile_model"]

_ATTRIBUTES = MODEL_ATTRIBUTES | {
    "initialScore",
    "useReasonCodes",
    "reasonCodeAlgorithm",
    "baselineScore",
    "baselineMethod",
}
_METHODS = ("max", "min", "mean", "neutral", "other")


def compile_model(element: Element, context: ModelContext) -> Scorecard:
    """Reads a Scorecard.

    Raises:
        Unsupported: a part of it is not known.
    """
    context.needs("regression")
    parts = children(element, _ATTRIBUTES, {*MODEL_PARTS, "Characteristics"})
    baseline = optional_number(element, "baselineScore")
    choice(element, "baselineMethod", _METHODS, "other")  # says only how the baselines were found
    algorithm = choice(element, "reasonCodeAlgorithm", ("pointsAbove", "pointsBelow"), "pointsBelow")
    group = only(parts, "Characteristics")
    found = [] if group is None else children(group, NOTHING, ("Characteristic",))
    if not found:
        raise Unsupported("a Scorecard without a Characteristic")
    ranks = context.ranks if flag(element, "useReasonCodes", default=True) else 0
    codes: dict[float, int] = {}
    characteristics = [_read_characteristic(one, context.scope, baseline, codes, ranks) for one in found]
    return Scorecard(
        context.target.kind,
        number(element, "initialScore", 0.0),
        characteristics,
        1.0 if algorithm == "pointsAbove" else -1.0,
        np.array(list(codes)),
        ranks,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Characteristic:
    """The attributes of a characteristic, in order: the first one that is true counts.

    ``scores`` and ``reasons`` have one more place than there are attributes, for records of which none is
    true. ``reasons`` are places among the reason codes. ``complex`` are the attributes with computed scores.
    """

    predicates: list[Predicate]
    scores: Numbers
    reasons: Rows
    baseline: float
    complex: list[tuple[int, Expression]]

    def chosen(self, batch: Batch) -> Rows:
        """Returns the place of the first true attribute for each record, shape (n,)."""
        masks: list[Mask] = [predicate.evaluate(batch)[0] for predicate in self.predicates]
        masks.append(np.ones(batch.n, dtype=bool))
        return np.asarray(np.array(masks).argmax(axis=0))

    def score_of_one(self, record: Record) -> tuple[int, float]:
        """Returns the reason and the score of one record alone (raises as ``Predicate.one``).

        All predicates are asked: one that cannot be computed makes the record fail.
        """
        truths = [predicate.one(record) for predicate in self.predicates]
        place = truths.index(True) if True in truths else len(truths)
        score = self.scores.item(place)
        for computed, expression in self.complex:
            if computed == place:
                score = expression.one(record)
        return self.reasons.item(place), score

    def partial_scores(self, chosen: Rows, batch: Batch) -> Numbers:
        """Returns the score of the chosen attribute: NaN if it has none."""
        scores: Numbers = self.scores[chosen]
        for place, expression in self.complex:
            concerned = chosen == place
            if not concerned.any():
                continue
            with batch.aside():
                values = expression.evaluate(batch)
                failed = batch.failed
            if failed is not None:
                batch.fail(failed & concerned)
            np.copyto(scores, values, where=concerned)
        return scores


def _read_characteristic(
    element: Element, scope: Scope, baseline: float | None, codes: dict[float, int], ranks: int
) -> _Characteristic:
    parts = children(element, {"name", "reasonCode", "baselineScore"}, ("Attribute",))
    own = optional_number(element, "baselineScore")
    baseline = baseline if own is None else own
    if not parts:
        raise Unsupported(f"Characteristic '{element.get('name')}' without an Attribute")
    if ranks and baseline is None:
        raise Unsupported(
            f"Characteristic '{element.get('name')}' without a baselineScore for its reason codes"
        )
    predicates: list[Predicate] = []
    scores: list[float] = []
    reasons: list[int] = []
    computed: list[tuple[int, Expression]] = []
    for place, part in enumerate(parts):
        inner = children(part, {"partialScore", "reasonCode"}, {*PREDICATES, "ComplexPartialScore"})
        conditions = [one for one in inner if one.tag != "ComplexPartialScore"]
        if len(conditions) != 1:
            raise Unsupported(f"an Attribute of Characteristic '{element.get('name')}' without one predicate")
        predicates.append(compile_predicate(conditions[0], scope))
        formula = only(inner, "ComplexPartialScore")
        if formula is not None:
            computed.append((place, compile_expression(single_child(formula, EXPRESSIONS), scope)))
        scores.append(number(part, "partialScore", np.nan if formula is not None else None))
        code = part.get("reasonCode", element.get("reasonCode"))
        if ranks and code is None:
            raise Unsupported(f"an Attribute of Characteristic '{element.get('name')}' without a reasonCode")
        reasons.append(
            codes.setdefault(scope.program.symbols.code(code), len(codes)) if code and ranks else 0
        )
    return _Characteristic(
        predicates,
        np.array([*scores, np.nan]),
        np.array([*reasons, 0], dtype=np.intp),
        0.0 if baseline is None else baseline,
        computed,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Scorecard(WithoutClasses, WithoutEntities):
    """Implements ``Predictor``. ``sign`` is 1 for pointsAbove, -1 for pointsBelow; ``codes`` are reasons."""

    kind: Kind
    initial: float
    characteristics: list[_Characteristic]
    sign: float
    codes: Numbers
    ranks: int

    def predict(self, batch: Batch) -> Prediction:
        """See ``Predictor.predict``. A characteristic of which no attribute is true leaves no score."""
        total = np.full(batch.n, self.initial)
        points = np.full((len(self.codes), batch.n), np.nan) if self.ranks else None
        records = np.arange(batch.n)
        for one in self.characteristics:
            chosen = one.chosen(batch)
            scores = one.partial_scores(chosen, batch)
            total += scores
            if points is not None:
                reasons = one.reasons[chosen]
                known = points[reasons, records]
                difference = (scores - one.baseline) * self.sign
                points[reasons, records] = np.where(np.isnan(known), difference, known + difference)
        return Prediction(total, reasons=None if points is None else self._ranked(points, total))

    def predict_one(self, record: Record) -> Single:
        """See ``Predictor.predict_one``."""
        total = self.initial
        points: dict[int, float] = {}
        for one in self.characteristics:
            reason, score = one.score_of_one(record)
            total += score
            if self.ranks and score == score:
                points[reason] = points.get(reason, 0.0) + (score - one.baseline) * self.sign
        if not self.ranks:
            return Single(total)
        most = min(self.ranks, len(self.codes))
        if total != total:
            return Single(total, reasons=[np.nan] * most)
        # The places of reason codes are in the document's order, which ties keep.
        ranked = sorted((-value, reason) for reason, value in points.items() if not value < 0.0)
        codes = [self.codes.item(reason) for _, reason in ranked[: self.ranks]]
        return Single(total, reasons=codes + [np.nan] * (most - len(codes)))

    def _ranked(self, points: Numbers, total: Numbers) -> Numbers:
        """Returns the reason codes by their points, shape (ranks, n). Ties keep the document's order.

        Reason codes that several characteristics share add up; those with negative points are no reasons.
        """
        order = -np.where(points < 0.0, np.nan, points)
        ranked = order.argsort(axis=0, kind="stable")[: self.ranks]
        found: Numbers = self.codes[ranked]
        found[np.isnan(np.take_along_axis(order, ranked, axis=0)) | np.isnan(total)] = np.nan
        return found
