"""Names are shown as they are, whatever is in them."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.fake_server import FakeServer
from tests.browser.looking import Opener, overflow
from tests.browser.scenario import HOSTILE, data_type, letter, version

SHOWN = {
    "\u202egnp.elpmis": "⟨U+202E⟩gnp.elpmis",
    "nul\x00 bell\x07 line\nend\ttab": "nul␀ bell␇ line␊end␉tab",
    "zero\u200bwidth\ufeff": "zero⟨U+200B⟩width⟨U+FEFF⟩",
    "x" * 100_000: "x" * 80 + "…",
}


def shown(name: str) -> str:
    return SHOWN.get(name, name)


def hostile(name: str) -> dict[str, str]:
    return {"name": name, "version": name, "previous": name, "description": name}


@pytest.fixture(autouse=True)
def hostile_server(server: FakeServer) -> FakeServer:
    server.scenario.data_types.clear()
    for name in HOSTILE:
        refused = {"name": name, "version": name, "detail": name, "ts": 1}
        one = version(name, name, serving=True)
        one["results"] = {**one["results"], "labels": {name: 7, "good": 1}}
        one["fields"] = [{**one["fields"][0], "field": name}]
        server.scenario.add(data_type(name, serving=hostile(name), rejected=[refused]), [one])
        swap = {"ts": 1_794_999_900_000, "state": "ACTIVE", "name": name, "version": name, "previous": name}
        server.scenario.series[name] = {"dataType": name, "intervalS": 5, "points": [], "swaps": [swap]}
    server.scenario.letters = [
        letter(at, dataType=name, detail=name, model=name, version=name, topic=name)
        for at, name in enumerate(HOSTILE)
    ]
    return server


def test_the_list_shows_each_name_and_runs_none(open_page: Opener) -> None:
    page = open_page(width=380)
    names = page.get_by_role("rowheader").locator("bdi")
    expect(names).to_have_count(len(HOSTILE))
    assert set(names.all_text_contents()) == {shown(name) for name in HOSTILE}
    assert page.locator("main script, main img").count() == 0
    assert page.evaluate("window.attacked") is None
    assert overflow(page) == 0


def test_each_name_leads_to_its_view(open_page: Opener) -> None:
    page = open_page(width=380)
    headers = page.get_by_role("rowheader")
    expect(headers).to_have_count(len(HOSTILE))
    links = {name: headers.filter(has_text=shown(name)[:12]).get_by_role("link") for name in HOSTILE}
    places = {name: link.first.get_attribute("href") for name, link in links.items()}
    for name, place in places.items():
        page.evaluate("place => { location.hash = place }", place)
        expect(page.locator("h1 bdi")).to_have_text(shown(name))
        expect(page.locator(".serving")).to_contain_text(shown(name))
        for region in ("Drift by field", "Results of the versions", "Versions", "Refused models"):
            expect(page.get_by_role("region", name=region, exact=True)).to_contain_text(shown(name)[:12])
        assert overflow(page) == 0, shown(name)
    assert page.evaluate("window.attacked") is None


def test_dead_letters_show_each_name(open_page: Opener) -> None:
    page = open_page("#/dead-letters", width=380)
    expect(page.locator(".letters > li")).to_have_count(len(HOSTILE))
    assert page.evaluate("window.attacked") is None
    assert overflow(page) == 0


def test_a_name_cannot_turn_the_text_around_it(open_page: Opener) -> None:
    page = open_page()
    for name in page.locator("bdi.name").all():
        assert name.evaluate("node => getComputedStyle(node).unicodeBidi") == "isolate"
    turned = page.get_by_role("row").filter(has_text="gnp.elpmis").first
    assert "\u202e" not in turned.inner_text()


def test_a_long_name_is_cut_and_can_be_seen_whole(open_page: Opener, server: FakeServer) -> None:
    name = "x" * 100_000
    page = open_page(f"#/data-types/{server.scenario.data_types[name]['id']}")
    expect(page.locator("h1 bdi")).to_have_text("x" * 80 + "…")
    button = page.locator("h1").get_by_role("button", name="Show all 100,000 characters")
    button.click()
    dialog = page.get_by_role("dialog", name="The whole text, 100,000 characters")
    assert dialog.get_by_role("textbox").input_value() == name
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()
    # The page holds the text once for each button, not in its elements.
    assert page.evaluate("document.body.innerHTML.length") < 200_000
