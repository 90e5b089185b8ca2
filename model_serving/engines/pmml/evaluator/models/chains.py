"""Chains of models (``modelChain``, ``multiModelChain``): a segment sees the outputs of those before it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import converted
from model_serving.engines.pmml.evaluator.models.ensembles import classes_together, outer_kind
from model_serving.engines.pmml.evaluator.models.segments import (
    Segment,
    Translation,
    complete,
    complete_one,
    has_probabilities,
    merged,
    nodes_by_id,
    read_segment,
)
from model_serving.engines.pmml.evaluator.predicates import ALWAYS
from model_serving.engines.pmml.evaluator.prediction import Prediction, Single
from model_serving.engines.pmml.evaluator.reading import Unsupported
from model_serving.engines.pmml.evaluator.record import Record, Undecided

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch, Mask
    from model_serving.engines.pmml.evaluator.data_types import Kind
    from model_serving.engines.pmml.evaluator.models.combination import Combination
    from model_serving.engines.pmml.evaluator.prediction import ModelContext
    from model_serving.engines.pmml.evaluator.scope import Field, Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Chain", "compile_chain"]


def compile_chain(parts: Sequence[Element], context: ModelContext, combination: Combination) -> Chain:
    """Reads the segments of a chain.

    Args:
        parts: the Segment elements.
        context: that of the MiningModel.
        combination: the method, and what a missing prediction of a segment means.

    Raises:
        Unsupported: a part is not known, or the last segment is for another function.
    """
    segments: list[Segment] = []
    for place, element in enumerate(parts, 1):
        inner = context.scope.inner()
        segment = read_segment(element, place, inner, context)
        segments.append(segment)
        for output in segment.node.outputs:
            _declare(output.field, segment, context.scope)
    return Chain(segments, context, combination)


def _declare(field: Field, segment: Segment, scope: Scope) -> None:
    """Declares an output for the segments that follow: it is missing where the segment is not taken."""
    if segment.predicate is ALWAYS:
        scope.declare(field)
        return
    before = scope.find(field.name)
    made = _Conditional(field, segment, before)
    scope.declare(scope.program.field(field.name, field.kind, made, field.values))


@dataclass(frozen=True, slots=True)
class _Conditional:
    """An output of a segment with a condition; for other records the field that had this name before."""

    field: Field
    segment: Segment
    before: Field | None

    @property
    def kind(self) -> Kind:
        return self.field.kind

    def one(self, record: Record) -> float:
        field = self.field if self.segment.takes(record) else self.before
        if field is None:
            return np.nan
        if field.kind.data_type != self.kind.data_type:
            raise Undecided
        return field.one(record)

    def evaluate(self, batch: Batch) -> Numbers:
        taken = self.segment.taken(batch)
        if taken is None:
            return batch.value(self.field)
        made = np.full(batch.n, np.nan)
        for rows, field in ((taken, self.field), (~taken, self.before)):
            places = np.flatnonzero(rows)
            if field is None or not len(places):
                continue
            some = batch.take(places)
            values = converted(some.value(field), field.kind, self.kind, batch.texts)[0]
            made[places] = values
            if some.failed is not None:
                failed = np.zeros(batch.n, dtype=bool)
                failed[places] = some.failed
                batch.fail(failed)
        return made


class Chain:
    """The prediction of the last segment that a record belongs to, or those for several targets."""

    def __init__(self, segments: Sequence[Segment], context: ModelContext, combination: Combination) -> None:
        """Creates the chain.

        Raises:
            Unsupported: a segment that may be the last one is for another function than the chain.
        """
        self.segments = nodes_by_id(segments, context)
        self._needed = list(segments) if combination.when_missing == "returnMissing" else []
        self._targets: list[tuple[str, Segment]] = []
        if combination.method == "multiModelChain":
            self._targets = [(one.node.target.name, one) for one in segments if one.node.target.name]
            own = [one for name, one in self._targets if name == context.target.name]
            last = own[-1:] or list(segments[-1:])
        else:
            last = _possibly_last(segments)
            if last[-1].node.function != context.function:
                raise Unsupported(
                    f"a modelChain for {context.function} that ends with a model for {last[-1].node.function}"
                )
            last = [one for one in last if one.node.function == context.function]
        context.target.take_place(last[-1].node.target)
        self.kind = outer_kind(last, context)
        target = context.target if context.target.kind == self.kind else context.target.of_kind(self.kind)
        self.has_probabilities = has_probabilities(last)
        self._last = [(one, Translation(one.node, target)) for one in last]
        self.classes: tuple[float, ...] = ()
        if context.classifies:
            self.classes = classes_together([translation for _, translation in self._last], context)
            if len(self._last) == 1:
                self.classes = self._last[0][1].classes
        self.entities = tuple(dict.fromkeys(name for one in last for name in one.node.predictor.entities))

    def predict(self, batch: Batch) -> Prediction:
        """See ``Predictor.predict``."""
        parts: list[tuple[Mask | None, Prediction]] = []
        for segment, translation in self._last:
            taken = segment.taken(batch)
            if taken is not None and not taken.any():
                continue
            parts.append((taken, translation.translated(segment.predict(batch, taken), self.classes)))
        found = complete(merged(parts, batch.n), self.classes if self.has_probabilities else ())
        if self._targets:
            others = {
                name: segment.predict(batch, segment.taken(batch)).value for name, segment in self._targets
            }
            found = replace(found, more={**found.more, **others})
        return self._without_missing(found, batch)

    def predict_one(self, record: Record) -> Single:
        """See ``Predictor.predict_one``."""
        found = Single(np.nan)
        for segment, translation in self._last:
            if segment.takes(record):
                earlier = found.more
                found = translation.translated_one(record.prediction(segment.node), self.classes)
                if earlier:
                    found = replace(found, more={**earlier, **found.more})
        found = complete_one(found, self.classes if self.has_probabilities else ())
        if self._targets:
            others = {
                name: record.prediction(segment.node).value if segment.takes(record) else np.nan
                for name, segment in self._targets
            }
            found = replace(found, more={**found.more, **others})
        for segment in self._needed:
            value = record.prediction(segment.node).value if segment.takes(record) else 0.0
            if value != value:
                return found.without_values()
        return found

    def _without_missing(self, found: Prediction, batch: Batch) -> Prediction:
        """Takes the result from records for which a needed segment predicts nothing."""
        if not self._needed:
            return found
        lacking: Mask | None = None
        for segment in self._needed:
            taken = segment.taken(batch)
            missing = np.isnan(segment.predict(batch, taken).value)
            if missing.any():
                missing = missing if taken is None else missing & taken
                lacking = missing if lacking is None else lacking | missing
        if lacking is None or not lacking.any():
            return found
        rows = np.flatnonzero(~lacking)
        return found.take(rows).scattered(rows, batch.n)


def _possibly_last(segments: Sequence[Segment]) -> list[Segment]:
    """Returns the segments of which any may be the last one that a record belongs to, in their order."""
    last: list[Segment] = []
    for segment in reversed(segments):
        last.append(segment)
        if segment.predicate is ALWAYS:
            break
    last.reverse()
    return last
