"""The session that both TensorFlow engines load a graph into."""

from __future__ import annotations

import logging
import os
from typing import Any

from model_serving.engines.foreign_errors import quietly

__all__ = ["close_session", "import_graph", "import_tensorflow", "open_session"]


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
