"""Turns what the outer model predicts into scores: the result, the label and the named outputs.

The result of a regression is the predicted number. The result of a classifier or a clustering belongs to its
label: the number that the label spells if all classes spell numbers, else the index of the label among the
classes. The classes are those of the DataDictionary in its order, then those that only the model names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model_serving.core.engine import Scores
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import OutputRule
from model_serving.engines.foreign_errors import first_line
from model_serving.engines.pmml.evaluator.data_types import spelled, spelled_value
from model_serving.engines.pmml.evaluator.output_values import FromPrediction
from model_serving.engines.results import MOST_NAMED_COLUMNS, spelled_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.prediction import ModelNode, OutputField, Prediction
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.symbols import Numbers, Texts

__all__ = ["Answers"]

_FEW = 16
"""Up to this number of records a dict is faster than numpy."""

_MOST_IN_TABLE = 100_000
_CLASSES_BY_VALUE = frozenset({"classification", "clustering"})


class Answers:
    """Reads scores from the prediction of the outer model."""

    def __init__(self, node: ModelNode, rule: OutputRule, result_output: str = "") -> None:
        """Creates the reader.

        Raises:
            ModelRejected: the rule does not fit the model, or there is no output ``result_output``.
        """
        self._node = node
        self._is_class = node.function in _CLASSES_BY_VALUE or node.predictor.kind.is_text
        if rule is OutputRule.ARGMAX and not self._is_class:
            raise ModelRejected(
                f"output ARGMAX needs a classifier, but this model is for {node.function}: use AUTO or VALUE"
            )
        self.classes = _labels_of(node) if self._is_class else {}
        self._results = _results(tuple(self.classes.values()), rule)
        self.result_is_index = any(
            self._results[label] != spelled_number(label) for label in self.classes.values()
        )
        # Of two outputs with one name, the last one counts.
        named = {output.field.name: output for output in node.outputs if output.is_final}
        self._outputs = [output for output in named.values() if output.field.kind.is_number]
        self._read_from = [(output, _row_of(output, node)) for output in self._outputs]
        self._further = _further_targets(node, set(named))
        self._numbers = {value: self._results[label] for value, label in self.classes.items()}
        self._table = _Table.of(self.classes, self._numbers)
        self._shares = _shares_without_output(node, self.classes, self._outputs)
        shares = (name for name, _ in self._shares)
        self.names = (*(output.field.name for output in self._outputs), *self._further, *shares)
        """The names of the outputs."""
        self._from = result_output
        self._has_shares = None if self._shares else False
        """Whether predictions have the probabilities in ``_shares``; None as long as none has been seen."""
        if result_output and result_output not in self.names:
            raise ModelRejected(
                f"the model has no output '{first_line(result_output)}' for the result: "
                f"it has {first_line(', '.join(self.names)) or 'none'}"
            )

    def read(self, batch: Batch, why: Callable[[int], str] | None = None) -> Scores:
        """Scores the batch. Records that fail have the result NaN, no label and outputs of NaN.

        ``why`` says why a record has no result (see ``core.engine.Scores``).
        """
        prediction = batch.prediction(self._node)
        rows = prediction.probabilities
        if self._has_shares is None:
            self._has_shares = rows is not None
        outputs = {
            output.field.name: batch.value(output.field) if rows is None or row < 0 else rows[row]
            for output, row in self._read_from
        }
        for name in self._further:
            outputs[name] = prediction.more[name]
        outputs.update(self._shares_of(prediction))
        failed = batch.failed
        value = prediction.value
        if failed is not None and failed.any():
            value = np.where(failed, np.nan, value)
            outputs = {name: np.where(failed, np.nan, values) for name, values in outputs.items()}
        if not self._is_class:
            return Scores(outputs[self._from] if self._from else value.copy(), None, outputs, why)
        labels, result = self._labelled(value, batch)
        return Scores(outputs[self._from] if self._from else result, labels, outputs, why)

    def read_one(self, record: Record, why: Callable[[int], str] | None = None) -> Scores:
        """Does the same for one record alone.

        Raises:
            Undecided: only the batch can tell (see ``record``).
        """
        found = record.prediction(self._node)
        rows = found.probabilities
        result = found.value
        labels: list[str] | None = None
        if self._is_class:
            label = self.classes.get(result)
            if label is None:
                label, result = self._pair(result, record.texts)
            else:
                result = self._numbers[result]
            labels = [label]
        numbers = [result]
        for output, row in self._read_from:
            numbers.append(output.field.one(record) if rows is None or row < 0 else rows[row])
        numbers += [found.more[name] for name in self._further]
        if rows is not None:
            numbers += [rows[row] for _, row in self._shares]
        scores, *values = np.array(numbers).reshape(-1, 1)
        # Shares come last, so without probabilities their names are left over.
        outputs = dict(zip(self.names, values, strict=False))
        return Scores(outputs[self._from] if self._from else scores, labels, outputs, why)

    def nothing(self, why: Callable[[int], str]) -> Scores | None:
        """Returns the scores of one record alone that fails, as ``read`` gives them.

        None as long as it is not known which outputs the model has: then the batch tells.
        """
        if self._has_shares is None:
            return None
        names = self.names if self._has_shares else self.names[: len(self.names) - len(self._shares)]
        outputs = {name: np.full(1, np.nan) for name in names}
        return Scores(np.full(1, np.nan), [""] if self._is_class else None, outputs, why)

    def _shares_of(self, prediction: Prediction) -> dict[str, Numbers]:
        if prediction.probabilities is None:
            return {}
        return {name: prediction.probabilities[row] for name, row in self._shares}

    def _labelled(self, values: Numbers, batch: Batch) -> tuple[list[str], Numbers]:
        if self._table is not None and len(values) > _FEW:
            found = self._table.read(values)
            if found is not None:
                return found
        plain = values.tolist()
        try:
            labels = [self.classes[value] for value in plain]
            return labels, np.array([self._numbers[value] for value in plain])
        except KeyError:
            pass  # some record has no result, or a class that the document does not name
        pairs = [self._pair(value, batch.texts) for value in plain]
        return [label for label, _ in pairs], np.array([number for _, number in pairs])

    def _pair(self, value: float, texts: Texts) -> tuple[str, float]:
        """Returns the label of a value and the number that stands for it."""
        if value != value:
            return "", np.nan
        label = self.classes.get(value)
        if label is None:
            label = spelled(value, self._node.predictor.kind, texts)
        number = self._results.get(label, spelled_number(label))
        return label, np.nan if number is None else number


class _Table:
    """Labels and numbers of classes whose values are small whole numbers, such as codes of texts."""

    def __init__(self, classes: dict[float, str], numbers: dict[float, float]) -> None:
        # The last place is that of records without a class.
        self._nothing = int(max(classes)) + 1
        self._places = np.full(self._nothing + 1, -1, dtype=np.intp)
        self._places[np.array(list(classes), dtype=np.intp)] = np.arange(len(classes))
        self._places[-1] = len(classes)
        self._labels = np.array([*classes.values(), ""], dtype=object)
        self._numbers = np.array([*(numbers[value] for value in classes), np.nan])

    @staticmethod
    def of(classes: dict[float, str], numbers: dict[float, float]) -> _Table | None:
        """Returns the table, None if the values do not fit one."""
        fits = all(value.is_integer() and 0.0 <= value < _MOST_IN_TABLE for value in classes)
        return _Table(classes, numbers) if classes and fits else None

    def read(self, values: Numbers) -> tuple[list[str], Numbers] | None:
        """Returns labels and numbers of values, shape (n,); None if one of them is not that of a class."""
        if not (values.min() >= 0.0 and values.max() < self._nothing):
            missing = np.isnan(values)
            present = values[~missing]
            if len(present) and not (present.min() >= 0.0 and present.max() < self._nothing):
                return None
            values = np.where(missing, self._nothing, values)
        places = self._places.take(values.astype(np.intp))
        if places.min() < 0:
            return None
        return self._labels.take(places).tolist(), self._numbers.take(places)


def _row_of(output: OutputField, node: ModelNode) -> int:
    """Returns the row of a prediction's probabilities that an output is, -1 if it is something else."""
    made = output.field.expression
    is_share = output.feature == "probability" and isinstance(made, FromPrediction) and made.node is node
    classes = node.predictor.classes
    return classes.index(output.class_value) if is_share and output.class_value in classes else -1


def _further_targets(node: ModelNode, taken: set[str]) -> tuple[str, ...]:
    """Returns the names of the numbers that are predicted beside the target and that no output gives."""
    names = getattr(node.predictor, "further_numbers", ())
    return tuple(name for name in names if name not in taken)


def _labels_of(node: ModelNode) -> dict[float, str]:
    """Returns the classes by their values, in the order that an index counts."""
    target, predictor = node.target, node.predictor
    if node.function == "clustering" and predictor.entities:
        symbols = target.symbols
        return {symbols.code(one): one for one in predictor.entities}
    labels: dict[float, str] = {}
    kind = predictor.kind
    if kind.data_type == "boolean" and not target.values:
        labels = {0.0: "false", 1.0: "true"}
    for value in (*target.values, *predictor.classes, *target.labels):
        if value not in labels:
            known = target.labels.get(value)
            if known is None and kind.is_text:
                known = target.symbols.texts[int(value)]
            labels[value] = spelled_value(kind.data_type)(value) if known is None else known
    return labels


def _results(labels: tuple[str, ...], rule: OutputRule) -> dict[str, float]:
    """Returns the number that stands for each label."""
    numbers = [spelled_number(label) for label in labels]
    if rule is OutputRule.VALUE and None in numbers:
        odd = first_line(labels[numbers.index(None)])
        raise ModelRejected(
            f"output VALUE needs classes that spell numbers, not '{odd}': "
            "use AUTO or ARGMAX, the result is then the index of the class"
        )
    by_index = rule is OutputRule.ARGMAX or None in numbers
    return {
        label: float(index) if by_index or numbers[index] is None else float(numbers[index] or 0.0)
        for index, label in enumerate(labels)
    }


def _shares_without_output(
    node: ModelNode, labels: dict[float, str], outputs: list[OutputField]
) -> list[tuple[str, int]]:
    """Returns names and rows of the probabilities that no OutputField gives."""
    classes = node.predictor.classes
    if node.function != "classification" or len(classes) > MOST_NAMED_COLUMNS:
        return []
    given = {
        output.class_value
        for output in outputs
        if output.feature == "probability" and output.class_value is not None
    }
    taken = {output.field.name for output in outputs}
    found = [(f"probability_{labels[value]}", row) for row, value in enumerate(classes) if value not in given]
    return [(name, row) for name, row in found if name not in taken]
