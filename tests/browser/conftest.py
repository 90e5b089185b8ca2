"""One headless Chromium and one stand-in for the query server for all tests of the dashboard."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.fake_server import FakeServer
from tests.browser.scenario import NOW, usual_scenario

CHROMIUM = shutil.which("chromium")
_ABSENT = "Chromium is not installed: `apt-get install chromium`"

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason=_ABSENT)
"""For tests that start Kafka before the browser."""

PATIENCE_MS = 30_000
"""How long a page may take on a busy machine until it shows what is expected."""

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    if CHROMIUM is None:
        pytest.skip(_ABSENT)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--disable-gpu"], chromium_sandbox=False
        )
        yield started
        started.close()


@pytest.fixture(scope="session")
def running_server() -> Iterator[FakeServer]:
    with FakeServer(usual_scenario()) as server:
        yield server


@pytest.fixture
def server(running_server: FakeServer) -> FakeServer:
    """A stand-in for the query server with the usual scenario."""
    running_server.reset(usual_scenario())
    return running_server


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens an address. At the end of the test no page must have had an error, or asked another host.

    ``allowed`` is in the text of errors that the test provokes; ``script`` runs before the page's own.
    """
    opened, complaints, hosts, asked = [], [], set(), set()

    def visit_one(
        url: str,
        *,
        width: int = 1280,
        height: int = 900,
        allowed: str = "",
        script: str = "",
        **options: Any,
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            **{
                "locale": "en-GB",
                "timezone_id": "Europe/Berlin",
                "reduced_motion": "reduce",
                **options,
            },
        )
        context.set_default_timeout(PATIENCE_MS)
        opened.append(context)
        page = context.new_page()

        def hear(message: ConsoleMessage) -> None:
            if message.type in {"error", "warning"} and not (allowed and allowed in message.text):
                complaints.append(message.text)

        page.on("console", hear)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        page.add_init_script(script)
        asked.add(urlsplit(url).netloc)
        page.goto(url)
        page.locator("#view h1").wait_for()
        return page

    yield visit_one
    for context in opened:
        context.close()
    assert complaints == []
    assert hosts == asked


@pytest.fixture
def open_page(visit: Callable[..., Page], server: FakeServer) -> Callable[..., Page]:
    """Opens a place in the dashboard. Time stands still at `NOW`, plus ``window.later`` of a test."""
    clock = f"window.later = 0; Date.now = () => {NOW} + window.later"

    def open_one(place: str = "#/", **options: Any) -> Page:
        return visit(server.url + place, script=clock, **options)

    return open_one
