"""PMML models. PMML4S, in a separate Java process (see the module ``gateway``), loads all of them.

Models of the common kinds are then compiled to numpy (see the package ``compiled``) and compared with PMML4S
on rows made for the comparison. If the two agree, the compiled model is served without Java; every other
model is scored by PMML4S. The agreement is kept with the model (see the module ``findings``): when the same
software loads the model again, it needs no Java.

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
import logging
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

__all__ = ["PmmlEngine"]

_ANSWER_BYTES = 8000
"""The size that one answer of the evaluator should not exceed.

An answer larger than Java's write buffer of 8192 bytes leaves in several packets, and the last one waits
40 ms for an acknowledgement (Nagle's algorithm against delayed ACK). So a batch is sent in parts that have
small enough answers.
"""

_NUMBER_BYTES = 25
_NUMERIC_TYPES = ("integer", "float", "double", "real", "boolean", "numeric")
_log = logging.getLogger(__name__)


class PmmlEngine:
    """Loads PMML models, of documents within the limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def load(self, model: ModelToServe, schema: RecordSchema) -> LoadedModel:
        """See ``Engine.load``. The first load in a process that needs Java starts it, which takes a second.

        Raises:
            Unavailable: the model needs Java, which does not start.
        """
        with rejecting("the PMML model cannot be loaded"), collector_paused():
            document = read_pmml(model.content, self._limits.pmml_bytes)
            try:
                return _load(document, model, schema)
            finally:
                dismantle(document.root)


def _load(document: PmmlDocument, model: ModelToServe, schema: RecordSchema) -> LoadedModel:
    fields = _fields_for(document.inputs, model.inputs, schema)
    if document.function != "classification" and model.output is OutputRule.ARGMAX:
        raise ModelRejected(
            f"output ARGMAX needs a classifier, but this model is for {document.function}: use AUTO or VALUE"
        )
    agreed = agreed_columns(model.findings)
    if agreed is not None:
        compiled = _compile(document, fields, _answer(document, model.output, agreed))
        compiled.findings = model.findings
        return compiled
    resident, columns = _Resident.of(document.text)
    try:
        evaluated = _PmmlModel(
            fields=fields,
            text=document.text,
            resident=resident,
            encoder=RowEncoder(document.inputs, by_name=document.selects_first),
            answer=_answer(document, model.output, columns),
            part=_rows_that_fit(columns, document.classes),
        )
        found = _compared(model.name, document, evaluated)
        if found is None:
            return evaluated
        found.findings = findings_of(columns)
    except BaseException:
        resident.release()
        raise
    evaluated.close()
    return found


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


def _compile(document: PmmlDocument, fields: tuple[str, ...], answer: _Answer) -> CompiledModel:
    return compile_pmml(
        document.root, fields, answer.columns, answer.predicted, answer.numbers, answer.classes
    )


def _compared(name: str, document: PmmlDocument, evaluated: _PmmlModel) -> CompiledModel | None:
    """Returns the compiled model, None when a part of it is not compiled, or when it does not agree."""
    try:
        compiled = _compile(document, evaluated.fields, evaluated.answer)
        unlike = difference(compiled.score, evaluated.score, compiled.inputs_of, evaluated.part)
    except NotCompiled as reason:
        _log.info("The PMML model '%s' is scored in Java, because it has %s", name, first_line(reason))
        return None
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the compiler, the evaluator can score
        unlike = f"the error {type(error).__name__}: {first_line(error)}"
    if unlike is not None:
        _log.warning(
            "The PMML model '%s' is scored in Java, because the compiled model gives %s",
            name,
            first_line(unlike),
        )
        return None
    return compiled


def _fields_for(inputs: Sequence[PmmlInput], given: tuple[str, ...], schema: RecordSchema) -> tuple[str, ...]:
    if given and len(given) != len(inputs):
        raise ModelRejected(
            f"the model takes {len(inputs)} inputs ({', '.join(field.name for field in inputs)}), "
            f"but the descriptor names {len(given)}: name {len(inputs)}, or none"
        )
    fields = tuple(schema.field_named(name) for name in (given or [field.name for field in inputs]))
    for field, pmml in zip(fields, inputs, strict=True):
        if pmml.is_number != (field in schema.numeric):
            raise ModelRejected(
                f"the model takes '{pmml.name}' as {pmml.data_type}, but '{field}' of {schema.name} is "
                f"{'text' if pmml.is_number else 'a number'}: change the model's dataType or its inputs"
            )
    return fields


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
