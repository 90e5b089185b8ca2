"""ONNX models, run by ONNX Runtime on one thread.

Inputs, and the result of a model with numeric outputs, are as for TensorFlow. A classifier has an output of
class labels and an output of probabilities, as scikit-learn's exporter writes them, with ZipMap or without.
It answers like a PMML classifier: the result is the number that the label spells. If ``output`` is ARGMAX, or
if a label does not spell a number, the result is the index of the greatest probability. ``labels`` are the
predicted labels, ``outputs`` the columns of the other outputs: ``probabilities[0]``, ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from model_serving.core.engine import LoadedModel, RecordSchema, Scores
from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.core.messages import ModelToServe, OutputRule
from model_serving.engines.foreign_errors import first_line, rejecting, typed_line
from model_serving.engines.limits import Limits
from model_serving.engines.results import column_names, spelled_number
from model_serving.engines.tensors.inputs import TensorInput, TensorInputs, plan_inputs
from model_serving.engines.tensors.model import (
    OutputReader,
    Run,
    Tensor,
    TensorModel,
    TensorOutput,
    TensorReader,
    choose_result,
    try_out,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["OnnxEngine"]

_TEXT = "tensor(string)"
_DTYPES = {
    "tensor(float16)": "float16",
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(bool)": "bool",
} | {
    f"tensor({name})": name
    for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
}
_NO_FOLDER = "/nonexistent"


class OnnxEngine:
    """Loads ONNX models. Their size is that of the message or the location, so no limit is left."""

    def __init__(self, limits: Limits) -> None:
        """See ``registry.EngineSpec``."""

    def load(self, model: ModelToServe, schema: RecordSchema) -> LoadedModel:
        """See ``Engine.load``."""
        with rejecting("ONNX Runtime cannot load the model"):
            return self._load(model, schema)

    @staticmethod
    def _load(model: ModelToServe, schema: RecordSchema) -> LoadedModel:
        session = _open_session(model.content)
        inputs = plan_inputs([_input(node) for node in session.get_inputs()], model.inputs, schema)
        outputs = session.get_outputs()
        label = _label_among(outputs)
        numbers = [
            node for node in outputs if node is not label and (node.type in _DTYPES or _is_zip_map(node))
        ]
        if label is not None and numbers:
            return _classifier(session, inputs, label, numbers, model.output)
        numbers = [node for node in outputs if node.type in _DTYPES]
        run = _run_in(session, inputs, numbers)
        return TensorModel(inputs, run, _number_reader(run, inputs, numbers, model.output), lambda: None)


def _open_session(content: bytes) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Without this, weights in other files would be looked for in this process's working directory.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", _NO_FOLDER)
    # The fallback would try the same provider again and print a message.
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"], enable_fallback=0)


def _classifier(
    session: Any, inputs: TensorInputs, label: Any, numbers: Sequence[Any], rule: OutputRule
) -> LoadedModel:
    run = _run_in(session, inputs, [label, *numbers])
    with rejecting("trying the model with zeros"):
        labels = _labels(run(inputs.feeds(inputs.zeros()))[0])
    spell_numbers = all(spelled_number(text) is not None for text in labels)
    if rule is OutputRule.VALUE and not spell_numbers:
        raise ModelRejected(f"output VALUE needs labels that spell numbers, not '{labels[0]}': use ARGMAX")
    by_label = spell_numbers and rule is not OutputRule.ARGMAX
    read_numbers = _number_reader(
        lambda feeds: run(feeds)[1:], inputs, numbers, OutputRule.AUTO if by_label else OutputRule.ARGMAX
    )

    def read(tensors: Sequence[Tensor], n: int) -> Scores:
        labels = _labels(tensors[0])
        if len(labels) != n:
            raise ScoringFailed(f"the model gives {len(labels)} labels for {n} records")
        scores = read_numbers(tensors[1:], n)
        return Scores(_spelled(labels) if by_label else scores.result, labels, scores.outputs)

    return TensorModel(inputs, run, read, lambda: None)


def _number_reader(run: Run, inputs: TensorInputs, numbers: Sequence[Any], rule: OutputRule) -> OutputReader:
    described = [_output(node) for node in numbers]
    chosen = choose_result(described)
    columns = try_out(run, inputs, described)
    names = [column_names(output.name, count) for output, count in zip(described, columns, strict=True)]
    return TensorReader(names, columns, chosen, rule)


def _run_in(session: Any, inputs: TensorInputs, outputs: Sequence[Any]) -> Run:
    feed_names = [tensor.name for tensor in inputs.tensors]
    fetch_names = [node.name for node in outputs]

    def run(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        try:
            answers = session.run(fetch_names, dict(zip(feed_names, tensors, strict=True)))
            return [_as_tensor(answer) for answer in answers]
        except Exception as error:
            raise ScoringFailed(f"ONNX Runtime failed: {typed_line(error)}") from error

    return run


def _as_tensor(answer: Any) -> Tensor:
    """Returns an array; ZipMap gives a list of maps, each with the classes in the same order."""
    return (
        np.array([tuple(row.values()) for row in answer]) if isinstance(answer, list) else np.asarray(answer)
    )


def _label_among(outputs: Sequence[Any]) -> Any:
    """Returns the output with the predicted labels, None when there is none.

    It is the only text output, else the only column of int64 if there are other outputs.
    """
    for kind in (_TEXT, "tensor(int64)"):
        found = [
            node
            for node in outputs
            if node.type == kind and all(size == 1 for size in (node.shape or [])[1:])
        ]
        if len(found) == 1 and (len(outputs) > 1 or kind == _TEXT):
            return found[0]
    return None


def _labels(tensor: Tensor) -> list[str]:
    return [str(value) for value in tensor.ravel()]


def _spelled(labels: Sequence[str]) -> npt.NDArray[np.float64]:
    numbers = [spelled_number(label) for label in labels]
    if None in numbers:
        raise ScoringFailed(
            f"the model predicts '{first_line(labels[numbers.index(None)])}', which does not spell a number"
        )
    return np.array(numbers, dtype=np.float64)


def _input(node: Any) -> TensorInput:
    if node.type != _TEXT and node.type not in _DTYPES:
        raise ModelRejected(f"the model's input {node.name} is a {node.type}: export it with float inputs")
    dtype = None if node.type == _TEXT else np.dtype(_DTYPES[node.type])
    return TensorInput(node.name, dtype, _sizes(node))


def _output(node: Any) -> TensorOutput:
    sizes = _sizes(node)
    columns = None
    if sizes is not None and not _is_zip_map(node) and len(sizes) <= 2:
        columns = 1 if len(sizes) == 1 else sizes[1]
    return TensorOutput(
        node.name, columns, _is_zip_map(node) or "float" in node.type or "double" in node.type
    )


def _sizes(node: Any) -> tuple[int | None, ...] | None:
    """Returns None for an unknown rank, which ONNX Runtime does not distinguish from a scalar."""
    return tuple(size if isinstance(size, int) and size > 0 else None for size in node.shape) or None


def _is_zip_map(node: Any) -> bool:
    return bool(node.type.startswith("seq(map("))
