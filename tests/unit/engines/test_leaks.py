"""Many swaps through admission, pool and server leak nothing, and neither do swaps that fail half way.

Python's cyclic collector is off meanwhile: it does not know how much native memory an object holds, so the
release of a model must not depend on it.
"""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper

from bench.model_editions import edition
from model_serving import assembly
from model_serving.client.model_files import pack_saved_model
from model_serving.core.admission.kept import KeptVersions
from model_serving.core.admission.loads import BackgroundLoads
from model_serving.core.admission.preparation import Prepared
from model_serving.core.clock import SystemClock
from model_serving.core.errors import ModelRejected
from model_serving.core.pool import ModelPool
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.engines.pmml.evaluator import scope
from model_serving.engines.pmml.gateway import current_gateway
from model_serving.engines.tensorflow.session import import_tensorflow
from model_serving.engines.trial.engine import stop_trials
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.winerecord_pb2 import WineRecord
from model_serving.settings import ServingSettings
from model_serving.testing import InMemoryKeptModels
from model_serving.wire import RecordCodec, parse_descriptor, read_model
from tests.jobs import ROOT
from tests.patience import patience

KEPT = 2
WARM_UP = 12
SWAPS = 28
WEIGHTS = np.ones((2, 250_000), dtype=np.float32)
"""Two megabytes: a few of them that are not released show."""

POOL_THREADS = 4
"""Libraries start the threads of their pools when they need them."""

ALONE = "MODEL_SERVING_TEST_ALONE"
"""Set in the process that one test has to itself."""

PAGES_MAY_GROW = 35e6
HEAP_MAY_GROW = 4e6
"""A model of the evaluator's below takes a third of a megabyte of Java's heap."""


@dataclass(frozen=True, slots=True)
class Made:
    """A model with two inputs, and a model that is loaded and then fails on the zeros of the warm-up."""

    modeltype: str
    good: bytes
    fails_on_zeros: bytes | None
    inputs: tuple[str, ...] = ()


def pmml(table: str = "") -> bytes:
    return (
        '<PMML version="4.3"><Header/><DataDictionary>'
        f'<DataField name="alcohol" optype="continuous" dataType="double"/>{table}'
        '<DataField name="y" optype="continuous" dataType="double"/></DataDictionary>'
        '<RegressionModel functionName="regression"><MiningSchema><MiningField name="alcohol"/>'
        '<MiningField name="y" usageType="target"/></MiningSchema>'
        '<RegressionTable intercept="1"><NumericPredictor name="alcohol" coefficient="2"/></RegressionTable>'
        "</RegressionModel></PMML>"
    ).encode()


def compiled_pmml(_: Path) -> Made:
    # Large enough to see what is left of it; PMML scores fail for no record.
    values = "".join(f'<Value value="{index}"/>' for index in range(2000))
    return Made(
        "PMML",
        pmml(f'<DataField name="c" optype="categorical" dataType="string">{values}</DataField>'),
        None,
    )


def pmml_in_java(_: Path) -> Made:
    return Made("PMML", pmml(), None)


def summed(weights: Any, *, refuses_zeros: bool) -> tuple[Any, Any]:
    """A graph's input and output."""
    tf = import_tensorflow()
    source = tf.compat.v1.placeholder(tf.float32, (None, 2), "x")
    checks = [tf.compat.v1.assert_none_equal(source, 0.0)] if refuses_zeros else []
    with tf.control_dependencies(checks):
        return source, tf.reshape(tf.reduce_sum(tf.matmul(source, weights), axis=1), (-1, 1))


def frozen_graph(_: Path) -> Made:
    tf = import_tensorflow()
    contents = []
    for refuses_zeros in (False, True):
        with tf.Graph().as_default() as graph:
            summed(tf.constant(WEIGHTS), refuses_zeros=refuses_zeros)
            contents.append(graph.as_graph_def().SerializeToString())
    return Made("TENSORFLOW", contents[0], contents[1], inputs=("alcohol", "pH"))


def saved_model(folder: Path) -> Made:
    tf = import_tensorflow()
    v1 = tf.compat.v1
    contents = []
    for refuses_zeros in (False, True):
        place = folder / f"saved-{refuses_zeros}"
        with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
            weights = v1.get_variable("w", initializer=tf.constant(WEIGHTS), use_resource=False)
            source, result = summed(weights, refuses_zeros=refuses_zeros)
            session.run(v1.global_variables_initializer())
            builder = v1.saved_model.Builder(str(place))
            signature = v1.saved_model.predict_signature_def({"x": source}, {"y": result})
            builder.add_meta_graph_and_variables(session, ["serve"], {"predict": signature})
            builder.save()
        contents.append(pack_saved_model(place))
    return Made("TENSORFLOWSAVED", contents[0], contents[1], inputs=("alcohol", "pH"))


def onnx_model(_: Path) -> Made:
    def content(nodes: list[Any], width: int, *constants: Any) -> bytes:
        graph = helper.make_graph(
            nodes,
            "graph",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", width])],
            list(constants),
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(made)
        serialized: bytes = made.SerializeToString()
        return serialized

    weights = helper.make_tensor("w", TensorProto.FLOAT, WEIGHTS.shape, WEIGHTS.tobytes(), raw=True)
    five = helper.make_tensor("five", TensorProto.FLOAT, [1], [5.0])
    table = helper.make_tensor("table", TensorProto.FLOAT, [2], [7.0, 9.0])
    beyond_the_table = [
        helper.make_node("Sub", ["five", "x"], ["place"]),
        helper.make_node("Cast", ["place"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "whole"], ["y"]),
    ]
    return Made(
        "ONNX",
        content(
            [
                helper.make_node("MatMul", ["x", "w"], ["wide"]),
                helper.make_node("ReduceMean", ["wide"], ["y"], axes=[1], keepdims=1),
            ],
            1,
            weights,
        ),
        content(beyond_the_table, 2, five, table),
        inputs=("alcohol", "pH"),
    )


BUILDS = (compiled_pmml, pmml_in_java, frozen_graph, saved_model, onnx_model)
WITH_TENSORFLOW = (frozen_graph, saved_model)
"""They share a process, because importing TensorFlow takes about as long as the swaps."""


class Swaps:
    """Does the operators' work in one thread without Flink. Models are loaded in other threads, as there."""

    def __init__(self, made: Made, keep_versions: int, pool: ModelPool) -> None:
        codec = RecordCodec("model_serving.protos.winerecord_pb2:WineRecord")
        settings = ServingSettings(
            record_type="model_serving.protos.winerecord_pb2:WineRecord",
            models_topic="models",
            data_topic="mdata",
            waiting=WaitingPolicy(NoModelPolicy.BUFFER, limit=3, bounded=False),
            keep_versions=keep_versions,
            base_dir="/nowhere",
            model_size_limit=1_000,
            trial_timeout_s=60,
        )
        self._made = made
        self._number = 0
        self._kept = KeptVersions(InMemoryKeptModels(), "wine")
        parts = assembly.build(settings, SystemClock(), pool)
        self._admission = parts.admission()
        self._server = parts.server()
        self._loads: BackgroundLoads[Prepared] = BackgroundLoads(1, 120, SystemClock())
        record = WineRecord(dataType="wine", alcohol=9, pH=3).SerializeToString()
        self._example = ModelDescriptor.Example(record=record, expected=-1)
        (self._batch,) = codec.decode([record] * 3).batches

    def carry_out(self, **fields: Any) -> str:
        """Offers a message, then scores records. Returns "" or the reason why the message was rejected."""
        payload = ModelDescriptor(name="m", dataType="wine", **fields).SerializeToString()
        why = ""
        try:
            decision = self._admission.decide(read_model(parse_descriptor(payload)), self._kept)
            prepared = self._loads.result(self._loads.start(decision.preparation.run), 120)
            assert prepared is not None
            model = self._admission.complete(decision, prepared, self._kept).model
            if model is not None:
                self._server.activate(model)
        except ModelRejected as error:
            why = str(error)
        outcome = self._server.serve(self._batch)
        assert [len(batch) for batch in outcome.scored] == [3]
        return why

    def swap(self) -> None:
        """Swaps to the next edition."""
        assert self.carry_out(**self._next(self._made.good)) == ""

    def fail_by_example(self) -> None:
        why = self.carry_out(**self._next(self._made.good), examples=[self._example])
        assert "example 1 of 1 gives" in why

    def fail_in_warm_up(self) -> None:
        if self._made.fails_on_zeros is None:
            return
        why = self.carry_out(**self._next(self._made.fails_on_zeros))
        assert "the model fails on a first record" in why

    def fail_to_load(self) -> None:
        assert self.carry_out(**{**self._next(b""), "data": b"no model"}) != ""

    def close(self) -> None:
        self._server.close()
        self._admission.close()
        self._loads.close(60)

    def _next(self, content: bytes) -> dict[str, Any]:
        self._number += 1
        data = edition(self._made.modeltype, content, self._number) if content else content
        return {"modeltype": self._made.modeltype, "data": data, "inputs": self._made.inputs}


@dataclass(frozen=True, slots=True)
class Held:
    """The resources of a process that might leak."""

    live: int
    threads: int
    python_threads: int
    descriptors: int
    children: frozenset[int]
    temporary: tuple[str, ...]

    @classmethod
    def now(cls, pool: ModelPool, temporary: Path) -> Held:
        process = psutil.Process()
        return cls(
            pool.live,
            process.num_threads(),
            threading.active_count(),
            process.num_fds(),
            frozenset(child.pid for child in process.children(recursive=True)),
            tuple(path.name for path in temporary.iterdir()),
        )


@cache
def run_alone(*tests: str) -> subprocess.CompletedProcess[str]:
    """Runs tests in a process of their own, so that the remains of others are not measured; once for all."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--quiet", "-rP", *tests],
        cwd=ROOT,
        env={**inherited, ALONE: "yes"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=patience(250),
        check=False,
    )
    print(done.stdout)
    return done


def own_bytes() -> int:
    """Returns the resident memory of this process alone, after its allocator has released free memory.

    Each load has a thread of its own, which may use another arena of the allocator. Memory that is freed
    there may stay resident.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
    memory = psutil.Process().memory_info()
    return int(memory.rss - getattr(memory, "shared", 0))


def heap_bytes() -> int:
    """Returns the used heap of the PMML evaluator's Java process."""
    java = current_gateway()._java.jvm.java.lang
    java.System.gc()
    runtime = java.Runtime.getRuntime()
    return int(runtime.totalMemory() - runtime.freeMemory())


@pytest.fixture
def pool() -> ModelPool:
    return assembly.new_pool()


@pytest.fixture
def _without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="module", autouse=True)
def _stopped() -> Iterator[None]:
    yield
    stop_trials()


@pytest.mark.usefixtures("_without_collector")
@pytest.mark.parametrize("build", BUILDS, ids=[build.__name__ for build in BUILDS])
def test_many_swaps_leave_nothing_behind(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pool: ModelPool,
    build: Callable[[Path], Made],
) -> None:
    if ALONE not in os.environ:
        test, _, _ = request.node.nodeid.partition("[")
        alone = WITH_TENSORFLOW if build in WITH_TENSORFLOW else (build,)
        done = run_alone(*(f"{test}[{one.__name__}]" for one in alone))
        assert done.returncode == 0, done.stdout
        return
    if build is pmml_in_java:
        monkeypatch.setattr(scope, "_MOST_FIELDS", 0)
    made = build(tmp_path)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    swaps = Swaps(made, KEPT, pool)
    steps = cycle(
        [swaps.swap, swaps.fail_by_example, swaps.swap, swaps.fail_in_warm_up, swaps.swap, swaps.fail_to_load]
    )
    swaps.swap()
    swaps.swap()

    def run(times: int) -> tuple[Held, int, int]:
        for step in islice(steps, times):
            step()
            assert pool.live == KEPT, step.__name__
        heap = heap_bytes() if build is pmml_in_java else 0
        return Held.now(pool, temporary), own_bytes(), heap

    before, pages_before, heap_before = run(WARM_UP)
    after, pages, heap = run(SWAPS)
    if pages - pages_before >= PAGES_MAY_GROW:
        # An allocator may keep that much once. What is not released goes on to grow.
        pages_before = pages
        after, pages, heap = run(SWAPS)
    swaps.close()

    print(f"pages {(pages - pages_before) / 1e6:+.1f} MB, heap {(heap - heap_before) / 1e6:+.1f} MB")
    assert (after.live, after.temporary, after.children) == (KEPT, (), before.children)
    assert after.threads <= before.threads + POOL_THREADS
    assert after.python_threads <= before.python_threads
    assert after.descriptors <= before.descriptors
    assert pages - pages_before < PAGES_MAY_GROW
    assert heap - heap_before < HEAP_MAY_GROW
    assert pool.live == 0
