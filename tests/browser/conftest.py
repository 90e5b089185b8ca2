"""One headless Chromium and one stand-in for the query server for all tests of the dashboard."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.fake_server import FakeServer
from tests.browser.scenario import NOW, usual_scenario

CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 30_000
"""How long a page may take on a busy machine until it shows what is expected."""

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: `apt-get install chromium`")
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
def open_page(browser: Browser, server: FakeServer) -> Iterator[Callable[..., Page]]:
    """Opens the dashboard. At the end of the test it must not have had an error, or asked another host.

    ``allowed`` is in the text of errors that the test provokes. The time stands still at
    `NOW`, plus what a test sets as ``window.later``.
    """
    opened, complaints, hosts = [], [], set()

    def open_one(
        place: str = "#/",
        *,
        width: int = 1280,
        height: int = 900,
        allowed: str = "",
        **options: Any,
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            locale="en-GB",
            timezone_id="Europe/Berlin",
            reduced_motion="reduce",
            **options,
        )
        context.set_default_timeout(PATIENCE_MS)
        opened.append(context)
        page = context.new_page()
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text)
                if message.type in {"error", "warning"} and not (allowed and allowed in message.text)
                else None
            ),
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        page.add_init_script(f"window.later = 0; Date.now = () => {NOW} + window.later")
        page.goto(server.url + place)
        page.locator("#view h1").wait_for()
        return page

    yield open_one
    for context in opened:
        context.close()
    assert complaints == []
    assert hosts <= {urlsplit(server.url).netloc}
