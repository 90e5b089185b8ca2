"""A model server that is slow, hangs, goes away and comes back: what is repeated, what is an outage."""

from __future__ import annotations

import ssl
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trustme

from model_serving.core.errors import ModelRejected, Unavailable
from model_serving.core.messages import ModelType
from model_serving.engines import engine_for
from model_serving.engines.limits import Limits, RemoteAccess
from model_serving.engines.remote import hosts
from model_serving.engines.remote.engine import MOST_RECORDS
from model_serving.testing.model_server import Behaviour, FakeModelServer
from tests.patience import patience
from tests.unit.engines.remote.served import BOTH, SCHEMA, SUMS, message_of, sums

ROWS = np.array([[1.0, 2.0, 3.5], [4.0, 5.0, 6.0]])
SHORT = RemoteAccess(timeout_ms=1000)


def comes_back(model: Any) -> list[float]:
    """The results, once the model can be asked again; looks as a host does."""
    end = time.monotonic() + patience(20)
    while time.monotonic() < end:
        try:
            model.reach()
            found: list[float] = model.score(ROWS).result.tolist()
        except Unavailable as error:
            threading.Event().wait(min(error.retry_ms or 0, 50) / 1000)
        else:
            return found
    raise AssertionError("the model did not come back")


@BOTH
@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_pass_is_asked_again(
    load: Any, server: FakeModelServer, kind: ModelType, status: int
) -> None:
    model = load(kind)
    server.asked.clear()
    server.behave(Behaviour(status=status, body=b'{"error": "busy"}', times=2))
    assert model.score(ROWS).result.tolist() == [1.0, 1.0]
    assert len(server.asked) == 3


@BOTH
def test_a_server_that_stays_busy_is_an_outage_of_this_model_only(
    load: Any, server: FakeModelServer, kind: ModelType
) -> None:
    model, other = load(kind, access=SHORT), load(kind, replace(SUMS, name="other"), access=SHORT)
    server.behave(Behaviour(path="/sums", status=503, headers={"Retry-After": "0"}))
    with pytest.raises(
        Unavailable, match=r"the model server of http://.*/sums is out of reach: it answers 503"
    ):
        model.score(ROWS)
    server.asked.clear()
    with pytest.raises(Unavailable, match="it answers 503") as away:
        model.score(ROWS)
    assert away.value.retry_ms is not None
    assert [asked for asked in server.asked if asked.method == "POST"] == [], (
        "nothing is sent while it is open"
    )
    assert comes_back(other) == [1.0, 1.0]
    server.behave()
    assert comes_back(model) == [1.0, 1.0]


@BOTH
def test_the_last_attempt_has_no_time_to_tell_more_than_the_server_has_said(
    load: Any, server: FakeModelServer, kind: ModelType
) -> None:
    model = load(kind, access=SHORT)
    ended = threading.Event()

    def score(tensors: Any) -> dict[str, Any]:
        assert ended.wait(patience(20))
        return sums(tensors)

    server.models["sums"] = replace(SUMS, score=score)
    server.behave(Behaviour(status=503, times=1))
    server.asked.clear()
    with pytest.raises(Unavailable, match="it answers 503"):
        model.score(ROWS)
    ended.set()
    assert len(server.asked) == 2
    assert comes_back(model) == [1.0, 1.0]


def test_a_server_may_ask_for_more_patience_than_there_is(load: Any, server: FakeModelServer) -> None:
    model = load(access=SHORT)
    server.asked.clear()
    server.behave(Behaviour(status=503, headers={"Retry-After": "60"}))
    with pytest.raises(Unavailable, match="it answers 503"):
        model.score(ROWS)
    assert len(server.asked) == 1


@BOTH
def test_a_server_that_goes_away_is_an_outage_until_it_is_back(
    load: Any, server: FakeModelServer, kind: ModelType
) -> None:
    model, other = load(kind, access=SHORT), load(kind, replace(SUMS, name="other"), access=SHORT)
    server.stop()
    with pytest.raises(Unavailable, match="is out of reach: it "):
        model.score(ROWS)
    start = time.monotonic()
    for _ in range(100):
        with pytest.raises(Unavailable):
            other.score(ROWS)
        with pytest.raises(Unavailable):
            model.reach()
    assert time.monotonic() - start < 100 * 1.0, "only the first one waited for its time-out"
    server.start()
    assert comes_back(model) == [1.0, 1.0]
    assert comes_back(other) == [1.0, 1.0]


def test_a_server_that_hangs_is_an_outage_until_it_answers(load: Any, server: FakeModelServer) -> None:
    model = load(access=SHORT)
    server.behave(Behaviour(path=":predict", hang=True))
    with pytest.raises(Unavailable, match="it does not answer in time"):
        model.score(np.ones((5 * MOST_RECORDS, 3)))
    server.behave()
    assert comes_back(model) == [1.0, 1.0]


def test_a_slow_server_is_waited_for(load: Any, server: FakeModelServer) -> None:
    model = load()
    server.behave(Behaviour(path=":predict", delay_s=0.2))
    assert model.score(ROWS).result.tolist() == [1.0, 1.0]


def test_requests_of_a_batch_are_under_way_at_the_same_time(load: Any, server: FakeModelServer) -> None:
    model = load(result_output="outputs[0]")
    at_once = threading.Barrier(4)

    def score(tensors: Any) -> dict[str, Any]:
        at_once.wait(patience(20))
        total = tensors["inputs"].sum(axis=1)
        return {"outputs": np.stack([total, total], axis=1)}

    server.models["sums"] = replace(SUMS, score=score)
    columns = np.arange(4 * MOST_RECORDS * 3.0).reshape(-1, 3)
    assert model.score(columns).result.tolist() == columns.sum(axis=1).tolist()


def test_an_idle_connection_that_the_server_has_closed_costs_nothing(
    load: Any, server: FakeModelServer
) -> None:
    model = load(access=RemoteAccess(timeout_ms=60_000))
    for _ in range(3):
        server.stop()
        server.start()
        assert comes_back(model) == [1.0, 1.0]


@BOTH
def test_admission_waits_for_nobody_for_ever(load: Any, server: FakeModelServer, kind: ModelType) -> None:
    server.stop()
    with pytest.raises(
        Unavailable, match=r"the model server of .* is out of reach \(it .*\): start it, or correct"
    ):
        load(kind, access=SHORT)
    server.start()
    assert load(kind).score(ROWS).result.tolist() == [1.0, 1.0]


@BOTH
def test_a_restart_in_an_outage_has_its_models_from_their_findings(
    load: Any, server: FakeModelServer, kind: ModelType
) -> None:
    model = load(kind, access=SHORT)
    server.stop()
    again = load(kind, access=SHORT, findings=model.findings)
    assert (again.fields, again.description, again.findings) == (
        model.fields,
        model.description,
        model.findings,
    )
    with pytest.raises(Unavailable):
        again.score(ROWS)
    server.start()
    assert comes_back(again) == [1.0, 1.0]
    server.asked.clear()
    load(kind, findings=model.findings)
    assert server.asked == []
    load(kind, findings='{"format": 0}')
    assert server.asked != [], "findings of another version do not count"


def test_all_models_of_a_server_share_its_connections_until_the_last_is_closed(
    server: FakeModelServer,
) -> None:
    engine = engine_for(ModelType.TFSERVING, Limits(remote=SHORT))
    before = dict(hosts._hosts)
    models = [engine.load(message_of(server, ModelType.TFSERVING, "sums"), SCHEMA) for _ in range(3)]
    (mine,) = set(hosts._hosts) - set(before)
    assert hosts._hosts[mine].users == 3
    for model in models:
        model.close()
    assert hosts._hosts == before


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def secured(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_tls_needs_a_certificate_that_is_trusted(authority: trustme.CA, tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    with FakeModelServer(SUMS, tls=secured(authority)) as server:
        message = message_of(server, ModelType.TFSERVING, "sums")
        trusting = RemoteAccess(2_000, ca_file=str(ca_file))
        model = engine_for(ModelType.TFSERVING, Limits(remote=trusting)).load(message, SCHEMA)
        assert model.score(ROWS).result.tolist() == [1.0, 1.0]
        model.close()
        with pytest.raises(Unavailable, match="its certificate is not trusted"):
            engine_for(ModelType.TFSERVING, Limits(remote=SHORT)).load(message, SCHEMA)
        unusable = RemoteAccess(2_000, ca_file=str(tmp_path / "none.pem"))
        with pytest.raises(ModelRejected, match=r"none\.pem' of --remote-ca-file cannot be used"):
            engine_for(ModelType.TFSERVING, Limits(remote=unusable)).load(message, SCHEMA)


def test_headers_go_to_their_place_only_and_may_change(
    load: Any, server: FakeModelServer, tmp_path: Path
) -> None:
    file = tmp_path / "headers"
    file.write_text(f"{server.url}/v1/ Authorization: Bearer one\nhttp://127.0.0.1:1/ X-Other: secret\n")
    model = load(access=RemoteAccess(2_000, headers_file=str(file)))
    assert {asked.headers.get("Authorization") for asked in server.asked} == {"Bearer one"}
    assert all("X-Other" not in asked.headers for asked in server.asked)
    file.write_text(f"{server.url} Authorization: Bearer two\n")
    model.score(ROWS)
    assert server.asked[-1].headers["Authorization"] == "Bearer two"
    file.unlink()
    with pytest.raises(Unavailable, match=r"--remote-headers-file: .*cannot be read") as away:
        model.score(ROWS)
    assert away.value.retry_ms == 2000, "the file is not the model's"
    with pytest.raises(ModelRejected, match=r"--remote-headers-file: .*cannot be read"):
        load(access=RemoteAccess(2_000, headers_file=str(file)))
