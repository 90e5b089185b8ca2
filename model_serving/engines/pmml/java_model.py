"""PMML models that PMML4S scores, in a separate Java process (see the module ``gateway``).

Only documents that the module ``java_rules`` knows come here: regressions of numbers. The result is the
predicted number; NaN stands for a missing value, and for no result.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from model_serving.core.engine import InputDescription, ModelDescription, Scores
from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.engines.foreign_errors import scoring_failure
from model_serving.engines.pmml.gateway import (
    EvaluatorError,
    GatewayLostError,
    PmmlGateway,
    current_gateway,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_serving.core.engine import Columns

__all__ = ["JAVA_EVALUATOR", "JavaModel"]

JAVA_EVALUATOR = "PMML4S in Java"
"""How statuses name this evaluator."""

_PART = 300
"""How many records are sent at a time.

An answer larger than Java's write buffer of 8192 bytes leaves in several packets, and the last one waits
40 ms for an acknowledgement (Nagle's algorithm against delayed ACK). A number has at most 27 bytes there.
"""


@dataclass(frozen=True, slots=True)
class _Resident:
    """A model inside one Java process."""

    gateway: PmmlGateway
    java: Any
    result: str

    @staticmethod
    def of(text: str) -> _Resident:
        """Returns the model in the Java process.

        Raises:
            ModelRejected: the evaluator refuses the document, or the document has ended two Java processes.
            Unavailable: Java does not start.
        """
        try:
            return _Resident._in(current_gateway(), text)
        except GatewayLostError:
            # Another model may have ended the process. The next line raises when Java does not start.
            gateway = current_gateway()
        try:
            return _Resident._in(gateway, text)
        except GatewayLostError as error:
            raise ModelRejected(
                f"the PMML evaluator cannot load the model: {error}: use a smaller model"
            ) from error

    @staticmethod
    def _in(gateway: PmmlGateway, text: str) -> _Resident:
        try:
            java = gateway.load(text)
            try:
                (column,) = gateway.output_columns(java)
                return _Resident(gateway, java, column.name)
            except BaseException:
                gateway.release(java)
                raise
        except EvaluatorError as error:
            raise ModelRejected(f"the PMML evaluator cannot load the model: {error}") from error

    def release(self) -> None:
        """Frees the model in the Java process. Never raises."""
        self.gateway.release(self.java)


class JavaModel:
    """Implements ``LoadedModel``. When its Java process has ended, the model moves to a new one."""

    def __init__(self, text: str, inputs: Sequence[str], fields: tuple[str, ...], kind: str) -> None:
        """Loads the document. The first load in a process starts Java, which takes a second.

        Args:
            text: the document, without a prefix before PMML's names.
            inputs: the names of its active fields, in the order of the MiningSchema.
            fields: the record fields for them.
            kind: what the model is, for its description.

        Raises:
            ModelRejected: the evaluator refuses the document.
            Unavailable: Java does not start.
        """
        self._fields = fields
        self._inputs = tuple(inputs)
        self._text = text
        self._moving = threading.Lock()
        self.description = ModelDescription(
            kind=kind,
            evaluator=JAVA_EVALUATOR,
            inputs=tuple(
                InputDescription(name, "continuous double", field)
                for name, field in zip(inputs, fields, strict=True)
            ),
            result="the predicted number",
        )
        self._resident = _Resident.of(text)  # last: whatever fails before leaves nothing in Java

    @property
    def fields(self) -> tuple[str, ...]:
        """The record fields, in MiningSchema order."""
        return self._fields

    @property
    def findings(self) -> str:
        """Empty: this model is loaded in Java each time."""
        return ""

    def score(self, columns: Columns) -> Scores:
        """See ``LoadedModel.score``.

        Raises:
            Unavailable: the Java process ended and does not start again; the records are not the reason.
        """
        try:
            parts = [self._predict(columns[start : start + _PART]) for start in range(0, len(columns), _PART)]
            return Scores(np.concatenate(parts))
        except Exception as error:
            failure = scoring_failure("the PMML evaluator cannot score", error)
            if failure is error:
                raise
            raise failure from error

    def close(self) -> None:
        """Frees the model in the Java process."""
        self._resident.release()

    def _predict(self, columns: Columns) -> np.ndarray[Any, np.dtype[np.float64]]:
        # JSON has no infinity; a number beyond the range of a double is read as infinity. A missing value is
        # one that is not there.
        numbers = columns.astype(np.float64)
        rows = [
            "{"
            + ",".join(
                f"{json.dumps(name)}:{json.dumps(value).replace('Infinity', '1e999')}"
                for name, value in zip(self._inputs, row, strict=True)
                if value == value
            )
            + "}"
            for row in numbers.tolist()
        ]
        answer = self._answer(f"[{','.join(rows)}]")
        values = [row.get(self._resident.result) for row in json.loads(answer)]
        return np.array(values, dtype=np.float64)

    def _answer(self, request: str) -> str:
        resident = self._resident
        try:
            try:
                return resident.gateway.predict(resident.java, request)
            except GatewayLostError:
                return self._answer_elsewhere(resident, request)
        except EvaluatorError as error:
            raise ScoringFailed(f"the PMML evaluator failed: {error}") from error

    def _answer_elsewhere(self, lost: _Resident, request: str) -> str:
        try:
            with self._moving:
                if self._resident is lost:
                    self._resident = _Resident.of(self._text)
        except ModelRejected as error:
            raise ScoringFailed(f"the PMML model cannot be loaded again: {error}") from error
        try:
            return self._resident.gateway.predict(self._resident.java, request)
        except GatewayLostError as error:
            raise ScoringFailed(f"the PMML evaluator fails again on this batch: {error}") from error
