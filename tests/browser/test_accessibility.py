"""What a screen reader and a keyboard find in the dashboard."""

from __future__ import annotations

from itertools import pairwise

import pytest
from playwright.sync_api import Page, expect

from tests.browser.fake_server import TOKEN, FakeServer
from tests.browser.looking import Opener, hears_events

PLACES = ("#/", "#/data-types/wine", "#/data-types/turbine-sensors", "#/dead-letters")

CONTROLS_WITHOUT_A_NAME = """() => [
    ...document.querySelectorAll('a, button, input, select, textarea, summary')
].filter((node) => node.checkVisibility() && !(
        node.getAttribute('aria-label') || node.textContent.trim()
        || [...(node.labels ?? [])].some((label) => label.textContent.trim())))
    .map((node) => node.outerHTML)"""

BROKEN_REFERENCES = """() => [...document.querySelectorAll('[aria-labelledby], [for]')]
    .filter((node) => !document.getElementById(
        node.getAttribute('aria-labelledby') ?? node.getAttribute('for')))
    .map((node) => node.outerHTML)"""

REPEATED_IDS = """() => {
    const ids = [...document.querySelectorAll('[id]')].map((node) => node.id);
    return ids.filter((id, at) => ids.indexOf(id) !== at);
}"""


@pytest.fixture(params=PLACES)
def page(open_page: Opener, request: pytest.FixtureRequest) -> Page:
    opened = open_page(request.param)
    opened.locator("#view .panel").first.wait_for()
    return opened


def test_names_headings_and_landmarks(page: Page) -> None:
    assert page.evaluate(CONTROLS_WITHOUT_A_NAME) == []
    assert page.evaluate(BROKEN_REFERENCES) == []
    assert page.evaluate(REPEATED_IDS) == []
    levels = page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3')].map((node) => Number(node.tagName[1]))"
    )
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for landmark in ("banner", "main"):
        expect(page.get_by_role(landmark)).to_have_count(1)
    assert page.evaluate("document.documentElement.lang") == "en"
    pictures = page.evaluate(
        "[...document.querySelectorAll('svg:not([aria-hidden])')].map((n) => n.ariaLabel)"
    )
    assert all(pictures)


def test_the_whole_path_by_keyboard(open_page: Opener, server: FakeServer) -> None:
    page = open_page()
    hears_events(page)

    def press_until(name: str, *, most: int = 60) -> None:
        for _ in range(most):
            page.keyboard.press("Tab")
            focused = page.locator(":focus")
            if (focused.get_attribute("aria-label") or focused.inner_text()).strip() == name:
                outline = focused.evaluate("node => getComputedStyle(node).outlineStyle")
                assert outline == "solid", f"the focus on {name} is not seen"
                return
        raise AssertionError(f"{name} is not reached")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("wine")
    expect(page.get_by_text("1 to 1 of 1 data types")).to_be_visible()
    press_until("wine")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="wine")).to_be_focused()
    button = page.get_by_role("button", name="Roll back to 6d9a6e9cf04f")
    expect(button).to_be_visible()
    press_until("Roll back to 6d9a6e9cf04f")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Roll back?")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(button).to_be_focused()
    assert server.commands == []
    page.keyboard.press("Enter")
    press_until("Roll back", most=5)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Token for commands")).to_be_visible()
    page.keyboard.type(TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator("#command-outcome")).to_have_text("The rollback is published.")
    assert server.commands == [("rollback", "wine", {})]
    page.go_back()
    expect(page.get_by_role("heading", level=1, name="Data types")).to_be_focused()
