"""Models that TensorFlow Serving scores: what is sent, and what becomes of the answers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected, ScoringFailed, Unavailable
from model_serving.core.messages import OutputRule
from model_serving.engines.remote.engine import MOST_RECORDS
from model_serving.testing.model_server import Behaviour, FakeModelServer, ServedModel
from model_serving.testing.served_model import TensorSpec
from tests.unit.engines.remote.served import DOUBLE, FLOAT, LONG, SUMS, TRUTH

ROWS = np.array([[1.0, 2.0, 3.5], [4.0, 5.0, 6.0]])
COLUMN = TensorSpec(FLOAT, (-1, 1))


def last_request(server: FakeModelServer) -> Any:
    asked = next(asked for asked in reversed(server.asked) if asked.method == "POST")
    assert asked.headers["Content-Type"] == "application/json"
    return asked.path, json.loads(asked.body)


def test_the_request_is_the_one_of_the_contract(load: Any, server: FakeModelServer) -> None:
    model = load()
    scores = model.score(ROWS)
    assert last_request(server) == (
        "/v1/models/sums:predict",
        {
            "signature_name": "serving_default",
            "instances": [{"inputs": [1.0, 2.0, 3.5]}, {"inputs": [4.0, 5.0, 6.0]}],
        },
    )
    assert scores.result.tolist() == [1.0, 1.0]
    assert {name: values.tolist() for name, values in scores.outputs.items()} == {
        "outputs[0]": [6.5, 15.0],
        "outputs[1]": [13.0, 30.0],
    }
    assert (model.fields, model.description.evaluator) == (("x", "y", "z"), server.tfserving("sums"))
    assert model.description.kind == "model served by TensorFlow Serving (signature serving_default)"


@pytest.mark.parametrize(
    ("signatures", "wanted", "sent"),
    [
        (("predict", "serving_default"), "", "predict"),
        (("other", "serving_default"), "", "serving_default"),
        (("other", "predict"), "other", "other"),
        (("own",), "", "own"),
    ],
)
def test_the_signature_is_the_one_that_is_named_or_the_usual_one(
    load: Any, server: FakeModelServer, signatures: tuple[str, ...], wanted: str, sent: str
) -> None:
    load(model=replace(SUMS, signatures=signatures), signature_name=wanted)
    assert last_request(server)[1]["signature_name"] == sent


@pytest.mark.parametrize(
    ("signatures", "wanted", "why"),
    [
        (("a", "b"), "", "neither the signature 'predict' nor 'serving_default': .* one of a, b$"),
        (("a", "b"), "c", "has no signature 'c': set signature_name to one of a, b$"),
        ((), "", "has no signature: export it with one"),
    ],
)
def test_a_signature_that_is_not_there_rejects_the_model(
    load: Any, signatures: tuple[str, ...], wanted: str, why: str
) -> None:
    with pytest.raises(ModelRejected, match=why):
        load(model=replace(SUMS, signatures=signatures), signature_name=wanted)


def test_inputs_with_the_names_of_fields_take_them(load: Any, server: FakeModelServer) -> None:
    model = ServedModel(
        "named",
        {"z": COLUMN, "colour": TensorSpec(None, (-1,)), "x": TensorSpec(LONG, (-1,))},
        {"y": COLUMN},
        lambda tensors: {
            "y": tensors["x"].reshape(-1, 1)
            + tensors["z"]
            + np.char.str_len(tensors["colour"].astype(str)).reshape(-1, 1)
        },
    )
    loaded = load(model=model)
    rows = np.array([[2.0, 1.5, "red"], [3.0, 0.25, "blüe"]], dtype=object)[
        :, [["x", "z", "colour"].index(field) for field in loaded.fields]
    ]
    assert loaded.score(rows).result.tolist() == [6.5, 7.25]
    assert last_request(server)[1]["instances"] == [
        {"colour": "red", "x": 2, "z": [1.5]},
        {"colour": "blüe", "x": 3, "z": [0.25]},
    ]
    rows[0, loaded.fields.index("x")] = 1.5
    with pytest.raises(ScoringFailed, match="takes whole numbers, but a record has another number"):
        loaded.score(rows)


def test_inputs_without_an_order_are_not_guessed(load: Any) -> None:
    model = replace(SUMS, inputs={"a": COLUMN, "b": COLUMN, "c": COLUMN})
    with pytest.raises(
        ModelRejected, match=r"the model has several inputs and no order of them|needs the field"
    ):
        load(model=model)
    with pytest.raises(ModelRejected, match="takes 4 fields, Point has 3"):
        load(model=replace(SUMS, inputs={"inputs": TensorSpec(FLOAT, (-1, 4))}))


def test_fields_are_taken_as_the_message_names_them(load: Any, server: FakeModelServer) -> None:
    model = replace(SUMS, inputs={"inputs": TensorSpec(FLOAT, (-1, 2))})
    assert load(model=model, inputs=("z", "x")).fields == ("z", "x")


def labels(tensors: Any) -> dict[str, Any]:
    sure = tensors["inputs"][:, 0] > 1
    return {
        "label": np.where(sure, "7", "3").astype(object),
        "proba": np.stack([1.0 - sure, sure * 1.0], axis=1),
        "raw_bytes": np.array([b"\xff\x00"] * len(sure), dtype=object),
    }


CLASSIFIER = ServedModel(
    "classifier",
    {"inputs": TensorSpec(DOUBLE, (-1, 3))},
    {
        "label": TensorSpec(None, (-1,)),
        "proba": TensorSpec(FLOAT, (-1, 2)),
        "raw_bytes": TensorSpec(None, (-1,)),
    },
    labels,
)


def test_several_outputs_come_by_name_and_one_is_the_label(load: Any) -> None:
    model = load(model=CLASSIFIER)
    scores = model.score(ROWS)
    assert (scores.labels, scores.result.tolist()) == (["3", "7"], [0.0, 1.0])
    assert "does not state the classes of label" in model.description.notes[0], "as for an embedded model"
    assert {name: values.tolist() for name, values in scores.outputs.items()} == {
        "proba[0]": [1.0, 0.0],
        "proba[1]": [0.0, 1.0],
    }


def test_the_message_says_which_output_gives_the_result(load: Any) -> None:
    assert load(model=CLASSIFIER, result_output="proba").score(ROWS).result.tolist() == [0.0, 1.0]
    assert load(model=CLASSIFIER, result_output="proba[1]").score(ROWS).result.tolist() == [0.0, 1.0]
    with pytest.raises(ModelRejected, match="'nothing', which is not an output of the model"):
        load(model=CLASSIFIER, result_output="nothing")
    with pytest.raises(ModelRejected, match="output VALUE needs one output column"):
        load(output=OutputRule.VALUE)


def test_true_and_false_are_a_label(load: Any) -> None:
    truth = replace(
        SUMS,
        outputs={"is_high": TensorSpec(TRUTH, (-1,))},
        score=lambda tensors: {"is_high": tensors["inputs"][:, 0] > 1},
    )
    scores = load(model=truth, output=OutputRule.ARGMAX, result_output="is_high").score(ROWS)
    assert (scores.labels, scores.result.tolist()) == (["False", "True"], [0.0, 1.0])


def test_a_result_that_is_not_a_number_is_no_result(load: Any) -> None:
    known = {-1.0: np.nan, 1.0: np.inf, 2.0: -np.inf}
    strange = replace(
        SUMS,
        outputs={"y": COLUMN},
        score=lambda tensors: {"y": np.array([[known.get(x, x)] for x in tensors["inputs"][:, 0].tolist()])},
    )
    result = load(model=strange).score(np.array([[-1.0, 0, 0], [1.0, 0, 0], [2.0, 0, 0]])).result.tolist()
    assert np.isnan(result[0])
    assert result[1:] == [np.inf, -np.inf]


def test_numbers_are_rounded_as_in_the_model(load: Any, server: FakeModelServer) -> None:
    model = replace(SUMS, outputs={"y": COLUMN}, score=lambda tensors: {"y": tensors["inputs"][:, :1]})
    assert load(model=model).score(np.array([[0.1, 0, 0]])).result[0] == np.float32(0.1)
    assert last_request(server)[1]["instances"] == [{"inputs": [0.1, 0.0, 0.0]}], (
        "short, and not rounded here"
    )


@pytest.mark.parametrize("n", [1, MOST_RECORDS, MOST_RECORDS + 1, 5 * MOST_RECORDS + 7])
def test_a_batch_is_one_request_or_several_and_keeps_its_order(
    load: Any, server: FakeModelServer, n: int
) -> None:
    model = load(result_output="outputs[0]")
    server.asked.clear()
    assert model.score(np.arange(n * 3.0).reshape(n, 3)).result.tolist() == [9 * row + 3 for row in range(n)]
    sizes = sorted(len(json.loads(asked.body)["instances"]) for asked in server.asked)
    assert sizes == sorted([MOST_RECORDS] * (n // MOST_RECORDS) + [n % MOST_RECORDS] * bool(n % MOST_RECORDS))


def test_a_model_of_one_record_gets_them_one_by_one(load: Any, server: FakeModelServer) -> None:
    model = load(
        model=replace(SUMS, inputs={"inputs": TensorSpec(FLOAT, (1, 3))}), result_output="outputs[0]"
    )
    server.asked.clear()
    assert model.score(ROWS).result.tolist() == [6.5, 15.0]
    assert len(server.asked) == 2


def test_a_score_that_depends_on_the_batch_is_asked_for_alone(load: Any) -> None:
    centred = replace(
        SUMS, score=lambda tensors: {"outputs": tensors["inputs"][:, :2] - tensors["inputs"].mean()}
    )
    (note,) = load(model=centred).description.notes
    assert note.startswith("Records are scored one at a time, because a record's score depends on the others")


@pytest.mark.parametrize(
    ("state", "error", "why"),
    [
        ("LOADING", Unavailable, r"does not serve .*/v1/models/sums now \(its state is LOADING\): wait"),
        ("END", Unavailable, "its state is END"),
    ],
)
def test_a_model_that_is_not_available_is_not_admitted(
    load: Any, state: str, error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        load(model=replace(SUMS, state=state))


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (401, "answers 401 to its status .*--remote-headers-file"),
        (403, "answers 403 to its status .*--remote-headers-file"),
        (404, "answers 404 to its status .*it has no such model there"),
        (500, "answers 500 to its status"),
        (302, "answers 302 to its status .*names another place, which is not followed"),
    ],
)
def test_a_server_that_refuses_rejects_the_message(
    load: Any, server: FakeModelServer, status: int, why: str
) -> None:
    server.behave(
        Behaviour(status=status, body=b'{"error": "no"}', headers={"Location": "http://127.0.0.1:1/"})
    )
    with pytest.raises(ModelRejected, match=f"{why}"):
        load()
    assert len(server.asked) == 1, "no redirect is followed, and nothing is repeated"


def test_an_unknown_model_is_said_in_the_server_s_words(load: Any, server: FakeModelServer) -> None:
    with pytest.raises(
        ModelRejected, match="'Could not find any versions of model nope': it has no such model"
    ):
        load(location=server.tfserving("nope"))
    with pytest.raises(ModelRejected, match="answers 404"):
        load(location=f"{server.tfserving('sums')}/versions/7")
    load(location=f"{server.tfserving('sums')}/versions/1")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"metadata": 5}',
        b'{"metadata": {"signature_def": {"signature_def": {"predict": 5}}}}',
        b'{"metadata": {"signature_def": {"signature_def": {"predict": {"inputs": {"x": {"dtype": []}}}}}}}',
        b'{"metadata": {"signature_def": {"signature_def": {"p": {"inputs": {"x": {"dtype": "DT_INT8"}}}}}}}',
        b"[" * 100_000,
        b"<html>log in</html>",
    ],
)
def test_metadata_that_are_not_metadata_reject_the_message(
    load: Any, server: FakeModelServer, body: bytes
) -> None:
    server.behave(Behaviour(path="/metadata", status=200, body=body))
    with pytest.raises(ModelRejected, match=r"metadata (are not those of|cannot be read)"):
        load()


def test_a_type_that_is_no_number_and_no_text_is_refused_or_left_out(
    load: Any, server: FakeModelServer
) -> None:
    good = json.loads(next(iter(_metadata(server))))
    signature = good["metadata"]["signature_def"]["signature_def"]["serving_default"]
    signature["outputs"]["handle"] = {"dtype": "DT_RESOURCE", "tensor_shape": {"dim": []}}
    server.behave(Behaviour(path="/metadata", status=200, body=json.dumps(good).encode()))
    (note,) = load().description.notes
    assert note == "Left out are the outputs that are neither numbers nor text: handle."
    signature["inputs"]["inputs"]["dtype"] = "DT_VARIANT"
    server.behave(Behaviour(path="/metadata", status=200, body=json.dumps(good).encode()))
    with pytest.raises(ModelRejected, match="input 'inputs' has the type DT_VARIANT, which is neither"):
        load()


def _metadata(server: FakeModelServer) -> list[bytes]:
    from model_serving.testing.model_server import Asked

    return [server.score(Asked("GET", "/v1/models/sums/metadata", {}, b""))[1]]
