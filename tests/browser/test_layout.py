"""The dashboard fits narrow and wide screens, and follows the reader's preference for light or dark."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.fake_server import FakeServer
from tests.browser.looking import Opener, box, overflow
from tests.browser.scenario import NOW

PLACES = {
    "#/": ("Data types", 0),
    "#/data-types/wine": ("wine", 2),
    "#/data-types/house-prices": ("house-prices", 2),
    "#/dead-letters": ("Newest dead letters", 0),
}
"""Each view's address → a word of its heading, and its number of charts."""

CLIPPED = """() => [...document.querySelectorAll('.panel')].flatMap((panel) =>
    [...panel.querySelectorAll('td, th, p, button, text, figure')].filter((node) => {
        const [inner, outer] = [node.getBoundingClientRect(), panel.getBoundingClientRect()];
        return inner.width > 0 && (inner.right > outer.right + 1 || inner.left < outer.left - 1);
    }).map((node) => node.textContent))"""


@pytest.mark.parametrize("locale", ["en-US", "de-DE"])
@pytest.mark.parametrize("width", [380, 1060, 1280, 2560])
def test_no_view_is_wider_than_the_window(
    open_page: Opener, server: FakeServer, width: int, locale: str
) -> None:
    for one in server.scenario.versions["wine"]:
        # Another day than today, so that times are long.
        one |= {"since": NOW - 90_000_000, "until": NOW - 80_000_000, "modelType": 0}
    page = open_page(width=width, locale=locale)
    for place, (heading, charts) in PLACES.items():
        page.evaluate("place => { location.hash = place }", place)
        expect(page.locator("#view h1")).to_contain_text(heading)
        page.locator("#view .panel").first.wait_for()
        drawn = page.locator(".chart svg[role]")
        expect(drawn).to_have_count(charts)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        assert overflow(page) == 0, place
        assert page.evaluate(CLIPPED) == [], place
        assert all(box(chart)["width"] <= width for chart in drawn.all()), place


def test_a_narrow_screen_has_cards_with_the_name_of_each_figure(open_page: Opener) -> None:
    page = open_page(width=380)
    cell = page.get_by_role("row").filter(has_text="wine random forest").get_by_role("cell").nth(2)
    title = cell.evaluate("node => getComputedStyle(node, '::before').content")
    assert title == '"Throughput"'
    # It is still a table for a screen reader.
    expect(page.get_by_role("columnheader")).to_have_count(7)


@pytest.mark.parametrize("text_size", [32])
def test_large_text_makes_no_view_wider(open_page: Opener, text_size: int) -> None:
    page = open_page("#/data-types/wine", width=760)
    page.locator("#view .panel").first.wait_for()
    page.evaluate("size => { document.documentElement.style.fontSize = `${size}px` }", text_size)
    assert overflow(page) == 0


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_light_and_dark_follow_the_preference(open_page: Opener) -> None:
    page = open_page(color_scheme="light")
    assert background(page) == "rgb(246, 247, 249)"
    page.emulate_media(color_scheme="dark")
    assert background(page) == "rgb(17, 21, 27)"


def test_nothing_moves_for_who_asked_for_it(open_page: Opener, server: FakeServer) -> None:
    assert server.scenario.data_types
    page = open_page("#/data-types/wine")
    moving = """() => [...document.querySelectorAll('*')].filter((node) => {
        const style = getComputedStyle(node);
        return style.animationName !== 'none' || parseFloat(style.transitionDuration) > 0;
    }).length"""
    assert page.evaluate(moving) == 0
