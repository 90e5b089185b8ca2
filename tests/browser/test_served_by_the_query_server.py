"""The dashboard and the description of the routes, served by the query server itself under its headers."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from model_serving.observe.board import Board
from model_serving.observe.values import Place
from model_serving.query.known import BoardKnown
from model_serving.query.web_server import WebServer
from tests.unit.observe.sent import active, letter, statistics
from tests.unit.query.stand_in import Served

NAMES = ["wine", "a/b", "<script>alert(1)</script>", "\u202eenim", "x" * 100_000]


@pytest.fixture
def url() -> Iterator[str]:
    board, now_ms = Board(), time.time_ns() // 1_000_000
    for offset, name in enumerate(NAMES):
        board.add_status(active(now_ms - 5_000, "v1", dataType=name), Place(0, offset))
        board.add_statistics(statistics(now_ms, [1.0, 2.0, 7.0], data_type=name), Place(0, offset))
        board.add_dead_letter(letter(now_ms, dataType=name), Place(0, offset))
    served = Served(BoardKnown(board))
    web = WebServer(served.app, "127.0.0.1", 0, flag="--port")
    web.start()
    yield web.url
    web.stop(served.hub.close)


def test_the_pages_work_under_the_headers_and_ask_no_other_host(browser: Browser, url: str) -> None:
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request", lambda request: None if request.url.startswith(url) else complaints.append(request.url)
    )
    page.goto(f"{url}/")
    for name in NAMES[:3]:
        expect(page.get_by_role("link", name=name, exact=True).first).to_be_visible()
    page.get_by_role("link", name="a/b", exact=True).first.click()
    expect(page.get_by_role("heading", name="a/b").first).to_be_visible()
    page.goto(f"{url}/docs")
    expect(page.get_by_role("heading", name="what is known")).to_be_visible()
    assert page.locator("details").count() >= 14
    page.close()
    assert complaints == []
