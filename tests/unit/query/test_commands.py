"""Commands over HTTP: who may give them, and what is published."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import pytest

from model_serving.core.messages import Command
from model_serving.query import command_routes
from model_serving.query.errors import HttpError
from model_serving.query.tokens import read_tokens
from tests.unit.query.stand_in import BEARER, TOKEN, KnownHere, Served

COMMANDS = [
    ("POST", "/api/v1/data-types/wine/models"),
    ("POST", "/api/v1/data-types/wine/rollback"),
    ("DELETE", "/api/v1/data-types/wine"),
]


@pytest.mark.parametrize(("method", "path"), COMMANDS)
def test_without_a_token_file_commands_are_403_and_say_what_to_do(method: str, path: str) -> None:
    served = Served(KnownHere("wine"), tokens=())
    answer = served.client.request(method, path, headers=BEARER, content=b"x")
    assert answer.status_code == 403
    assert "--token-file" in answer.json()["detail"]
    assert not served.publisher.commands
    assert not served.publisher.deployed


@pytest.mark.parametrize(("method", "path"), COMMANDS)
@pytest.mark.parametrize(
    "given",
    [{}, {"Authorization": ""}, {"Authorization": TOKEN}, {"Authorization": f"Basic {TOKEN}"}]
    + [{"Authorization": f"Bearer {wrong}"} for wrong in ("", TOKEN[:-1], f"{TOKEN}x", TOKEN.upper())]
    + [{"Cookie": f"token={TOKEN}"}],
    ids=range(9),
)
def test_a_command_needs_a_valid_token(method: str, path: str, given: dict[str, str]) -> None:
    served = Served(KnownHere("wine"))
    answer = served.client.request(method, path, headers=given, content=b"x")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in answer.text
    assert not served.publisher.commands
    assert not served.publisher.deployed


def test_two_headers_are_not_a_token() -> None:
    served = Served(KnownHere("wine"))
    headers = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer other")]
    assert served.client.post("/api/v1/data-types/wine/rollback", headers=headers).status_code == 401


def test_a_token_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    served = Served(KnownHere("wine"))
    served.client.post("/api/v1/data-types/wine/rollback", headers=BEARER)
    assert TOKEN not in caplog.text
    assert TOKEN not in repr(served.parts)


def test_commands_are_published() -> None:
    served = Served(KnownHere("wine"))
    answer = served.client.post("/api/v1/data-types/a%2Fb/rollback", headers=BEARER)
    assert (answer.status_code, answer.json()) == (
        202,
        {"published": {"command": "ROLLBACK", "dataType": "a/b"}},
    )
    assert served.client.delete("/api/v1/data-types/wine", headers=BEARER).status_code == 202
    assert served.publisher.commands == [(Command.ROLLBACK, "a/b"), (Command.REMOVE, "wine")]


def test_a_blank_data_type_is_refused() -> None:
    served = Served(KnownHere("wine"))
    assert served.client.delete("/api/v1/data-types/%20", headers=BEARER).status_code == 404
    assert not served.publisher.commands


def test_a_body_is_a_model() -> None:
    served = Served(KnownHere())
    answer = served.client.post(
        "/api/v1/data-types/wine/models?name=n&version=7&inputs=a,b", headers=BEARER, content=b"abc"
    )
    assert answer.status_code == 202
    [(model, content)] = served.publisher.deployed
    assert (model.data_type, model.name, model.version, model.inputs, content) == (
        "wine",
        "n",
        "7",
        "a,b",
        b"abc",
    )
    assert not model.file.exists()


def test_the_file_of_a_form_is_a_model() -> None:
    served = Served(KnownHere())
    content = bytes(range(256)) * 3 + b"\r\n--"
    answer = served.client.post(
        "/api/v1/data-types/wine/models?version=8",
        headers=BEARER,
        files={"model": ("C:\\models\\forest v2.tar.gz", content)},
        data={"description": "größer", "version": "7", "unknown": "x"},
    )
    assert answer.status_code == 202
    [(model, received)] = served.publisher.deployed
    assert received == content
    # The query counts before the form.
    assert (model.name, model.version, model.description) == ("forest v2", "8", "größer")


@pytest.mark.parametrize("form", [False, True])
def test_an_upload_has_a_limit(form: bool) -> None:
    served = Served(KnownHere(), upload_limit=1_000)
    path = "/api/v1/data-types/wine/models"

    def send(size: int) -> int:
        if form:
            return served.client.post(path, headers=BEARER, files={"model": ("m", b"x" * size)}).status_code
        return served.client.post(path, headers=BEARER, content=b"x" * size).status_code

    assert (send(1_000), send(1_001), send(2_000_000)) == (202, 413, 413)
    assert len(served.publisher.deployed) == 1


def test_a_body_without_a_length_has_the_same_limit() -> None:
    served = Served(KnownHere(), upload_limit=1_000)
    sent: list[int] = []

    def chunks() -> object:
        for number in range(1_000):
            sent.append(number)
            yield b"x" * 500

    answer = served.client.post("/api/v1/data-types/wine/models", headers=BEARER, content=chunks())
    assert answer.status_code == 413
    assert "--by-location" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/octet-stream", b""),
        ("multipart/form-data", b"abc"),
        ("multipart/form-data; boundary=b", b"abc"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; name=model\r\n\r\nabc"),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data; name=x\r\n\r\nabc\r\n--b--\r\n",
        ),
        ("multipart/form-data; boundary=b", b"--b\r\nX: " + b"y" * 100_000),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data; name=x\r\n\r\n" + b"y" * 20_000,
        ),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(kind: str, body: bytes) -> None:
    served = Served(KnownHere(), upload_limit=1 << 20)
    answer = served.client.post(
        "/api/v1/data-types/wine/models", headers={**BEARER, "Content-Type": kind}, content=body
    )
    assert answer.status_code == 400
    assert "\n" not in answer.json()["detail"]
    assert not served.publisher.deployed


def test_without_room_for_the_upload_it_is_503(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    answer = Served(KnownHere()).client.post("/api/v1/data-types/wine/models", headers=BEARER, content=b"abc")
    assert answer.status_code == 503
    assert "TMPDIR" in answer.json()["detail"]


def test_a_refusal_of_the_publisher_is_the_answer() -> None:
    served = Served(KnownHere())
    served.publisher.refusal = HttpError(503, "no Kafka answers", {"Retry-After": "5"})
    answer = served.client.post("/api/v1/data-types/wine/models", headers=BEARER, content=b"abc")
    assert (answer.status_code, answer.json()["detail"]) == (503, "no Kafka answers")
    assert answer.headers["retry-after"] == "5"


def test_too_many_commands_at_a_time_are_429(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_routes, "_AT_ONCE", 0)
    answer = Served(KnownHere()).client.delete("/api/v1/data-types/wine", headers=BEARER)
    assert answer.status_code == 429


def test_tokens_are_the_lines_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"# two\n\n{TOKEN}\n  {'b' * 16}  \n")
    assert read_tokens(str(file)) == (TOKEN.encode(), b"b" * 16)


@pytest.mark.parametrize("text", ["", "# none\n", "short\n", "with a space in it\n", "ünïcödé-0123456789\n"])
def test_a_file_without_good_tokens_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tokens"
    file.write_text(text)
    with pytest.raises(ValueError, match="openssl rand -hex 32") as refused:
        read_tokens(str(file))
    assert "short" not in str(refused.value)
