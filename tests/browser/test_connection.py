"""The dashboard is right after its connection was lost, and says when it is not connected."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.fake_server import FakeServer
from tests.browser.looking import Opener, hears_events
from tests.browser.scenario import data_type

# The browser itself reports failed requests in its console.
FAILED_REQUESTS = "the server responded with a status of 503"


def state(page: Page) -> Locator:
    return page.locator("#connection .state")


def swap(server: FakeServer, number: str) -> None:
    server.scenario.add(data_type("wine", serving={"name": "wine glm", "version": number}))


@pytest.mark.parametrize("place", ["#/", "#/data-types/wine"])
def test_after_a_lost_connection_the_whole_state_is_new(
    open_page: Opener, server: FakeServer, place: str
) -> None:
    page = open_page(place, allowed=FAILED_REQUESTS)
    hears_events(page)
    expect(page.locator("main")).to_contain_text("28066910fdf8")
    server.answers_nothing = True
    server.cut()
    expect(state(page)).to_have_text("Connection lost")
    expect(page.locator("#connection")).to_contain_text("as of 12:06:40 CET")
    expect(page).to_have_title(
        f"Connection lost: {'wine' if 'wine' in place else 'Data types'} – Model serving"
    )
    expect(page.locator("#announcements")).to_contain_text("The connection is lost.")
    # What was known is still shown.
    expect(page.locator("main")).to_contain_text("28066910fdf8")
    # No event tells of this swap.
    swap(server, "after-outage")
    server.answers_nothing = False
    expect(state(page)).to_have_text("Live")
    expect(page.locator("main")).to_contain_text("after-outage")
    expect(page.locator("#announcements")).to_contain_text("Connected again.")
    expect(page.get_by_text("Trying again.")).to_have_count(0)


def test_a_failed_request_is_told_and_made_again(open_page: Opener, server: FakeServer) -> None:
    server.answers_nothing = False
    page = open_page(allowed=FAILED_REQUESTS)
    hears_events(page)
    server.answers_nothing = True
    page.get_by_role("searchbox").fill("wine")
    expect(
        page.get_by_text("the server is down What is shown is from 12:06:40 CET. Trying again.")
    ).to_be_visible()
    server.answers_nothing = False
    expect(page.get_by_text("1 to 1 of 1 data types")).to_be_visible()


def test_after_a_sleep_the_page_connects_anew(open_page: Opener, server: FakeServer) -> None:
    page = open_page("#/data-types/wine")
    hears_events(page)
    swap(server, "after-sleep")
    # When the next timer fires, an hour has passed, as after a closed lid is opened.
    with page.expect_request(lambda request: request.url.endswith("/api/v1/events")):
        page.evaluate("window.later = 3_600_000")
    expect(page.locator(".serving")).to_contain_text("after-sleep")


def test_without_events_the_page_asks_now_and_then(open_page: Opener, server: FakeServer) -> None:
    page = open_page("#/data-types/wine")
    hears_events(page)
    server.scenario.add(data_type("wine", throughput=0.0))
    expect(page.locator(".tile", has_text="Throughput")).to_have_text("Throughput0records/s")


def test_offline_is_seen_at_once(open_page: Opener) -> None:
    page = open_page(allowed="ERR_INTERNET_DISCONNECTED")
    hears_events(page)
    page.context.set_offline(True)
    expect(state(page)).to_have_text("Connection lost")
    page.context.set_offline(False)
    expect(state(page)).to_have_text("Live")
