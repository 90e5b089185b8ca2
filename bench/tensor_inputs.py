"""``python -m bench.tensor_inputs FOLDER``: writes the TensorFlow and ONNX models of the benchmark.

It runs in a process of its own, because TensorFlow would stay in memory and keep threads. Everything is
seeded. Names and signatures are those that the JVM peer needs: a frozen graph has the input
``dense_1_input`` and the output ``dense_3/Sigmoid``, a SavedModel has exactly one signature.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model_serving.client.samples import sample_folder

__all__ = ["main"]

Layers = list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]

_FIELDS = 11
_OUTPUTS = 9
_SIZES = (_FIELDS, 96, 96, 96, 96, _OUTPUTS)
"""The sizes of five layers with 29,961 parameters."""

# About the mean of each field. The inputs are divided by it, so that outputs of different records differ.
_MAGNITUDES = np.array([8, 0.5, 0.3, 2.5, 0.09, 16, 46, 1, 3.3, 0.65, 10.5], dtype=np.float32)
_SMALL_ROWS, _LARGE_ROWS, _ROW_FLOATS = 160, 327_680, 16
"""The sizes of a table of 10 kB and of a table of 20 MB; scoring takes one row of a table."""


def main(folder: Path) -> None:
    """Writes every model."""
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    layers = _layers(np.random.default_rng(20_240_917))
    _write_network(layers, folder / "network")
    _write_onnx(layers, folder / "network.onnx")
    _write_table(folder / "table-small.pb", _SMALL_ROWS)
    _write_table(folder / "table-large.pb", _LARGE_ROWS)
    _rename_graph(sample_folder() / "models" / "wine_frozen_graph.pb", folder / "graph.pb")
    _one_signature(sample_folder() / "models" / "saved" / "1", folder / "saved")


def _layers(numbers: np.random.Generator) -> Layers:
    layers = []
    for inputs, outputs in itertools.pairwise(_SIZES):
        weights = numbers.normal(0, np.sqrt(2 / inputs), (inputs, outputs)).astype(np.float32)
        layers.append((weights, numbers.normal(0, 0.1, outputs).astype(np.float32)))
    layers[0] = (layers[0][0] / _MAGNITUDES[:, None], layers[0][1])
    return layers


def _write_network(layers: Layers, folder: Path) -> None:
    """Writes a SavedModel with variables, [n, 11] float32 → [n, 9]: relu between layers, then softmax."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        features = values = v1.placeholder(tf.float32, (None, _FIELDS), name="features")
        for depth, (weights, biases) in enumerate(layers):
            kernel = v1.get_variable(f"kernel_{depth}", initializer=weights, use_resource=True)
            bias = v1.get_variable(f"bias_{depth}", initializer=biases, use_resource=True)
            values = tf.nn.bias_add(values @ kernel, bias)
            values = tf.nn.relu(values) if depth < len(layers) - 1 else tf.nn.softmax(values, name="scores")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder), {"features": features}, {"scores": values})


def _write_onnx(layers: Layers, path: Path) -> None:
    """Writes the same network as ONNX."""
    from onnx import TensorProto, checker, helper, numpy_helper

    nodes, constants, value = [], [], "features"
    for depth, (weights, biases) in enumerate(layers):
        constants += [
            numpy_helper.from_array(weights, f"kernel_{depth}"),
            numpy_helper.from_array(biases, f"bias_{depth}"),
        ]
        nodes.append(
            helper.make_node("Gemm", [value, f"kernel_{depth}", f"bias_{depth}"], [f"layer_{depth}"])
        )
        last = depth == len(layers) - 1
        value = "scores" if last else f"relu_{depth}"
        nodes.append(helper.make_node("Softmax" if last else "Relu", [f"layer_{depth}"], [value]))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", _FIELDS])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", _OUTPUTS])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def _write_table(path: Path, rows: int) -> None:
    """Writes a frozen graph: the alcohol selects a row of a constant with ``rows`` rows, which is added."""
    import tensorflow as tf

    numbers = np.random.default_rng(rows)
    weights = (numbers.normal(0, 0.3, (_FIELDS, _OUTPUTS)) / _MAGNITUDES[:, None]).astype(np.float32)
    with tf.Graph().as_default() as graph:
        features = tf.compat.v1.placeholder(tf.float32, (None, _FIELDS), name="dense_1_input")
        table = tf.constant(numbers.normal(0, 1, (rows, _ROW_FLOATS)).astype(np.float32), name="table")
        row = tf.math.floormod(tf.cast(features[:, -1] * 1000.0, tf.int32), rows)
        chosen = tf.gather(table, row)[:, :_OUTPUTS]
        tf.sigmoid(features @ tf.constant(weights) + chosen, name="dense_3/Sigmoid")
    path.write_bytes(graph.as_graph_def().SerializeToString(deterministic=True))


def _rename_graph(source: Path, path: Path) -> None:
    """Writes the sample graph with the names that the peer needs."""
    import tensorflow as tf

    names = {"features": "dense_1_input", "scores/Sigmoid": "dense_3/Sigmoid"}
    graph = tf.compat.v1.GraphDef.FromString(source.read_bytes())
    for node in graph.node:
        node.name = names.get(node.name, node.name)
        node.input[:] = [names.get(name, name) for name in node.input]
    path.write_bytes(graph.SerializeToString(deterministic=True))


def _one_signature(source: Path, folder: Path) -> None:
    """Writes the sample SavedModel with ``serving_default`` only, because the peer takes any signature."""
    from tensorflow.core.protobuf import saved_model_pb2

    shutil.copytree(source, folder)
    model: Any = saved_model_pb2.SavedModel.FromString((source / "saved_model.pb").read_bytes())
    signatures = model.meta_graphs[0].signature_def
    for name in [name for name in signatures if name != "serving_default"]:
        del signatures[name]
    (folder / "saved_model.pb").write_bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
