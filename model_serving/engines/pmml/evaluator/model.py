"""A compiled document as the core's ``LoadedModel``. It holds only memory; scoring does not change it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from model_serving.core.engine import InputDescription, ModelDescription
from model_serving.engines.foreign_errors import scoring_failure
from model_serving.engines.pmml.evaluator.answers import Answers
from model_serving.engines.pmml.evaluator.record import UNDECIDED, Failed

if TYPE_CHECKING:
    from model_serving.core.engine import Columns, Scores
    from model_serving.core.messages import OutputRule
    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.compiler import Compiled

__all__ = ["EVALUATOR", "EvaluatedModel"]

_MOST_NAMED = 5
EVALUATOR = "compiled to numpy"
"""How statuses name this evaluator."""


class EvaluatedModel:
    """Implements ``LoadedModel`` with numpy only."""

    def __init__(
        self, compiled: Compiled, fields: tuple[str, ...], rule: OutputRule, result_output: str = ""
    ) -> None:
        """Creates the model; ``fields`` are the record fields for ``compiled.input_fields``.

        Raises:
            ModelRejected: see ``Answers``.
        """
        self._compiled = compiled
        self._fields = fields
        self._answers = Answers(compiled.node, rule, result_output)
        self._inputs = compiled.inputs
        self.description = _description(compiled, fields, self._answers, result_output)

    @property
    def fields(self) -> tuple[str, ...]:
        """The record fields, in MiningSchema order."""
        return self._fields

    @property
    def findings(self) -> str:
        """Empty: loading finds nothing out that the next load could use."""
        return ""

    def score(self, columns: Columns) -> Scores:
        """See ``LoadedModel.score``."""
        try:
            if len(columns) == 1:
                found = self._alone(columns)
                if found is not None:
                    return found
            with np.errstate(all="ignore"):
                batch = self._inputs.batch(columns)
                return self._answers.read(batch, partial(self._why, batch, columns))
        except Exception as error:
            failure = scoring_failure("the PMML model failed", error)
            if failure is error:
                raise
            raise failure from error

    def _alone(self, columns: Columns) -> Scores | None:
        """Returns the scores of one record, None when only the batch can tell (see ``record``)."""
        why = partial(self._why_alone, columns)
        try:
            record = self._inputs.record(columns)
            try:
                return self._answers.read_one(record, why)
            finally:
                record.release()
        except Failed:
            return self._answers.nothing(why)
        except UNDECIDED:
            return None

    def _why_alone(self, columns: Columns, record: int) -> str:
        with np.errstate(all="ignore"):
            batch = self._inputs.batch(columns)
            self._answers.read(batch)
        return self._why(batch, columns, record)

    def _why(self, batch: Batch, columns: Columns, record: int) -> str:
        """Returns why a record has no result: a value that is not allowed, else what has no value."""
        fault = self._inputs.fault_of(batch, columns, record)
        if fault:
            return fault
        missing = self._inputs.missing_in(batch, record)
        if missing:
            more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
            return "it has no value of " + ", ".join(f"'{name}'" for name in missing[:_MOST_NAMED]) + more
        if batch.failed is not None and batch.failed[record]:
            return "a value that the model derives from its fields cannot be computed"
        told = getattr(self._compiled.node.predictor, "why", None)
        return "" if told is None else str(told(batch, record))

    def close(self) -> None:
        """Does nothing: the model holds only memory."""


def _description(
    compiled: Compiled, fields: tuple[str, ...], answers: Answers, result_output: str
) -> ModelDescription:
    node = compiled.node
    if result_output:
        result = f"the output {result_output}"
    elif not answers.classes:
        result = "the predicted number"
    else:
        result = (
            "the index of the label among the classes"
            if answers.result_is_index
            else "the number that the label spells"
        )
    return ModelDescription(
        kind=f"PMML {node.element.tag} ({node.function})",
        evaluator=EVALUATOR,
        inputs=tuple(
            InputDescription(data.name, f"{data.kind.optype} {data.kind.data_type}", field)
            for data, field in zip(compiled.input_fields, fields, strict=True)
        ),
        outputs=answers.names,
        classes=tuple(answers.classes.values()),
        result=result,
        notes=tuple(compiled.program.warnings),
    )
