"""What the routes answer about what is known."""

from __future__ import annotations

import hashlib
import threading
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_serving.core.statistics.distribution import Distribution
from model_serving.observe.figures import Figures
from model_serving.observe.ranking import Order
from tests.unit.query.stand_in import KnownHere, Served, answered, sent, serving

STRANGE = [
    "a/b",
    "a%b",
    "a%2Fb",
    "/",
    "//a//",
    "a b",
    "a?b#c",
    "versions",
    "a/versions",
    "\u202eenim",
    "wein-ü-葡萄酒",
    "<script>alert(1)</script>",
    "line\nbreak\r\n",
    "\x00",
    "..",
    "x" * 100_000,
    "葡" * 100_000,
]


def test_processors_are_the_data_types_that_are_served() -> None:
    served = Served(KnownHere("b", "a"))
    assert served.client.get("/processors").json() == {"models": ["a", "b"]}


def test_what_is_known_says_how_long_ago_kafka_answered() -> None:
    served = Served(KnownHere("a"))
    assert "age" not in served.client.get("/state/a").headers
    served.known.age = 42.7
    for path in (
        "/processors",
        "/state/a",
        "/api/v1/data-types",
        "/api/v1/data-types/a",
        "/api/v1/dead-letters",
    ):
        assert served.client.get(path).headers["age"] == "42"
    assert "age" not in served.client.get("/healthz").headers


def test_state_has_the_fields_of_the_contract() -> None:
    answer = Served(KnownHere("wine")).client.get("/state/wine")
    assert answer.json() == serving()
    assert list(answer.json()) == [
        *("name", "description", "modelType", "since", "usage", "duration", "min", "max"),
        *("version", "sha256", "previous"),
    ]


@pytest.mark.parametrize("name", STRANGE, ids=range(len(STRANGE)))
def test_a_data_type_may_have_any_name(name: str) -> None:
    served = Served(KnownHere(name, "other"))
    for path in (quote(name, safe=""), f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"):
        assert sent(served.app, "GET", f"/state/{path}") == (200, serving())
        for rest in ("", "/versions", "/series"):
            status, found = sent(served.app, "GET", f"/api/v1/data-types/{path}{rest}")
            assert (status, found["dataType"]) == (200, name)
        route = f"/api/v1/data-types/{path}/score"
        assert sent(served.app, "POST", route, b'{"a": 1}', "application/json")[0] == 200
        assert served.scorer.asked[-1][1] == name


@given(name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_every_name_is_found_by_its_path_and_by_its_digest(name: str) -> None:
    app = Served(KnownHere(name)).app
    status, found = sent(app, "GET", f"/api/v1/data-types/{quote(name, safe='')}")
    assert (status, found["dataType"]) == (200, name)
    assert sent(app, "GET", f"/api/v1/data-types/{found['id']}") == (200, found)


def test_a_slash_needs_no_encoding_where_the_path_is_clear() -> None:
    client = Served(KnownHere("a/b", "a")).client
    assert client.get("/api/v1/data-types/a/b").json()["dataType"] == "a/b"
    assert client.get("/api/v1/data-types/a/versions").json()["dataType"] == "a"
    assert client.get("/api/v1/data-types/a%2Fversions").status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/state/x", "/api/v1/data-types/x", "/api/v1/data-types/x/versions", "/api/v1/data-types/x/series"],
)
def test_an_unknown_data_type_is_404_with_a_detail(path: str) -> None:
    answer = Served(KnownHere("X ")).client.get(path)
    assert answer.status_code == 404
    assert answer.json() == {"detail": "nothing is known of the data type 'x': did you mean 'X '?"}


def test_a_long_unknown_name_is_not_repeated_whole() -> None:
    status, answer = sent(Served(KnownHere("a")).app, "GET", f"/state/{'x' * 100_000}")
    assert status == 404
    assert len(answer["detail"]) < 400


def test_a_path_that_is_not_utf_8_is_404() -> None:
    answer = Served(KnownHere("a")).client.get("/state/%ff")
    assert answer.status_code == 404
    assert "UTF-8" in answer.json()["detail"]


def test_data_types_come_in_pages() -> None:
    client = Served(KnownHere(*(f"n{number:03}" for number in range(120)))).client
    first = client.get("/api/v1/data-types").json()
    assert (first["total"], len(first["items"])) == (120, 50)
    page = client.get("/api/v1/data-types?search=N1&offset=18&limit=5").json()
    assert [one["dataType"] for one in page["items"]] == ["n118", "n119"]
    assert (page["total"], page["offset"]) == (20, 18)


def test_others_do_not_wait_for_a_list_that_is_not_sorted_by_name() -> None:
    served = Served(KnownHere("a", "b"))
    for order in Order:
        status, _ = answered(served.app, "GET", "/api/v1/data-types", query=f"sort={order}")
        assert status == 200
    # The requests run in this thread.
    waited = {order for order, thread in served.known.sorted_by if thread is threading.current_thread()}
    assert [order for order, _ in served.known.sorted_by] == list(Order)
    assert waited == {Order.NAME}


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "offset=-1", "limit=x", "sort=colour", "offset=" + "9" * 30]
)
def test_a_wrong_parameter_is_named_in_one_line(query: str) -> None:
    answer = Served(KnownHere("a")).client.get(f"/api/v1/data-types?{query}")
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(query.partition("=")[0])
    assert "\n" not in answer.json()["detail"]


def test_dead_letters_are_limited_and_filtered() -> None:
    served = Served(KnownHere("a"))
    served.known.letters = [{"dataType": "b" if number % 2 else "a", "ts": number} for number in range(50)]
    assert len(served.client.get("/api/v1/dead-letters").json()["items"]) == 20
    found = served.client.get("/api/v1/dead-letters?limit=2&data_type=b").json()
    assert found == {
        "items": [{"dataType": "b", "ts": 1}, {"dataType": "b", "ts": 3}],
        "counts": {"NO_MODEL": 25},
        "withoutDataType": {},
    }
    served.known.letters.append({"dataType": "", "ts": 9})
    found = served.client.get("/api/v1/dead-letters?data_type=").json()
    assert found["items"] == [{"dataType": "", "ts": 9}]
    assert found["counts"] == found["withoutDataType"] == {"NO_MODEL": 1}


def test_a_number_that_json_lacks_is_null() -> None:
    served = Served(KnownHere("a"))
    served.known.found["a"] = serving(min=float("nan"), max=float("inf"))
    found = served.client.get("/state/a").json()
    assert (found["min"], found["max"]) == (None, None)


def test_health_says_what_is_wrong() -> None:
    served = Served(KnownHere())
    assert served.client.get("/readyz").text == "ok\n"
    served.health.unready = "Kafka does not answer"
    answer = served.client.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "Kafka does not answer\n")
    assert served.client.get("/healthz").status_code == 200


def distribution(*values: float) -> Distribution:
    found = Distribution()
    found.add(np.array(values))
    return found


def figures(data_type: str, since: int = 1_500, **fields: Any) -> Figures:
    given = {"scored": 7, "failed": 2, "missing": 1, "serves": True} | fields
    times: dict[str, Any] = {
        "scoring": distribution(0.2, 0.3, 3_000.0),
        "latency": distribution(2.0, -5.0, 40_000.0, 1e9),
    }
    return Figures(data_type=data_type, name="m", version="v1", since=since, **times, **given)


def test_metrics_are_in_seconds_with_escaped_labels() -> None:
    served = Served(KnownHere("a"))
    served.known.shown = [figures('a"b\\c\nd', drift_now=lambda: (0.5, 3)), figures("e", since=0)]
    served.known.letter_counts = {("a", "NO_MODEL"): 4}
    answer = served.client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    labels = r'data_type="a\"b\\c\nd",model="m",version="v1"'
    for line in (
        f"model_serving_records_scored_total{{{labels}}} 7",
        f"model_serving_drift_psi{{{labels}}} 0.5",
        f"model_serving_drifted_fields{{{labels}}} 3",
        f'model_serving_scoring_seconds_bucket{{{labels},le="0.0001"}} 0',
        f'model_serving_scoring_seconds_bucket{{{labels},le="0.00025"}} 1',
        f'model_serving_scoring_seconds_bucket{{{labels},le="0.001"}} 2',
        f'model_serving_scoring_seconds_bucket{{{labels},le="10"}} 3',
        f'model_serving_scoring_seconds_bucket{{{labels},le="+Inf"}} 3',
        f"model_serving_scoring_seconds_sum{{{labels}}} 3.0005",
        f"model_serving_scoring_seconds_count{{{labels}}} 3",
        # A sender's clock may be ahead: such a record's latency is below 0.
        f'model_serving_latency_seconds_bucket{{{labels},le="0.001"}} 1',
        f'model_serving_latency_seconds_bucket{{{labels},le="3600"}} 3',
        f'model_serving_latency_seconds_bucket{{{labels},le="+Inf"}} 4',
        f"model_serving_since_seconds{{{labels}}} 1.5",
        'model_serving_dead_letters_total{data_type="a",reason="NO_MODEL"} 4',
        'model_serving_rollbacks_total{data_type="a"} 2',
        "model_serving_query_ready 1",
    ):
        assert line in lines
    # Nothing is known of these two for the other one.
    assert (
        answer.text.count("model_serving_since_seconds{")
        == answer.text.count("model_serving_drift_psi{")
        == 1
    )


def test_metrics_have_a_bounded_number_of_series() -> None:
    served = Served(KnownHere())
    served.known.shown = [figures(f"t{number}" + "x" * 5_000, since=number) for number in range(1, 1_502)]
    text = served.client.get("/metrics").text
    assert "model_serving_versions_left_out 501" in text
    assert text.count("model_serving_records_scored_total{") == 1_000
    assert 'data_type="t1501x' in text
    assert 'data_type="t501x' not in text
    assert max(map(len, text.splitlines())) < 1_000


def test_series_that_are_equal_after_cutting_come_once() -> None:
    served = Served(KnownHere())
    served.known.letter_counts = {("x" * 300, "NO_MODEL"): 1, ("x" * 301, "NO_MODEL"): 2}
    assert served.client.get("/metrics").text.count("model_serving_dead_letters_total{") == 1


def test_nothing_at_a_path_is_said_in_one_line() -> None:
    answer = Served(KnownHere()).client.get("/nothing")
    assert (answer.status_code, answer.json()) == (
        404,
        {"detail": "there is nothing at this path: see /docs"},
    )


def test_the_description_is_a_page_of_this_server() -> None:
    client = Served(KnownHere()).client
    page = client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for path in ("docs/docs.css", "docs/docs.js", "openapi.json"):
        assert path in page.text
        assert client.get(f"/{path}").status_code == 200
    script = client.get("/docs/docs.js").text
    assert "http" not in page.text + script
    assert client.get("/docs", headers={"If-None-Match": page.headers["etag"]}).status_code == 304
