"""A compiled model, which implements the core's interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from model_serving.core.engine import Scores
from model_serving.core.scoring.finite import all_finite
from model_serving.engines.foreign_errors import scoring_failure
from model_serving.engines.pmml.rows import numbers_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from model_serving.core.engine import Columns
    from model_serving.engines.pmml.compiled.evaluation import Evaluator
    from model_serving.engines.pmml.compiled.fields import Fields, Numbers
    from model_serving.engines.pmml.compiled.inputs import Inputs
    from model_serving.engines.pmml.compiled.targets import Target
    from model_serving.engines.pmml.rows import Classes

__all__ = ["CompiledModel"]


class CompiledModel:
    """Implements ``LoadedModel`` with numpy only. Scoring does not change it."""

    def __init__(
        self,
        names: tuple[str, ...],
        inputs_of: Fields,
        inputs: Inputs,
        evaluator: Evaluator,
        target: Target,
        rows: Mapping[str, int],
        classes: Classes | None,
    ) -> None:
        """Creates the model; ``rows`` gives for every output its row in ``Evaluation.rows``."""
        self.inputs_of = inputs_of
        self.findings = ""
        """See ``LoadedModel.findings``. Empty until the model has been compared with the evaluator."""
        self._names = names
        self._inputs = inputs
        self._evaluator = evaluator
        self._rescaling = target.rescaling
        self._rows = rows
        self._labels = np.empty(0, dtype=object)
        self._results: Numbers = np.empty(0)
        if classes is not None:
            # The last one stands for no class, which has the index -1.
            labels, self._results = classes.read([*(target.classes or ()), None])
            self._labels = np.array(labels, dtype=object)

    @property
    def fields(self) -> tuple[str, ...]:
        """The record fields, in MiningSchema order."""
        return self._names

    def score(self, columns: Columns) -> Scores:
        """See ``LoadedModel.score``.

        Raises:
            ScoringFailed: a field that takes whole numbers has a number with a fraction.
        """
        try:
            return self._score(columns)
        except Exception as error:
            failure = scoring_failure("the compiled PMML model failed", error)
            if failure is error:
                raise
            raise failure from error

    def _score(self, columns: Columns) -> Scores:
        values, void = self._inputs.prepared(columns)
        with np.errstate(all="ignore"):
            evaluation = self._evaluator.evaluate(values)
            predicted = evaluation.predicted
            if evaluation.rows is None:
                return self._number(predicted.astype(np.float64, copy=False), void)
        rows = evaluation.rows
        if void is not None and void.any():
            predicted[void] = -1
            rows[:, void] = np.nan
        index = predicted.astype(np.intp, copy=False)
        infinite = np.isinf(rows)
        if infinite.any():
            rows[infinite] = np.nan
        return Scores(
            self._results.take(index),
            self._labels.take(index).tolist(),
            {name: rows[row] for name, row in self._rows.items()},
        )

    def close(self) -> None:
        """Does nothing: the model holds only memory."""

    def _number(self, predicted: Numbers, void: npt.NDArray[np.bool_] | None) -> Scores:
        if self._rescaling is not None:
            predicted = self._rescaling.apply(predicted)
        result = numbers_of(predicted)
        if not all_finite(result):
            result[np.isinf(result)] = np.nan
        if void is not None:
            result[void] = np.nan
        return Scores(result, None, {})
