"""A thousand data types stay usable."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.fake_server import FakeServer
from tests.browser.looking import Opener, hears_events, row
from tests.browser.scenario import data_type

COUNT = 1_000
MOST_NODES = 3_000


@pytest.fixture(autouse=True)
def large_server(server: FakeServer) -> FakeServer:
    server.scenario.data_types.clear()
    for at in range(COUNT):
        server.scenario.add(data_type(f"sensor-{at:04}", throughput=float((at * 7) % COUNT)))
    return server


def shown(page: Page) -> list[str]:
    return page.get_by_role("rowheader").all_inner_texts()


def test_a_page_has_fifty(open_page: Opener) -> None:
    page = open_page()
    expect(page.get_by_text("1 to 50 of 1,000 data types")).to_be_visible()
    assert shown(page) == [f"sensor-{at:04}" for at in range(50)]
    assert page.evaluate("document.querySelectorAll('*').length") < MOST_NODES
    page.get_by_role("button", name="Next page").click()
    expect(page.get_by_text("51 to 100 of 1,000 data types")).to_be_visible()
    assert shown(page)[0] == "sensor-0050"
    page.get_by_role("button", name="Previous page").click()
    expect(page.get_by_text("1 to 50 of 1,000 data types")).to_be_visible()


def test_a_search_finds_one_of_them(open_page: Opener) -> None:
    page = open_page()
    page.get_by_role("button", name="Next page").click()
    page.get_by_role("searchbox", name="Search by name").fill("OR-0777")
    expect(page.get_by_text("1 to 1 of 1 data types")).to_be_visible()
    assert shown(page) == ["sensor-0777"]
    page.get_by_role("searchbox").fill("nothing like it")
    expect(page.get_by_text("No data type has nothing like it in its name.")).to_be_visible()
    page.get_by_role("searchbox").press("Escape")
    expect(page.get_by_text("1 to 50 of 1,000 data types")).to_be_visible()


def test_the_busiest_come_first_when_asked(open_page: Opener) -> None:
    page = open_page()
    page.get_by_label("Sort by").select_option("Throughput")
    expect(page.get_by_role("row").nth(1)).to_contain_text("999 records/s")


def test_events_of_all_of_them_do_not_make_a_request_each(open_page: Opener, server: FakeServer) -> None:
    page = open_page()
    hears_events(page)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    server.scenario.add(data_type("sensor-0003", throughput=12_345.0))
    for document in list(server.scenario.data_types.values()):
        server.send("statistics", document)
    expect(row(page, "sensor-0003")).to_contain_text("12,345 records/s")
    assert len(requests) < 20


def test_what_has_the_focus_keeps_it_while_figures_change(open_page: Opener, server: FakeServer) -> None:
    page = open_page()
    hears_events(page)
    link = page.get_by_role("link", name="sensor-0007")
    link.focus()
    server.scenario.add(data_type("sensor-0007", throughput=54_321.0))
    server.send("statistics", server.scenario.data_types["sensor-0007"])
    expect(row(page, "sensor-0007")).to_contain_text("54,321 records/s")
    expect(link).to_be_focused()
