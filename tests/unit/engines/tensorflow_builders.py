"""TensorFlow graphs and SavedModels for tests."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from model_serving.core.engine import LoadedModel
from model_serving.engines.tensorflow.session import import_tensorflow

if TYPE_CHECKING:
    from pathlib import Path

Load = Callable[..., LoadedModel]
tf: Any = import_tensorflow()
v1 = tf.compat.v1
ROWS = np.array([[1.0, 2.0], [3.0, -1.0]])


def frozen(build: Callable[[], object]) -> bytes:
    with tf.Graph().as_default() as graph:
        build()
        content: bytes = graph.as_graph_def().SerializeToString()
        return content


def x(*shape: int | None, dtype: Any = tf.float32, name: str = "x") -> Any:
    return v1.placeholder(dtype, shape or None, name)


def weighed(source: Any, columns: int) -> Any:
    weights = np.arange(2 * columns, dtype=source.dtype.as_numpy_dtype).reshape(2, columns)
    return tf.matmul(source, tf.constant(weights), name="y")


def packed(folder: Path) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(folder, arcname="1")
    return content.getvalue()


def saved(
    tmp_path: Path, build: Callable[[], tuple[dict[str, Any], dict[str, Any]]], *signatures: str
) -> bytes:
    """Returns a SavedModel of TensorFlow 1: reference variables, tag ``serve``."""
    folder = tmp_path / "saved"
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        inputs, outputs = build()
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        builder = v1.saved_model.Builder(str(folder))
        signature = v1.saved_model.predict_signature_def(inputs, outputs)
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            dict.fromkeys(signatures or ("predict",), signature),
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            main_op=v1.tables_initializer(),
        )
        builder.save()
    return packed(folder)


def saved_function(tmp_path: Path, serve: Callable[..., Any], *specs: Any, **attributes: Any) -> bytes:
    """Returns a SavedModel of TensorFlow 2 whose signature is a function of tensors of these specs."""
    module = tf.Module()
    for name, value in attributes.items():
        setattr(module, name, value)
    module.serve = tf.function(serve, input_signature=list(specs))
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=module.serve)
    return packed(tmp_path / "saved")


def variable(value: Any) -> Any:
    return v1.get_variable("w", initializer=tf.constant(value), use_resource=False)


def linear() -> tuple[dict[str, Any], dict[str, Any]]:
    source = x(None, 2)
    return {"inputs": source}, {"outputs": tf.matmul(source, variable([[0.0, 1.0], [2.0, 3.0]]))}
