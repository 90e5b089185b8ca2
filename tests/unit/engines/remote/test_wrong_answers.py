"""A model server that answers wrongly: records fail, no answer is read for ever, no other host is asked."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected, ScoringFailed, Unavailable
from model_serving.core.messages import ModelType
from model_serving.engines.limits import RemoteAccess
from model_serving.engines.remote import access
from model_serving.testing.model_server import Behaviour, FakeModelServer
from tests.unit.engines.remote.served import BOTH

ROWS = np.array([[1.0, 2.0, 3.5], [4.0, 5.0, 6.0]])
SHORT = RemoteAccess(timeout_ms=1000)


def predictions(*values: object) -> bytes:
    return json.dumps({"predictions": values}).encode()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "is not JSON"),
        (b"<html>", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 1_000_000, "is not JSON .*RecursionError"),
        (b'{"predictions": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b"[1, 2]", "is not a JSON object"),
        (b'{"outputs": [[1, 2], [3, 4]]}', "no predictions for 2 records"),
        (predictions([1, 2]), "1 predictions for 2 records"),
        (predictions([1, 2], [3, 4], [5, 6]), "3 predictions for 2 records"),
        (predictions([1, 2], [3]), "lists that are not equally long"),
        (predictions([1, 2], [3, "4"]), "something in it that is not float32"),
        (predictions([1, 2], [3, [4]]), "lists that are not equally long"),
        (predictions([1, 2], [3, True]), "columns|float32|"),
        (predictions({"outputs": [1, 2]}, {"other": [3, 4]}), "predictions without the output 'outputs'"),
        (predictions({"outputs": [1, 2]}, 5), "predictions without the output 'outputs'"),
        (predictions([1, 2, 3], [4, 5, 6]), "a different number of columns"),
        (predictions([[1, 2], [3, 4]], [[1, 2], [3, 4]]), r"a tensor of shape \(2, 2, 2\) for 2 records"),
        (predictions(1, 2), "a different number of columns"),
        (predictions({"b64": "AA=="}, {"b64": "AA=="}), "something in it that is not float32"),
        (predictions(json.loads("[" * 70 + "1" + "]" * 70), 2), "not equally long"),
        (b'{"predictions": [[1, 2], [3, 1' + b"0" * 400 + b"]]}", "something in it that is not float32"),
    ],
)
def test_an_answer_that_is_none_fails_its_records(
    load: Any, server: FakeModelServer, body: bytes, why: str
) -> None:
    model = load()
    server.behave(Behaviour(path=":predict", status=200, body=body, headers={"X-Type": "text/html"}))
    if body == predictions([1, 2], [3, True]):
        # For JSON's readers, true among numbers is 1.
        assert model.score(ROWS).result.tolist() == [1.0, 0.0]
        return
    with pytest.raises(ScoringFailed, match=why):
        model.score(ROWS)
    server.behave()
    assert model.score(ROWS).result.tolist() == [1.0, 1.0], "the connection is good for the next request"


@BOTH
@pytest.mark.parametrize("status", [400, 405, 413, 422, 500, 501])
def test_an_error_is_said_in_the_server_s_words_and_not_repeated(
    load: Any, server: FakeModelServer, kind: ModelType, status: int
) -> None:
    model = load(kind)
    server.asked.clear()
    server.behave(Behaviour(status=status, body=b'{"error": "the input\\nis wrong"}'))
    with pytest.raises(ScoringFailed, match=f"^the model server answers {status}: the input is wrong$"):
        model.score(ROWS)
    server.behave(Behaviour(status=status, body=b"<html>"))
    with pytest.raises(ScoringFailed, match=f"^the model server answers {status}$"):
        model.score(ROWS)
    assert len(server.asked) == 2


@BOTH
@pytest.mark.parametrize("status", [301, 302, 307, 308, 401, 403, 404])
def test_a_model_that_is_moved_locked_or_gone_is_not_at_fault(
    load: Any, server: FakeModelServer, kind: ModelType, status: int
) -> None:
    with FakeModelServer() as other:
        model = load(kind)
        server.behave(Behaviour(status=status, headers={"Location": f"{other.url}/v1/models/sums:predict"}))
        with pytest.raises(Unavailable, match=f"is out of reach: it answers {status}") as away:
            model.score(ROWS)
        assert away.value.retry_ms is not None
        assert other.asked == [], "no other host is asked"


def test_a_long_answer_is_not_read_to_its_end(
    load: Any, server: FakeModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "_MOST_BYTES", 1000)
    model = load()
    server.behave(Behaviour(path=":predict", status=200, body=b" " * 1001))
    with pytest.raises(ScoringFailed, match="answer is not read: its answer has 1001 bytes, more than 1000"):
        model.score(ROWS)
    chunked = {"Transfer-Encoding": "chunked"}
    body = b"500\r\n" + b" " * 0x500 + b"\r\n0\r\n\r\n"
    server.behave(Behaviour(path=":predict", status=200, body=body, headers=chunked))
    with pytest.raises(ScoringFailed, match="its answer has more than 1000 bytes"):
        model.score(ROWS)
    server.behave()
    assert model.score(ROWS).result.tolist() == [1.0, 1.0]
    monkeypatch.setattr(access, "_MOST_METADATA_BYTES", 10)
    with pytest.raises(ModelRejected, match="cannot be used: its answer has"):
        load()


def test_a_compressed_answer_is_not_unpacked(load: Any, server: FakeModelServer) -> None:
    model = load()
    server.behave(
        Behaviour(path=":predict", status=200, body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    )
    with pytest.raises(ScoringFailed, match="is not JSON"):
        model.score(ROWS)
    assert server.asked[-1].headers["Accept-Encoding"] == "identity"


@BOTH
@pytest.mark.parametrize("how", [{"cut_after": 5}, {"cut_after": 0}])
def test_an_answer_that_ends_in_the_middle_is_asked_for_again(
    load: Any, server: FakeModelServer, kind: ModelType, how: dict[str, Any]
) -> None:
    model = load(kind)
    server.behave(Behaviour(times=2, **how))
    assert model.score(ROWS).result.tolist() == [1.0, 1.0]


def test_an_answer_that_trickles_is_cut_off_at_its_deadline(load: Any, server: FakeModelServer) -> None:
    model = load(access=SHORT)
    server.behave(Behaviour(path=":predict", drip_s=0.05))
    with pytest.raises(Unavailable, match="it does not answer in time"):
        model.score(ROWS)


def test_what_does_not_speak_http_is_out_of_reach(load: Any, server: FakeModelServer) -> None:
    model = load(access=SHORT)
    server.behave(
        Behaviour(path=":predict", status=200, headers={"Transfer-Encoding": "chunked"}, body=b"x\r\n")
    )
    # It is asked until the deadline, which may cut off the last time that it is.
    reasons = "closes the connection|does not speak HTTP|does not answer in time"
    with pytest.raises(Unavailable, match=rf"out of reach: it ({reasons})"):
        model.score(ROWS)


def test_proxies_of_the_environment_are_not_used(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert load().score(ROWS).result.tolist() == [1.0, 1.0]
