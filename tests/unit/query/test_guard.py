"""Who may ask, and what every answer says to browsers."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from model_serving.query.app import Access
from model_serving.query.guarding import LOOPBACK_NAMES
from tests.unit.query.stand_in import KnownHere, Served

PATHS = [
    "/processors",
    "/docs",
    "/nothing",
    "/state/x",
    "/metrics",
    "/openapi.json",
    "/api/v1/data-types?limit=0",
]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_the_security_headers(path: str) -> None:
    headers = Served(KnownHere("wine")).client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers
    assert headers["cache-control"] in {"no-store", "no-cache"}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:5500", 200),
        ("127.0.0.1:80", 200),
        ("[::1]:5500", 200),
        ("evil.example", 421),
        ("evil.example:5500", 421),
        ("localhost.evil.example", 421),
        ("", 421),
        ("127.0.0.2", 421),
    ],
)
def test_a_server_on_loopback_is_not_asked_by_other_names(host: str, status: int) -> None:
    served = Served(KnownHere("wine"), access=Access(LOOPBACK_NAMES))
    assert served.client.get("/processors", headers={"Host": host}).status_code == status


def test_other_sites_may_read_only_if_they_are_allowed() -> None:
    served = Served(KnownHere("wine"), access=Access(origins=("https://a.example",)))
    allowed = served.client.get("/processors", headers={"Origin": "https://a.example"}).headers
    assert allowed["access-control-allow-origin"] == "https://a.example"
    assert "access-control-allow-credentials" not in allowed
    assert allowed["vary"] == "Origin"
    for origin in ("https://b.example", "https://a.example.evil", "null"):
        headers = served.client.get("/processors", headers={"Origin": origin}).headers
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(("origin", "status"), [("https://a.example", 204), ("https://b.example", 405)])
def test_a_browser_may_ask_before_it_sends(origin: str, status: int) -> None:
    served = Served(KnownHere("wine"), access=Access(origins=("https://a.example",)))
    answer = served.client.options(
        "/api/v1/data-types/wine/rollback",
        headers={"Origin": origin, "Access-Control-Request-Method": "POST"},
    )
    assert answer.status_code == status
    assert ("access-control-allow-headers" in answer.headers) == (status == 204)


def test_a_fault_is_500_in_one_line_with_the_headers() -> None:
    served = Served(KnownHere("wine"))
    served.known.found = None
    answer = TestClient(served.app, raise_server_exceptions=False).get("/processors")
    assert answer.status_code == 500
    assert answer.json() == {"detail": "the query server has a fault: its log says which"}
    assert answer.headers["x-content-type-options"] == "nosniff"
