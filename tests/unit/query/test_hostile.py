"""Whatever is sent to whatever route, no answer is 500, and every error is one line."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_serving.observe.board import Board
from model_serving.observe.values import Place
from model_serving.query.known import BoardKnown
from tests.unit.observe.sent import active, letter, rejected, statistics
from tests.unit.query.stand_in import BEARER, Served, answered
from tests.unit.query.test_scoring import scorer_of_glm

NAMES = ["wine", "a/b", "\u202e<script>", "x" * 5_000, "\x00\n"]


def known() -> BoardKnown:
    board = Board(lambda: 0)
    for offset, name in enumerate(NAMES):
        board.add_status(active(10, "v1", dataType=name), Place(0, 2 * offset))
        board.add_status(rejected(20, "v2", dataType=name), Place(0, 2 * offset + 1))
        board.add_statistics(statistics(30, [5.0, 7.0], data_type=name), Place(0, offset))
        board.add_dead_letter(letter(40, dataType=name), Place(0, offset))
    return BoardKnown(board)


@pytest.fixture(scope="module")
def served() -> Served:
    served = Served(known(), scorer=scorer_of_glm(), upload_limit=1_000)
    # Streams of events end at once.
    served.hub.close()
    return served


def described() -> list[tuple[str, str, dict[str, Any]]]:
    _, content = answered(Served(known()).app, "GET", "/openapi.json")
    paths = json.loads(content)["paths"]
    return [(method.upper(), path, one) for path, methods in paths.items() for method, one in methods.items()]


ROUTES = described()
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
VALUES = (
    TEXT
    | st.integers().map(str)
    | st.floats().map(str)
    | st.sampled_from(["", "0", "-1", "true", "null", "9" * 400, "name", "p99"])
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["alcohol", "pH", "fixed acidity", "density", "dataType", "ts", "other"]
RECORDS = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), JSON, max_size=5)
BODIES = (
    st.binary(max_size=200)
    | JSON.map(lambda value: json.dumps(value).encode())
    | RECORDS.map(lambda value: json.dumps(value).encode())
    | st.sampled_from(
        [b"[" * 100_000, b'{"a":' * 50_000, b'{"alcohol": 1' + b"0" * 5_000 + b"}", b'{"pH":"\\ud800"}']
    )
)
KINDS = st.sampled_from(
    [
        "application/json",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "text/plain",
        "",
        ";;=",
        "é",
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "one"), ROUTES, ids=[f"{route[0]} {route[1]}" for route in ROUTES]
)
@settings(max_examples=30)
@given(data=st.data())
def test_no_answer_is_500(
    served: Served, method: str, path: str, one: dict[str, Any], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(NAMES) | TEXT)
    path = path.replace("{data_type}", quote(name, safe=data.draw(st.sampled_from(["", "/"]))))
    parameters = [each["name"] for each in one.get("parameters", []) if each["in"] == "query"]
    query = "&".join(
        f"{each}={quote(data.draw(VALUES))}" for each in parameters if data.draw(st.booleans(), label=each)
    )
    headers = {
        "content-type": data.draw(KINDS),
        "last-event-id": data.draw(TEXT),
        **data.draw(st.sampled_from([{}, BEARER, {"Authorization": "Bearer"}, {"Authorization": "é"}])),
    }
    body = data.draw(BODIES) if method == "POST" else b""
    status, content = answered(served.app, method, path, query=query, headers=headers, body=body)
    assert status < 500
    if status >= 400:
        detail = json.loads(content)["detail"]
        assert detail
        assert detail.isprintable()
        assert len(detail) < 3_000


NUMBERS = (
    st.floats() | st.integers() | st.integers().map(str) | st.sampled_from([None, "NaN", "-Infinity", 1e999])
)


@settings(max_examples=150)
@given(
    record=st.dictionaries(st.sampled_from(FIELDS[:4]), NUMBERS, min_size=1)
    | st.dictionaries(st.sampled_from(FIELDS), JSON | NUMBERS, min_size=1),
    name=st.sampled_from(NAMES),
)
def test_no_record_gives_500(served: Served, record: dict[str, Any], name: str) -> None:
    path = f"/api/v1/data-types/{quote(name, safe='')}/score"
    headers = {"content-type": "application/json"}
    status, content = answered(served.app, "POST", path, headers=headers, body=json.dumps(record).encode())
    found = json.loads(content)
    if name == "wine" and status == 200:
        assert isinstance(found["result"], float) or found["result"] in {"Infinity", "-Infinity"}
    else:
        # The message of the other data types is not to be had.
        assert status == 422 or (name != "wine" and status == 502)
        assert found["detail"].isprintable()


@given(path=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60), query=VALUES)
def test_no_path_gives_500(served: Served, path: str, query: str) -> None:
    status, _ = answered(served.app, "GET", f"/{path}", query=quote(query))
    assert status < 500


def test_every_route_of_the_contract_is_described() -> None:
    found = {(method, path) for method, path, _ in ROUTES}
    one = "/api/v1/data-types/{data_type}"
    assert {
        ("GET", "/processors"),
        ("GET", "/state/{data_type}"),
        ("GET", "/api/v1/data-types"),
        ("GET", one),
        ("GET", f"{one}/versions"),
        ("GET", "/api/v1/dead-letters"),
        ("GET", "/api/v1/events"),
        ("POST", f"{one}/models"),
        ("POST", f"{one}/rollback"),
        ("DELETE", one),
        ("POST", f"{one}/score"),
        ("GET", "/metrics"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
    } <= found
