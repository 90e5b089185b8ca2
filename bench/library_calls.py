"""How much more an engine takes for one record than the library's own call, measured side by side.

The two calls take turns, so that whatever else the machine does disturbs both alike, and the tenth percentile
of many single calls is taken: on a busy machine a mean measures the other programs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from model_serving.core.engine import Columns
from model_serving.core.messages import ModelType
from model_serving.engines.tensors.inputs import TensorInputs

__all__ = ["beside", "library_call"]

_CALLS = 1500
_WARM_UP = 100


def library_call(
    kind: ModelType, content: bytes, inputs: object, record: Columns
) -> Callable[[], object] | None:
    """Returns the library's own call for one record, with its tensors ready; None for kinds without one.

    Args:
        kind: the kind of the model; only ONNX has a call of its own.
        content: the model.
        inputs: the ``TensorInputs`` of the loaded model.
        record: one record, shape (1, fields).
    """
    if kind is not ModelType.ONNX or not isinstance(inputs, TensorInputs) or inputs.batch not in {None, 1}:
        return None
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [tensor.name for tensor in inputs.tensors]
    return partial(session.run, None, dict(zip(names, inputs.feeds(record), strict=True)))


def beside(ours: Callable[[], object], library: Callable[[], object]) -> tuple[float, float]:
    """Returns microseconds a call of both, ours first."""
    for _ in range(_WARM_UP):
        ours()
        library()
    taken: tuple[list[int], list[int]] = ([], [])
    for _ in range(_CALLS):
        for call, times in zip((ours, library), taken, strict=True):
            begin = time.perf_counter_ns()
            call()
            times.append(time.perf_counter_ns() - begin)
    first, second = (sorted(times)[_CALLS // 10] / 1000 for times in taken)
    return first, second
