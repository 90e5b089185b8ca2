"""PMML models that PMML4S scores, in a separate Java process (see the module ``gateway``).

Inputs: without ``inputs`` in the descriptor, the record fields with the names of the model's active fields;
else the fields in ``inputs``, in the order of the MiningSchema. Numeric and boolean PMML fields take the
record's numbers, all others take its text. NaN and empty text are missing values.

Result: the predicted value of the target. For a class label it is the number that the label spells. A
classifier with a label that does not spell a number is rejected, unless ``output`` is ARGMAX: the result is
then the index of the predicted class in the order of the target's values in the DataDictionary. ``labels``
are the predicted classes as the DataDictionary spells them. ``outputs`` are all other numbers that the
evaluator gives, NaN where it gives none.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model_serving.core.engine import Columns, LoadedModel, RecordSchema, Scores
from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.core.messages import ModelToServe, OutputRule
from model_serving.engines.collector import collector_paused, dismantle
from model_serving.engines.foreign_errors import first_line, rejecting, scoring_failure
from model_serving.engines.limits import Limits
from model_serving.engines.pmml.compiled.agreement import difference
from model_serving.engines.pmml.compiled.compiler import compile_pmml
from model_serving.engines.pmml.compiled.reading import NotCompiled
from model_serving.engines.pmml.document import PmmlDocument, PmmlInput, read_pmml
from model_serving.engines.pmml.findings import agreed_columns, findings_of
from model_serving.engines.pmml.gateway import (
    EvaluatorError,
    GatewayLostError,
    OutputColumn,
    PmmlGateway,
    current_gateway,
)
from model_serving.engines.pmml.rows import Classes, RowEncoder, numbers_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from model_serving.engines.pmml.compiled.model import CompiledModel

__all__ = ["load_in_java"]

_ANSWER_BYTES = 8000
"""The size that one answer of the evaluator should not exceed.

An answer larger than Java's write buffer of 8192 bytes leaves in several packets, and the last one waits
40 ms for an acknowledgement (Nagle's algorithm against delayed ACK). So a batch is sent in parts that have
small enough answers.
"""

_NUMBER_BYTES = 25
_NUMERIC_TYPES = ("integer", "float", "double", "real", "boolean", "numeric")


def load_in_java(document: PmmlDocument, model: ModelToServe, fields: tuple[str, ...]) -> LoadedModel:
    """Loads a document that PMML4S is known to score rightly.

    The first load in a process starts Java, which takes a second.

    Raises:
        ModelRejected: the evaluator refuses the document.
        Unavailable: Java does not start.
    """
    resident, columns = _Resident.of(document.text)
    try:
        return _PmmlModel(
            fields=fields,
            text=document.text,
            resident=resident,
            encoder=RowEncoder(document.inputs, by_name=document.selects_first),
            answer=_answer(document, model.output, columns),
            part=_rows_that_fit(columns, document.classes),
        )
    except BaseException:
        resident.release()
        raise


def _answer(document: PmmlDocument, output: OutputRule, columns: Sequence[OutputColumn]) -> _Answer:
    predicted = next(
        (index for index, column in enumerate(columns) if column.feature == "predictedValue"), None
    )
    if predicted is None:
        raise ModelRejected(
            "the PMML model gives no predicted value: add a target or a predictedValue output"
        )
    if document.function == "classification":
        return _Answer(columns, predicted, Classes(document.classes, output))
    if columns[predicted].data_type not in _NUMERIC_TYPES:
        return _Answer(columns, predicted, Classes((), OutputRule.AUTO))
    return _Answer(columns, predicted, None)


def _rows_that_fit(columns: Sequence[OutputColumn], labels: Sequence[str]) -> int:
    cell = max(_NUMBER_BYTES, *(len(json.dumps(label)) + 1 for label in labels), 0)
    head = sum(len(json.dumps(column.name)) + 1 for column in columns)
    return max(1, (_ANSWER_BYTES - head) // (cell * len(columns)))


@dataclass(frozen=True, slots=True)
class _Resident:
    """A model inside one Java process."""

    gateway: PmmlGateway
    java: Any

    @staticmethod
    def of(text: str) -> tuple[_Resident, Sequence[OutputColumn]]:
        """Returns the model in the Java process, and the columns of its answers.

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
    def _in(gateway: PmmlGateway, text: str) -> tuple[_Resident, Sequence[OutputColumn]]:
        try:
            resident = _Resident(gateway, gateway.load(text))
            try:
                return resident, gateway.output_columns(resident.java)
            except BaseException:
                resident.release()
                raise
        except EvaluatorError as error:
            raise ModelRejected(f"the PMML evaluator cannot load the model: {error}") from error

    def release(self) -> None:
        """Frees the model in the Java process. Never raises."""
        self.gateway.release(self.java)


@dataclass(frozen=True, slots=True)
class _Answer:
    """How to read the evaluator's answers."""

    columns: Sequence[OutputColumn]
    predicted: int
    classes: Classes | None

    @property
    def numbers(self) -> list[int]:
        """The indices of the columns that become ``Scores.outputs``."""
        return [
            index
            for index, column in enumerate(self.columns)
            if index != self.predicted and column.data_type in _NUMERIC_TYPES
        ]

    def rows(self, answer: Any) -> list[Any]:
        """Returns the rows of an answer, which has one of two forms, as the request had.

        Raises:
            ScoringFailed: the answer has other columns than the evaluator announced.
        """
        names = [column.name for column in self.columns]
        if isinstance(answer, dict):
            rows = list(answer["data"])
            if answer["columns"] != names or any(len(row) != len(names) for row in rows):
                raise _other_columns(names, answer["columns"])
            return rows
        for row in answer:
            if names[self.predicted] not in row:
                raise _other_columns(names, row)
        return [[row.get(name) for name in names] for row in answer]

    def read(self, rows: Sequence[Sequence[Any]]) -> Scores:
        """Returns the scores in rows of values."""
        values = list(zip(*rows, strict=True))
        outputs = {self.columns[index].name: numbers_of(values[index]) for index in self.numbers}
        if self.classes is None:
            return Scores(numbers_of(values[self.predicted]), None, outputs)
        labels, result = self.classes.read(values[self.predicted])
        return Scores(result, labels, outputs)


def _other_columns(announced: Sequence[str], given: Iterable[str]) -> ScoringFailed:
    return ScoringFailed(
        f"the PMML evaluator answers with {first_line(', '.join(given) or 'nothing')}, but the model has "
        f"{first_line(', '.join(announced))}: the model has parts that the evaluator gets wrong"
    )


class _PmmlModel:
    """A PMML model loaded in Java. When its Java process has ended, the model moves to a new one."""

    def __init__(
        self,
        *,
        fields: tuple[str, ...],
        text: str,
        resident: _Resident,
        encoder: RowEncoder,
        answer: _Answer,
        part: int,
    ) -> None:
        self._fields = fields
        self._text = text
        self._resident = resident
        self._encoder = encoder
        self.answer = answer
        self.part = part
        self._moving = threading.Lock()

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
            rows: list[Any] = []
            for start in range(0, len(columns), self.part):
                rows.extend(self._predict(self._encoder.encode(columns[start : start + self.part])))
            return self.answer.read(rows)
        except Exception as error:
            failure = scoring_failure("the PMML evaluator cannot score", error)
            if failure is error:
                raise
            raise failure from error

    def close(self) -> None:
        """Frees the model in the Java process."""
        self._resident.release()

    def _predict(self, request: str) -> list[Any]:
        resident = self._resident
        try:
            try:
                answer = resident.gateway.predict(resident.java, request)
            except GatewayLostError:
                answer = self._predict_elsewhere(resident, request)
        except EvaluatorError as error:
            raise ScoringFailed(f"the PMML evaluator failed: {error}") from error
        return self.answer.rows(json.loads(answer))

    def _predict_elsewhere(self, lost: _Resident, request: str) -> str:
        try:
            with self._moving:
                if self._resident is lost:
                    self._resident, _ = _Resident.of(self._text)
        except ModelRejected as error:
            raise ScoringFailed(f"the PMML model cannot be loaded again: {error}") from error
        try:
            return self._resident.gateway.predict(self._resident.java, request)
        except GatewayLostError as error:
            raise ScoringFailed(f"the PMML evaluator fails again on this batch: {error}") from error
