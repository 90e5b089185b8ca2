"""Writes small neural networks as a frozen TensorFlow graph, a SavedModel and an ONNX file.

All three take the measured features, [n, 11] float32, because the scaling is part of the model.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Network", "limit_tensorflow", "train_keras", "write_graph", "write_onnx", "write_saved_model"]

# The index of the greatest output is the quality, so there are outputs up to the index of the best wine.
OUTPUTS = 9


@dataclass(frozen=True, slots=True)
class Network:
    """A multilayer perceptron after a scaling of its inputs, evaluated by plain float64 arithmetic.

    ``layers`` has (weights (inputs, outputs), biases (outputs,)) for each layer; ``hidden`` is ``tanh`` or
    ``relu``.
    """

    mean: Floats
    scale: Floats
    layers: tuple[tuple[Floats, Floats], ...]
    hidden: str

    def forward(self, features: Floats) -> Floats:
        """Returns the outputs, (n, outputs), for features (n, inputs), before softmax or sigmoid."""
        values = (features - self.mean) / self.scale
        for depth, (weights, biases) in enumerate(self.layers, start=1):
            values = values @ weights + biases
            if depth < len(self.layers):
                values = np.tanh(values) if self.hidden == "tanh" else np.maximum(values, 0)
        return values


def limit_tensorflow(seed: int) -> None:
    """Makes TensorFlow deterministic: one thread, a seed, no graphics card, no kernels with other rounding.

    It has an effect only before TensorFlow is first used.
    """
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def train_keras(
    features: Floats,
    quality: NDArray[np.int64],
    *,
    units: tuple[int, ...],
    hidden: str,
    squash: str,
    epochs: int,
) -> Network:
    """Trains a Keras classifier with nine outputs (``squash`` is ``softmax`` or ``sigmoid``).

    ``features`` has shape (n, 11). ``quality`` has shape (n,) and holds indices of the outputs.
    """
    import tensorflow as tf

    mean, variance = features.mean(axis=0).astype(np.float32), features.var(axis=0).astype(np.float32)
    model = tf.keras.Sequential(
        [
            tf.keras.Input((features.shape[1],), name="features"),
            tf.keras.layers.Normalization(mean=mean, variance=variance),
            *(tf.keras.layers.Dense(count, activation=hidden) for count in units),
            tf.keras.layers.Dense(OUTPUTS, activation=squash),
        ]
    )
    loss = "categorical_crossentropy" if squash == "softmax" else "binary_crossentropy"
    model.compile(optimizer=tf.keras.optimizers.Adam(0.005), loss=loss)
    targets = np.eye(OUTPUTS, dtype=np.float32)[quality]
    model.fit(features.astype(np.float32), targets, epochs=epochs, batch_size=64, verbose=0)
    layers = tuple(
        (layer.kernel.numpy().astype(np.float64), layer.bias.numpy().astype(np.float64))
        for layer in model.layers
        if isinstance(layer, tf.keras.layers.Dense)
    )
    scale = np.sqrt(variance).astype(np.float64)
    return Network(mean.astype(np.float64), scale, layers, hidden)


def write_graph(network: Network, path: Path) -> None:
    """Writes a frozen GraphDef from the placeholder ``features`` to the node ``scores/Sigmoid`` [n, 9]."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        values = tf.compat.v1.placeholder(tf.float32, (None, len(network.mean)), name="features")
        values = (values - tf.constant(network.mean, tf.float32)) / tf.constant(network.scale, tf.float32)
        for depth, (weights, biases) in enumerate(network.layers, start=1):
            name = "scores" if depth == len(network.layers) else f"dense_{depth}"
            with tf.name_scope(name):
                values = tf.nn.bias_add(
                    values @ tf.constant(weights, tf.float32), tf.constant(biases, tf.float32)
                )
                values = tf.sigmoid(values, "Sigmoid") if name == "scores" else tf.tanh(values)
    path.write_bytes(graph.as_graph_def().SerializeToString(deterministic=True))


def write_saved_model(network: Network, folder: Path) -> None:
    """Writes a SavedModel with variables, signature ``serving_default``: ``features`` → ``scores`` [n, 9].

    Keras's own export is not used, because it writes the variables in a different order each time.
    """
    import tensorflow as tf
    from tensorflow.core.protobuf import fingerprint_pb2

    module = tf.Module()
    module.mean = tf.constant(network.mean, tf.float32)
    module.scale = tf.constant(network.scale, tf.float32)
    module.kernels = [tf.Variable(weights, dtype=tf.float32) for weights, _ in network.layers]
    module.biases = [tf.Variable(biases, dtype=tf.float32) for _, biases in network.layers]

    def serve(features: Any) -> dict[str, Any]:
        values = (features - module.mean) / module.scale
        for kernel, bias in zip(module.kernels[:-1], module.biases[:-1], strict=True):
            values = tf.nn.relu(tf.nn.bias_add(values @ kernel, bias))
        return {"scores": tf.nn.softmax(tf.nn.bias_add(values @ module.kernels[-1], module.biases[-1]))}

    signature = tf.TensorSpec((None, len(network.mean)), tf.float32, name="features")
    serving = tf.function(serve, input_signature=[signature], autograph=False)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": serving})
    # Git does not keep empty folders.
    (folder / "assets").rmdir()
    # The random id in the file would make each export different.
    fingerprint = folder / "fingerprint.pb"
    message = fingerprint_pb2.FingerprintDef.FromString(fingerprint.read_bytes())
    message.uuid = "0"
    fingerprint.write_bytes(message.SerializeToString(deterministic=True))


def write_onnx(network: Network, path: Path) -> None:
    """Writes a regression: ``features`` [n, 11] float32 → ``quality`` [n, 1] float32."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    constants, nodes, before = [], [], "features"

    def constant(name: str, value: Floats) -> str:
        constants.append(numpy_helper.from_array(value.astype(np.float32), name))
        return name

    def apply(operator: str, *inputs: str, output: str) -> str:
        nodes.append(helper.make_node(operator, list(inputs), [output], name=output))
        return output

    before = apply("Sub", before, constant("mean", network.mean), output="centred")
    before = apply("Div", before, constant("scale", network.scale), output="scaled")
    for depth, (weights, biases) in enumerate(network.layers, start=1):
        last = depth == len(network.layers)
        kernel, bias = constant(f"kernel_{depth}", weights), constant(f"bias_{depth}", biases)
        before = apply("Gemm", before, kernel, bias, output="quality" if last else f"dense_{depth}")
        if not last:
            before = apply("Tanh" if network.hidden == "tanh" else "Relu", before, output=f"hidden_{depth}")
    graph = helper.make_graph(
        nodes,
        "wine_quality",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", len(network.mean)])],
        [helper.make_tensor_value_info("quality", TensorProto.FLOAT, ["n", 1])],
        constants,
    )
    # Every ONNX Runtime since 1.12 reads opset 17 and IR 8.
    model = helper.make_model(
        graph, producer_name="flink-model-serving", opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
