"""Models that a real MLServer scores, by the Open Inference Protocol; ``make interop`` installs it."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_serving.client.ports import free_port
from model_serving.core.engine import LoadedModel, RecordSchema
from model_serving.core.errors import ModelRejected, ScoringFailed, Unavailable
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.engines import engine_for
from model_serving.engines.limits import Limits, RemoteAccess
from tests.patience import patience

pytestmark = pytest.mark.timeout(600)

PROGRAM = os.environ.get("MODEL_SERVING_MLSERVER", "")
SCHEMA = RecordSchema("Flower", ("a", "b", "c"), ("colour",))
TRAIN = """
import json, sys
import joblib, numpy as np
from sklearn.linear_model import LogisticRegression

random = np.random.default_rng(3)
rows = random.normal(0, 1, (200, 3))
model = LogisticRegression().fit(rows, (rows.sum(axis=1) > 0).astype(int) + (rows[:, 0] > 1))
joblib.dump(model, sys.argv[1])
shown = rows[:20]
print(json.dumps({"rows": shown.tolist(), "classes": model.predict(shown).tolist(),
                  "probabilities": model.predict_proba(shown).tolist()}))
"""
CUSTOM = """
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse


class Runtime(MLModel):
    async def load(self) -> bool:
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        given = {one.name: one for one in payload.inputs}
        a = NumpyCodec.decode_input(given["a"]).ravel()
        colours = StringCodec.decode_input(given["colour"])
        if (a == 13).any():
            raise InferenceError("a is 13")
        if (a == 14).any():
            raise ValueError("a is 14")
        lengths = [len(colour) for colour in colours]
        return InferenceResponse(
            model_name=self.name,
            outputs=[
                NumpyCodec.encode_output("total", (a + lengths).reshape(-1, 1)),
                StringCodec.encode_output("shout", [colour.upper() for colour in colours]),
            ],
        )
"""


@dataclass(frozen=True)
class Server:
    """A running MLServer. ``expected`` is what scikit-learn itself gives."""

    url: str
    expected: dict[str, Any]

    def load(self, name: str, **access: Any) -> LoadedModel:
        message = ModelToServe(
            "flower", name, ModelType.OPENINFERENCE, "v1", "sha", f"{self.url}/v2/models/{name}".encode()
        )
        settings = RemoteAccess(timeout_ms=int(patience(10) * 1000), **access)
        return engine_for(ModelType.OPENINFERENCE, Limits(remote=settings)).load(message, SCHEMA)


def tensor(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


def model_folder(folder: Path, implementation: str, **settings: Any) -> Path:
    folder.mkdir()
    text = json.dumps({"name": folder.name, "implementation": implementation, **settings})
    (folder / "model-settings.json").write_text(text)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not PROGRAM:
        pytest.skip("MODEL_SERVING_MLSERVER does not name MLServer's program: run `make interop`")
    root = tmp_path_factory.mktemp("mlserver")
    sklearn = "mlserver_sklearn.SKLearnModel"
    stated = model_folder(
        root / "stated",
        sklearn,
        parameters={"uri": "./model.joblib", "version": "1"},
        inputs=[tensor("x", "FP64", -1, 3)],
        outputs=[tensor("predict", "INT64", -1, 1), tensor("predict_proba", "FP64", -1, 3)],
    )
    bare = model_folder(root / "bare", sklearn, parameters={"uri": "./model.joblib"})
    custom = model_folder(
        root / "custom",
        "runtime.Runtime",
        inputs=[tensor("a", "FP32", -1, 1), tensor("colour", "BYTES", -1, 1)],
        outputs=[tensor("total", "FP32", -1, 1), tensor("shout", "BYTES", -1, 1)],
    )
    (custom / "runtime.py").write_text(CUSTOM)
    (root / "train.py").write_text(TRAIN)
    python = str(Path(PROGRAM).parent / "python")
    trained = subprocess.run(
        [python, str(root / "train.py"), str(stated / "model.joblib")],
        capture_output=True,
        text=True,
        check=True,
    )
    (bare / "model.joblib").write_bytes((stated / "model.joblib").read_bytes())
    ports = {name: free_port() for name in ("http_port", "grpc_port", "metrics_port")}
    (root / "settings.json").write_text(json.dumps({"host": "127.0.0.1", "parallel_workers": 0, **ports}))
    log = root / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [PROGRAM, "start", str(root)], stdout=out, stderr=subprocess.STDOUT, cwd=root
        )
    try:
        url = f"http://127.0.0.1:{ports['http_port']}"
        wait_until_ready(url, process, log)
        yield Server(url, json.loads(trained.stdout))
    finally:
        process.terminate()
        process.wait(patience(30))


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + patience(120)
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/v2/health/ready", timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"MLServer does not become ready:\n{log.read_text()[-3000:]}")


def test_a_model_of_scikit_learn_with_its_inputs_and_outputs(server: Server) -> None:
    model = server.load("stated")
    scores = model.score(np.array(server.expected["rows"]))
    assert scores.result.tolist() == server.expected["classes"]
    assert scores.labels == [str(label) for label in server.expected["classes"]]
    found = np.stack([scores.outputs[f"predict_proba[{column}]"] for column in range(3)], axis=1)
    np.testing.assert_allclose(found, server.expected["probabilities"], rtol=1e-12)
    again = model.score(np.tile(server.expected["rows"], (50, 1)))
    assert again.result.tolist() == server.expected["classes"] * 50
    model.close()


def test_a_model_whose_server_states_nothing(server: Server) -> None:
    model = server.load("bare")
    assert model.score(np.array(server.expected["rows"])).result.tolist() == server.expected["classes"]
    model.close()


def test_a_runtime_of_one_s_own_with_texts_and_its_errors(server: Server) -> None:
    model = server.load("custom")
    row = {"a": 1.5, "colour": "blüe"}
    columns = np.array([[row[name] for name in model.fields]] * 3, dtype=object)
    scores = model.score(columns)
    assert (scores.result.tolist(), scores.labels) == ([5.5] * 3, ["BLÜE"] * 3)
    for number, said in ((13.0, r"answers 400: .*a is 13"), (14.0, r"answers 500$")):
        columns[1, model.fields.index("a")] = number
        with pytest.raises(ScoringFailed, match=f"^the model server {said}"):
            model.score(columns)
    assert model.score(columns[:1]).result.tolist() == [5.5]
    model.close()


def test_what_is_not_there_is_said(server: Server) -> None:
    with pytest.raises(ModelRejected, match="answers 404 to its status"):
        server.load("nothing")
    with pytest.raises((ModelRejected, Unavailable), match="/v2/models/stated/versions/9"):
        server.load("stated/versions/9")
    server.load("stated/versions/1").close()
