"""Loading and closing a model many times leaves no thread, folder or growing memory behind."""

from __future__ import annotations

import io
import tarfile
import tempfile
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest

from functions.core.engine import RecordSchema
from functions.core.messages import ModelToServe, ModelType
from functions.engines import engine_for
from functions.engines.tensorflow_session import import_tensorflow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TIMES = 50
WEIGHTS = np.ones((2, 250_000), dtype=np.float32)
"""Two megabytes: 50 of them show."""


def in_graph() -> tuple[Any, Any]:
    tf = import_tensorflow()
    source = tf.compat.v1.placeholder(tf.float32, (None, 2), "x")
    weights = tf.compat.v1.get_variable("w", initializer=tf.constant(WEIGHTS), use_resource=False)
    return source, tf.reduce_sum(tf.matmul(source, weights), axis=1)


def saved_model(folder: Path) -> bytes:
    tf = import_tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        source, result = in_graph()
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(folder / "saved"))
        signature = v1.saved_model.predict_signature_def({"x": source}, {"y": result})
        builder.add_meta_graph_and_variables(session, ["serve"], {"predict": signature})
        builder.save()
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(folder / "saved", arcname="1")
    return content.getvalue()


def frozen_graph(_: Path) -> bytes:
    tf = import_tensorflow()
    with tf.Graph().as_default() as graph:
        source = tf.compat.v1.placeholder(tf.float32, (None, 2), "x")
        tf.reduce_sum(tf.matmul(source, tf.constant(WEIGHTS)), axis=1)
        content: bytes = graph.as_graph_def().SerializeToString()
    return content


def regression(_: Path) -> bytes:
    table = "".join(f'<Value value="{index}"/>' for index in range(2000))
    return (
        '<PMML version="4.3"><Header/><DataDictionary>'
        '<DataField name="a" optype="continuous" dataType="double"/>'
        f'<DataField name="c" optype="categorical" dataType="string">{table}</DataField>'
        '<DataField name="y" optype="continuous" dataType="double"/></DataDictionary>'
        '<RegressionModel functionName="regression"><MiningSchema><MiningField name="a"/>'
        '<MiningField name="y" usageType="target"/></MiningSchema><RegressionTable intercept="1">'
        '<NumericPredictor name="a" coefficient="2"/></RegressionTable></RegressionModel></PMML>'
    ).encode()


@pytest.mark.parametrize(
    ("model_type", "build", "grows_at_most"),
    [
        (ModelType.TENSORFLOW, frozen_graph, 60e6),
        (ModelType.TENSORFLOWSAVED, saved_model, 60e6),
        (ModelType.PMML, regression, 20e6),
    ],
    ids=["graph", "saved model", "pmml"],
)
def test_nothing_is_left_behind(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model_type: ModelType,
    build: Callable[[Path], bytes],
    grows_at_most: float,
) -> None:
    content = build(tmp_path)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    offered = ModelToServe("sample", "model", model_type, "1", "", content)
    schema = RecordSchema("Sample", ("a", "b"))

    def load_and_close(times: int) -> tuple[int, int, int]:
        for _ in range(times):
            model = engine_for(model_type).load(offered, schema)
            model.score(np.ones((3, len(model.fields))))
            model.close()
        process = psutil.Process()
        return process.num_threads(), threading.active_count(), process.memory_info().rss

    native, python, before = load_and_close(5)
    native_after, python_after, after = load_and_close(TIMES)
    assert (native_after <= native, python_after <= python, list(temporary.iterdir())) == (True, True, [])
    assert after - before < grows_at_most
