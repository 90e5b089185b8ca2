"""Models that a server of the Open Inference Protocol scores."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected, ScoringFailed, Unavailable
from model_serving.core.messages import ModelType
from model_serving.testing.model_server import Behaviour, FakeModelServer, ServedModel
from model_serving.testing.served_model import TensorSpec
from tests.unit.engines.remote.served import BOTH, DOUBLE, FLOAT, LONG, SUMS, TRUTH

ROWS = np.array([[1.0, 2.0, 3.5], [4.0, 5.0, 6.0]])
OIP = ModelType.OPENINFERENCE


def last_request(server: FakeModelServer) -> Any:
    asked = next(asked for asked in reversed(server.asked) if asked.method == "POST")
    return asked.path, json.loads(asked.body)


def test_one_tensor_has_all_fields(load: Any, server: FakeModelServer) -> None:
    model = load(OIP)
    scores = model.score(ROWS)
    tensor = {"name": "inputs", "shape": [2, 3], "datatype": "FP32", "data": [1.0, 2.0, 3.5, 4.0, 5.0, 6.0]}
    asked = {"inputs": [tensor], "outputs": [{"name": "outputs"}]}
    assert last_request(server) == ("/v2/models/sums/infer", asked)
    assert scores.result.tolist() == [1.0, 1.0]
    assert scores.outputs["outputs[1]"].tolist() == [13.0, 30.0]
    assert model.description.kind == "model served by Open Inference Protocol v2"
    assert [one.path for one in server.asked[:2]] == ["/v2/models/sums/ready", "/v2/models/sums"]


def test_one_tensor_a_field_of_any_type(load: Any, server: FakeModelServer) -> None:
    def score(tensors: Any) -> dict[str, Any]:
        total = tensors["z"] + tensors["x"].reshape(-1, 1) + tensors["y"]
        return {"total": total, "colour": np.char.upper(tensors["colour"].astype(str)).astype(object)}

    model = ServedModel(
        "named",
        {
            "z": TensorSpec(DOUBLE, (-1, 1)),
            "x": TensorSpec(LONG, (-1,)),
            "y": TensorSpec(TRUTH, (-1, 1)),
            "colour": TensorSpec(None, (-1, 1)),
        },
        {"total": TensorSpec(DOUBLE, (-1, 1)), "colour": TensorSpec(None, (-1, 1))},
        score,
    )
    loaded = load(OIP, model, result_output="total")
    row = {"x": 2.0, "y": 1.0, "z": 0.5, "colour": "red"}
    scores = loaded.score(np.array([[row[field] for field in loaded.fields]], dtype=object))
    assert (scores.result.tolist(), scores.labels) == ([3.5], ["RED"])
    assert last_request(server)[1]["inputs"] == [
        {"name": "z", "shape": [1, 1], "datatype": "FP64", "data": [0.5]},
        {"name": "x", "shape": [1], "datatype": "INT64", "data": [2]},
        {"name": "y", "shape": [1, 1], "datatype": "BOOL", "data": [True]},
        {"name": "colour", "shape": [1, 1], "datatype": "BYTES", "data": ["red"]},
    ]


@BOTH
@pytest.mark.parametrize(("factor", "labels"), [(1, None), (2, ["10", "14"])], ids=["back", "computed"])
def test_a_key_that_comes_back_is_not_the_label(
    load: Any, kind: ModelType, factor: int, labels: list[str] | None
) -> None:
    def score(tensors: Any) -> dict[str, Any]:
        return {"x": tensors["x"] * factor, "total": tensors["y"] * 10.0}

    model = ServedModel(
        "keyed",
        {"x": TensorSpec(LONG, (-1,)), "y": TensorSpec(FLOAT, (-1,))},
        {"x": TensorSpec(LONG, (-1,)), "total": TensorSpec(FLOAT, (-1,))},
        score,
    )
    loaded = load(kind, model, inputs=("x", "y"))
    again = load(kind, model, inputs=("x", "y"), findings=loaded.findings)
    for each in (loaded, again):
        scores = each.score(np.array([[5.0, 0.5], [7.0, 0.25]]))
        assert scores.labels == labels
        assert scores.result.tolist() == ([5.0, 2.5] if labels is None else [10.0, 14.0])


def test_inputs_keep_the_order_of_the_metadata(load: Any) -> None:
    model = replace(
        SUMS, inputs={"b": TensorSpec(FLOAT, (-1, 2)), "a": TensorSpec(FLOAT, (-1, 1))}, score=both
    )
    loaded = load(OIP, model, inputs=("z", "y", "x"), result_output="outputs[0]")
    assert (loaded.fields, loaded.score(ROWS).result.tolist()) == (("z", "y", "x"), [123.5, 456.0])


def both(tensors: Any) -> dict[str, Any]:
    numbers = 100 * tensors["b"][:, :1] + 10 * tensors["b"][:, 1:] + tensors["a"]
    return {"outputs": np.hstack([numbers, numbers])}


def test_a_server_that_states_nothing_gets_one_tensor_of_doubles(load: Any, server: FakeModelServer) -> None:
    model = load(OIP, replace(SUMS, hidden=True), result_output="outputs[0]")
    assert model.score(ROWS).result.tolist() == [6.5, 15.0]
    (tensor,) = last_request(server)[1]["inputs"]
    assert (tensor["datatype"], tensor["shape"]) == ("FP64", [2, 3])
    assert model.description.notes[0].startswith("The server states no inputs of the model")


def answer(*outputs: dict[str, Any]) -> bytes:
    return json.dumps({"model_name": "sums", "outputs": list(outputs)}).encode()


GOOD = {"name": "outputs", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]}


@pytest.mark.parametrize(
    ("data", "result"),
    [([1, 2, 4, 3], [1.0, 0.0]), ([[1, 2], [4, 3]], [1.0, 0.0]), ([1.0, 2.0, 4.0, None], [1.0, None])],
)
def test_values_may_be_flat_or_nested_and_null_is_no_number(
    load: Any, server: FakeModelServer, data: Any, result: list[float | None]
) -> None:
    model = load(OIP)
    server.behave(Behaviour(path="/infer", status=200, body=answer(GOOD | {"data": data})))
    found = model.score(ROWS).result.tolist()
    assert [None if np.isnan(value) else value for value in found] == result


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (answer(), "does not give the output outputs"),
        (answer(GOOD | {"data": [1, 2, 3]}), r"with 3 values for the shape \(2, 2\)"),
        (answer(GOOD | {"shape": [-2, -2]}), r"for the shape \(-2, -2\)"),
        (answer(GOOD | {"shape": "wide"}), "in no known form"),
        (answer(GOOD | {"shape": [4, 1]}), r"a tensor of shape \(4, 1\) for 2 records"),
        (answer(GOOD | {"shape": [2, 1], "data": [1, 2]}), "a different number of columns than when it was"),
        (answer(GOOD | {"datatype": "FP128"}), "FP128"),
        (
            answer(GOOD | {"datatype": "BYTES", "data": ["1", "2", "3", "4"]}),
            "gives the output outputs as BYTES",
        ),
        (answer(GOOD | {"data": ["1", "2", "3", "4"]}), "something in it that is not float32"),
        (answer(GOOD | {"data": [[1, 2], [3]]}), "lists that are not equally long"),
        (answer(GOOD | {"datatype": "INT8", "data": [1.5, 2, 3, 4]}), "something in it that is not int8"),
        (answer({key: value for key, value in GOOD.items() if key != "data"}), "in no known form"),
        (b'{"outputs": {"a": 1}}', "has no outputs"),
    ],
)
def test_an_answer_that_does_not_fit_fails_its_records(
    load: Any, server: FakeModelServer, body: bytes, why: str
) -> None:
    model = load(OIP)
    server.behave(Behaviour(path="/infer", status=200, body=body))
    with pytest.raises(ScoringFailed, match=why):
        model.score(ROWS)


def test_what_cannot_be_admitted_is_said(load: Any, server: FakeModelServer) -> None:
    with pytest.raises(ModelRejected, match="signature_name is 'x', but the Open Inference Protocol has no"):
        load(OIP, signature_name="x")
    with pytest.raises(ModelRejected, match=r"answers 404 to its status .*'Model nope not found'"):
        load(OIP, location=server.openinference("nope"))
    with pytest.raises(ModelRejected, match=r"answers 400 to its status .*not ready yet"):
        load(OIP, replace(SUMS, state="LOADING"))
    server.behave(Behaviour(path="/ready", status=200, body=b'{"ready": false}'))
    with pytest.raises(Unavailable, match="it says that it is not ready"):
        load(OIP)
    server.behave(Behaviour(path="/models/sums", status=200, body=b'{"inputs": [{"name": "x"}]}'))
    with pytest.raises(ModelRejected, match="metadata are not those of the Open Inference Protocol"):
        load(OIP)
    server.behave(Behaviour(path="/infer", status=500, body=b'{"error": "no such column"}'))
    for model in (
        replace(SUMS, hidden=True),
        replace(SUMS, outputs={"outputs": TensorSpec(FLOAT, (-1, -1))}),
    ):
        with pytest.raises(ModelRejected, match=r"trying the model with zeros: .*500: no such column"):
            load(OIP, model)
