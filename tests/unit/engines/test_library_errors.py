"""Any error of a model library refuses only the model or the records; the text has its type and its place."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_serving.core.engine import LoadedModel
from model_serving.core.errors import ModelRejected, ScoringFailed, Unavailable
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.engines import engine_for
from model_serving.engines.limits import Limits
from model_serving.engines.onnx import engine as onnx_engine
from model_serving.engines.onnx.running import SessionRun
from model_serving.engines.pmml import engine as pmml_engine
from model_serving.engines.pmml import gateway as pmml_gateway
from model_serving.engines.pmml.evaluator import scope
from model_serving.engines.pmml.evaluator.inputs import Inputs
from model_serving.engines.pmml.evaluator.model import EvaluatedModel
from model_serving.engines.pmml.gateway import GatewayLostError, PmmlGateway, current_gateway
from model_serving.engines.tensorflow import archive, graph, session
from model_serving.engines.tensorflow import model as graph_model
from model_serving.engines.tensorflow import saved as saved_engine
from model_serving.engines.tensors.model import TensorModel
from model_serving.engines.trial import engine as trial
from tests.unit.engines.onnx_builders import classifier, weighed
from tests.unit.engines.pmml_builders import SCHEMA
from tests.unit.engines.tensorflow_builders import frozen, saved, tf, variable, x

Load = Callable[..., LoadedModel]

RAISED = [
    IndexError("list index out of range"),
    KeyError("node"),
    ZeroDivisionError("division by zero"),
    RecursionError("maximum recursion depth exceeded"),
    OverflowError("int too large to convert to float"),
    MemoryError(),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    OSError(28, "No space left on device"),
]
EACH = pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)

REGRESSION = (
    b'<PMML version="4.4"><Header/><DataDictionary>'
    b'<DataField name="a" optype="continuous" dataType="double"/>'
    b'<DataField name="y" optype="continuous" dataType="double"/></DataDictionary>'
    b'<RegressionModel functionName="regression"><MiningSchema><MiningField name="a"/>'
    b'<MiningField name="y" usageType="target"/></MiningSchema><RegressionTable intercept="1">'
    b'<NumericPredictor name="a" coefficient="2"/></RegressionTable></RegressionModel></PMML>'
)


@pytest.fixture
def in_java(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets a bound that every document is beyond, so that Java scores it."""
    monkeypatch.setattr(scope, "_MOST_FIELDS", 0)


def told(error: Exception) -> str:
    """Returns the end of the error text."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise error

    return fail


def graph_content() -> bytes:
    return frozen(lambda: tf.matmul(x(None, 2), tf.constant([[1.0], [2.0]]), name="y"))


LOADS: dict[str, tuple[ModelType, Callable[[], bytes], object, str, str]] = {
    "PMML, reading": (ModelType.PMML, lambda: REGRESSION, pmml_engine, "read_xml", "the PMML model"),
    "PMML, compiling": (
        ModelType.PMML,
        lambda: REGRESSION,
        pmml_engine,
        "compile_document",
        "the PMML model",
    ),
    "PMML, verifying": (ModelType.PMML, lambda: REGRESSION, pmml_engine, "verify", "the PMML model"),
    "ONNX, opening": (
        ModelType.ONNX,
        lambda: weighed(1),
        onnx_engine,
        "_open_session",
        "ONNX Runtime cannot load the model",
    ),
    "ONNX, inputs": (
        ModelType.ONNX,
        lambda: classifier(["3", "4", "5"], True),
        onnx_engine,
        "plan_inputs",
        "ONNX Runtime cannot load the model",
    ),
    "graph, session": (ModelType.TENSORFLOW, graph_content, graph, "open_session", "the frozen graph"),
    "graph, terminal": (ModelType.TENSORFLOW, graph_content, graph, "terminals", "the frozen graph"),
    "graph, tensors": (
        ModelType.TENSORFLOW,
        graph_content,
        graph_model,
        "plan_inputs",
        "TensorFlow cannot run the graph",
    ),
    "SavedModel, folder": (
        ModelType.TENSORFLOWSAVED,
        lambda: b"PK",
        archive,
        "TemporaryDirectory",
        "the SavedModel cannot be loaded",
    ),
    "SavedModel, archive": (
        ModelType.TENSORFLOWSAVED,
        lambda: b"PK",
        archive,
        "_unpack",
        "the SavedModel's archive",
    ),
}


@EACH
@pytest.mark.parametrize("what", LOADS)
def test_an_error_of_a_load_rejects_the_model(
    load: Load, monkeypatch: pytest.MonkeyPatch, what: str, error: Exception
) -> None:
    kind, content, owner, name, begins = LOADS[what]
    made = content()
    monkeypatch.setattr(owner, name, raising(error))
    schema = SCHEMA if kind is ModelType.PMML else None
    with pytest.raises(ModelRejected) as rejected:
        load(kind, made, **({"schema": schema} if schema else {}))
    assert str(rejected.value).startswith(begins)
    assert str(rejected.value).endswith(told(error))


def scored(model: LoadedModel) -> Any:
    return model.score(np.zeros((1, len(model.fields)))).result


@EACH
@pytest.mark.usefixtures("in_java")
def test_an_error_of_java_rejects_the_model(
    load: Load, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(PmmlGateway, "output_columns", raising(error))
    with pytest.raises(ModelRejected) as rejected:
        load(ModelType.PMML, REGRESSION, schema=SCHEMA)
    assert str(rejected.value) == f"the PMML model cannot be loaded: {told(error)}"


@EACH
@pytest.mark.usefixtures("in_java")
def test_an_error_of_java_costs_the_records(
    load: Load, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    model = load(ModelType.PMML, REGRESSION, schema=SCHEMA)
    monkeypatch.setattr(PmmlGateway, "predict", raising(error))
    with pytest.raises(ScoringFailed) as failed:
        scored(model)
    assert str(failed.value) == f"the PMML evaluator cannot score: {told(error)}"
    monkeypatch.setattr(PmmlGateway, "predict", lambda *_: '{"data": 5')
    with pytest.raises(ScoringFailed, match=r"^the PMML evaluator cannot score: JSONDecodeError: "):
        scored(model)


@EACH
def test_an_error_of_a_compiled_model_costs_the_records(
    load: Load, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    model = load(ModelType.PMML, REGRESSION, schema=SCHEMA)
    assert isinstance(model, EvaluatedModel)
    for method in ("batch", "record"):
        monkeypatch.setattr(Inputs, method, raising(error))
    for count in (1, 2):
        with pytest.raises(ScoringFailed) as failed:
            model.score(np.zeros((count, len(model.fields))))
        assert str(failed.value) == f"the PMML model failed: {told(error)}"


@EACH
def test_an_error_of_a_tensor_library_costs_the_records(load: Load, error: Exception) -> None:
    class Session:
        def __init__(self) -> None:
            self._sess = self

        def run(self, *_: object) -> Any:
            raise error

    with pytest.raises(ScoringFailed) as failed:
        SessionRun(Session(), ["x"], [])([np.zeros((1, 2))])
    assert str(failed.value) == f"ONNX Runtime failed: {told(error)}"
    for part in ("_run", "_read"):
        model = load(ModelType.TENSORFLOW, graph_content())
        setattr(model, part, raising(error))
        with pytest.raises(ScoringFailed) as failed:
            scored(model)
        assert str(failed.value) == f"the model's tensors cannot be read: {told(error)}"


@EACH
@pytest.mark.usefixtures("in_java")
def test_closing_raises_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    for kind, content in ((ModelType.PMML, REGRESSION), (ModelType.TENSORFLOW, graph_content())):
        schema = SCHEMA if kind is ModelType.PMML else type(SCHEMA)("Sample", ("a", "b"))
        model = engine_for(kind).load(ModelToServe("s", "m", kind, "1", "", content), schema)
        with monkeypatch.context() as patched:
            patched.setattr(current_gateway()._java, "detach", raising(error))
            patched.setattr(tf.compat.v1.Session, "close", raising(error))
            model.close()
    assert f"TensorFlow cannot close the session: {told(error)}" in caplog.text
    caplog.clear()
    TensorModel(None, None, None, raising(error)).close()  # type: ignore[arg-type]
    assert f"the model cannot be closed: {told(error)}" in caplog.text


@pytest.mark.usefixtures("in_java")
def test_a_half_loaded_model_leaves_nothing_in_java(monkeypatch: pytest.MonkeyPatch) -> None:
    made, released = [], []
    load, release = PmmlGateway.load, PmmlGateway.release

    def loading(self: PmmlGateway, text: str) -> Any:
        made.append(load(self, text))
        return made[-1]

    def releasing(self: PmmlGateway, java: Any) -> None:
        released.append(java)
        release(self, java)

    monkeypatch.setattr(PmmlGateway, "load", loading)
    monkeypatch.setattr(PmmlGateway, "release", releasing)
    model = ModelToServe("s", "m", ModelType.PMML, "1", "", REGRESSION)
    with monkeypatch.context() as patched:
        patched.setattr(PmmlGateway, "output_columns", raising(IndexError("x")))
        with pytest.raises(ModelRejected, match=r"^the PMML model cannot be loaded: IndexError: x$"):
            engine_for(ModelType.PMML).load(model, SCHEMA)
    assert len(made) == 1
    assert any(java is made[0] for java in released)


def saved_content(folder: Path) -> bytes:
    def build() -> tuple[dict[str, Any], dict[str, Any]]:
        source = x(None, 2)
        return {"x": source}, {"y": tf.matmul(source, variable([[1.0], [2.0]]))}

    return saved(folder, build)


@pytest.mark.parametrize(
    ("module", "kind", "name"),
    [
        (graph, ModelType.TENSORFLOW, "model_in_session"),
        (graph, ModelType.TENSORFLOW, "placeholders"),
        (saved_engine, ModelType.TENSORFLOWSAVED, "model_in_session"),
        (saved_engine, ModelType.TENSORFLOWSAVED, "dense_tensors"),
    ],
)
def test_a_half_loaded_session_is_closed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: Any, kind: ModelType, name: str
) -> None:
    content = graph_content() if module is graph else saved_content(tmp_path)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    open_session, close_session = session.open_session, session.close_session
    opened, closed = [], []

    def opening(tf: Any) -> Any:
        opened.append(open_session(tf))
        return opened[-1]

    def closing(session: Any) -> None:
        closed.append(session)
        close_session(session)

    monkeypatch.setattr(module, "open_session", opening)
    monkeypatch.setattr(module, "close_session", closing)
    monkeypatch.setattr(module, name, raising(RecursionError("too deep")))
    with pytest.raises(ModelRejected, match=r"RecursionError: too deep$"):
        engine_for(kind).load(ModelToServe("s", "m", kind, "1", "", content), SCHEMA)
    assert len(opened) == 1
    assert closed == opened
    assert list((tmp_path / "temporary").iterdir()) == []


NO_JAVA = "'/no/java' does not start (No such file or directory): set JAVA_HOME to a Java 11 or later"


def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pmml_gateway, "_java", lambda: "/no/java")


def killed() -> None:
    gateway = current_gateway()
    os.kill(gateway.pid, signal.SIGKILL)
    gateway._process.wait(10)


@pytest.mark.usefixtures("in_java")
def test_without_java_a_model_is_neither_rejected_nor_blamed(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(ModelType.PMML, REGRESSION, schema=SCHEMA)
    killed()
    with monkeypatch.context() as patched:
        no_java(patched)
        for use in (lambda: load(ModelType.PMML, REGRESSION, schema=SCHEMA), lambda: scored(model)):
            with pytest.raises(Unavailable) as unavailable:
                use()
            assert str(unavailable.value) == NO_JAVA
    assert scored(model).tolist() == [1.0]


@pytest.mark.usefixtures("in_java")
def test_a_model_that_ends_the_java_process_is_loaded_in_another_one_and_then_rejected(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict_columns = PmmlGateway.output_columns
    ended: list[object] = []

    def ends_it(self: PmmlGateway, model: Any) -> Any:
        if len(ended) < most:
            ended.append(self.pid)
            os.kill(self.pid, signal.SIGKILL)
            self._process.wait(10)
        return predict_columns(self, model)

    monkeypatch.setattr(PmmlGateway, "output_columns", ends_it)
    most = 1
    assert scored(load(ModelType.PMML, REGRESSION, schema=SCHEMA)).tolist() == [1.0]
    ended.clear()
    most = 2
    with pytest.raises(ModelRejected) as rejected:
        load(ModelType.PMML, REGRESSION, schema=SCHEMA)
    assert str(rejected.value) == (
        "the PMML evaluator cannot load the model: the Java process with the PMML evaluator ended "
        "(out of memory?): use a smaller model"
    )
    assert len(set(ended)) == 2


@pytest.mark.usefixtures("in_java")
def test_records_that_end_the_java_process_twice_are_given_up(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(ModelType.PMML, REGRESSION, schema=SCHEMA)

    def ends_it(self: PmmlGateway, *_: object) -> str:
        raise GatewayLostError("ended")

    with monkeypatch.context() as patched:
        patched.setattr(PmmlGateway, "predict", ends_it)
        with pytest.raises(ScoringFailed, match=r"^the PMML evaluator fails again on this batch: ended$"):
            scored(model)
        killed()
        patched.setattr(PmmlGateway, "load", ends_it)
        with pytest.raises(ScoringFailed, match=r"^the PMML model cannot be loaded again: .* ended: use a"):
            scored(model)
    assert scored(model).tolist() == [1.0]


@pytest.mark.parametrize("error", [KeyError("node"), RecursionError("too deep"), MemoryError()])
def test_an_error_of_a_trial_rejects_the_model(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr(trial, "_ask", raising(error))
    tried = trial.TriedEngine(engine_for(ModelType.ONNX), Limits(), 20, 1 << 30)
    with pytest.raises(ModelRejected) as rejected:
        tried.load(ModelToServe("s", "m", ModelType.ONNX, "1", "", weighed(1)), SCHEMA)
    assert str(rejected.value) == f"the model cannot be tried out: {told(error)}"
