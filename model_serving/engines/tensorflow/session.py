"""The code that the two TensorFlow engines share: the session, and the model made from a graph's tensors.

A run takes place in the thread that calls it (``inter_op_thread_pool = -1``), through a callable that the
session prepares once. It takes 16 µs for one small record, while ``Session.run`` takes 110 µs.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from model_serving.core.engine import ModelDescription
from model_serving.core.errors import ScoringFailed
from model_serving.engines.foreign_errors import quietly, typed_line
from model_serving.engines.tensors.inputs import TensorInput
from model_serving.engines.tensors.model import Run, Tensor, make_model
from model_serving.engines.tensors.outputs import TensorOutput
from model_serving.engines.tensors.pairing import plan_inputs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from model_serving.core.engine import LoadedModel, RecordSchema
    from model_serving.core.messages import ModelToServe

__all__ = ["close_session", "import_graph", "import_tensorflow", "model_in_session", "open_session"]


def import_tensorflow() -> Any:
    """Imports TensorFlow, without its log messages. Takes 3 to 12 seconds the first time."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # oneDNN compiles code for each new shape, which takes about a millisecond, and the batches of a stream
    # have many different lengths. It also rounds differently from shape to shape.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    import tensorflow as tf

    tf.get_logger().setLevel(logging.ERROR)
    return tf


def open_session(tf: Any) -> Any:
    """Returns a session on the CPU with a graph of its own. It uses no thread except the caller's."""
    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=1,
        inter_op_parallelism_threads=1,
        device_count={"GPU": 0},
        allow_soft_placement=True,
    )
    return tf.compat.v1.Session(graph=tf.Graph(), config=config)


def import_graph(tf: Any, session: Any, definition: Any, operations: Any = None) -> None:
    """Imports a GraphDef that was checked into the session's graph, under the names that it has.

    ``operations`` is the list that the exporting TensorFlow wrote of what it knew; it says which attributes
    have only their defaults, and may be unknown here.
    """
    with session.graph.as_default():
        tf.compat.v1.import_graph_def(definition, name="", producer_op_list=operations)


def close_session(session: Any) -> None:
    """Releases a session and its graph with everything in them. Never raises.

    A graph and its operations refer to each other, so only Python's cyclic collector would free them. It
    counts objects and not the native memory behind them: dozens of unused models would stay in memory.
    """
    with quietly("TensorFlow cannot close the session"):
        session.close()
    with quietly("TensorFlow cannot take the graph apart"):
        from tensorflow.python.framework import ops

        graph = session.graph
        for collection in graph.get_all_collection_keys():
            graph.clear_collection(collection)
        ops.dismantle_graph(graph)


def model_in_session(
    session: Any,
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
    model: ModelToServe,
    schema: RecordSchema,
) -> LoadedModel:
    """Returns a model from a session's tensors, each given by its short name.

    Outputs that are neither numbers nor text are left out.

    Raises:
        ModelRejected: inputs or outputs do not fit the record type or the descriptor.
    """
    planned = plan_inputs([_input(name, tensor) for name, tensor in inputs.items()], model.inputs, schema)
    readable = {name: tensor for name, tensor in outputs.items() if _is_number(tensor) or _is_text(tensor)}
    tensors = list(readable.values())
    feeds = [inputs[tensor.name].name for tensor in planned.tensors]
    return make_model(
        lambda places: _run_in(session, feeds, [tensors[place] for place in places]),
        planned,
        [_output(name, tensor) for name, tensor in readable.items()],
        model,
        lambda: close_session(session),
        ModelDescription("TensorFlow", f"TensorFlow {_version()}"),
    )


def _run_in(session: Any, feeds: Sequence[str], fetches: Sequence[Any]) -> Run:
    from tensorflow.core.protobuf import config_pb2

    # TensorFlow refuses to fetch what is fed, but an output may be an input as it came.
    computed = [tensor.name for tensor in fetches if tensor.name not in feeds]
    options = config_pb2.CallableOptions(feed=feeds, fetch=computed)
    options.run_options.inter_op_thread_pool = -1
    # The public make_callable does not take these options, and its runs take five times as long.
    call = session._make_callable_from_options(options)  # noqa: SLF001

    def run(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        try:
            answer: Sequence[Tensor] = call(*tensors)
        except Exception as error:
            raise ScoringFailed(f"TensorFlow failed: {typed_line(error)}") from error
        if len(computed) == len(fetches):
            return answer
        found = dict(zip(feeds, tensors, strict=True)) | dict(zip(computed, answer, strict=True))
        return [found[tensor.name] for tensor in fetches]

    return run


def _input(name: str, tensor: Any) -> TensorInput:
    shape = None if tensor.shape.rank is None else tuple(tensor.shape.as_list())
    dtype = tensor.dtype.base_dtype
    return TensorInput(name, None if dtype.name == "string" else np.dtype(dtype.as_numpy_dtype), shape)


def _output(name: str, tensor: Any) -> TensorOutput:
    columns = None
    if tensor.shape.rank == 1:
        columns = 1
    elif tensor.shape.rank == 2:
        columns = tensor.shape[1]
    return TensorOutput(name, columns, tensor.dtype.is_floating, _is_text(tensor))


def _is_number(tensor: Any) -> bool:
    return bool(tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool)


def _is_text(tensor: Any) -> bool:
    return bool(tensor.dtype.name == "string")


def _version() -> str:
    import tensorflow as tf

    return str(tf.__version__)
