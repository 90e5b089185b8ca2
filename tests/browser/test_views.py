"""The dashboard shows what the query server knows."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.fake_server import FakeServer
from tests.browser.looking import Opener, box, hears_events, row
from tests.browser.scenario import data_type, letter


def test_the_list_says_what_serves_how_fast_and_what_went_wrong(open_page: Opener) -> None:
    page = open_page()
    wine = row(page, "wine")
    expect(wine).to_contain_text("wine random forest 28066910fdf8")
    expect(wine).to_contain_text("12:01:00 CET")
    for figure in ("201 records/s", "3.4 ms", "17 ms", "14", "invalid record"):
        expect(wine).to_contain_text(figure)
    expect(row(page, "card-payments")).to_contain_text("Refused 1 min ago: fraud network")
    expect(row(page, "turbine-sensors")).to_contain_text("No model4,210 records wait")


def test_a_data_type_has_charts_with_its_swaps_as_marks(open_page: Opener) -> None:
    page = open_page("#/data-types/wine")
    latency = page.get_by_role("img", name="Latency")
    label = latency.get_attribute("aria-label") or ""
    assert "p99: now 8.96 ms, between 6.2 ms and 133 ms" in label
    assert "Model swaps: 6d9a6e9cf04f at 11:56:43, 28066910fdf8 at 12:01:00." in label
    marks = latency.locator(".swap path")
    expect(marks).to_have_count(2)
    frame, first, second = box(latency), box(marks.nth(0)), box(marks.nth(1))
    assert frame["x"] < first["x"] < second["x"] < frame["x"] + frame["width"]
    page.get_by_text("Model swaps (2)").click()
    expect(page.get_by_text("12:01:00 CET: wine random forest")).to_be_visible()


def test_the_results_of_two_versions_stand_side_by_side(open_page: Opener) -> None:
    page = open_page("#/data-types/wine")
    figures = page.locator(".distribution")
    expect(figures).to_have_count(2)
    expect(figures.nth(0).get_by_role("row", name="5 44.1 % 30,115")).to_be_visible()
    expect(figures.nth(1).get_by_role("row", name="5 45.3 % 27,210")).to_be_visible()
    assert box(figures.nth(0))["y"] == box(figures.nth(1))["y"]


def test_results_that_are_numbers_have_a_histogram(open_page: Opener) -> None:
    page = open_page("#/data-types/house-prices")
    histogram = page.get_by_role(
        "img", name="Histogram of the results of version v12, from 20 to 160, mean 84.2"
    )
    expect(histogram.locator("rect")).to_have_count(14)


def test_drift_has_the_greatest_first_and_names_the_thresholds(open_page: Opener) -> None:
    page = open_page("#/data-types/wine")
    drift = page.get_by_role("region", name="Drift by field")
    rows = drift.get_by_role("row")
    expect(rows.nth(1)).to_contain_text("total_sulfur_dioxide0.310changed0.340changed")
    expect(rows.nth(2)).to_contain_text("volatile_acidity0.140look")
    expect(rows.nth(3)).to_contain_text("residual_sugar0.050stable0.080stable")
    expect(rows.nth(2)).to_contain_text("1.3 % was 0.0 %")
    expect(drift).to_contain_text(
        "rule of thumb, from 0.1 it is worth a look, and from 0.25 the records have changed"
    )


def test_a_refused_model_has_its_reason(open_page: Opener) -> None:
    page = open_page("#/data-types/card-payments")
    refused = page.get_by_role("region", name="Refused models")
    expect(refused).to_contain_text("fraud network 2026-11-18")
    expect(refused).to_contain_text("example 3 gives 0.12, expected 0.91 ± 0.05")


def test_dead_letters_show_reason_and_first_bytes(open_page: Opener) -> None:
    page = open_page("#/dead-letters")
    items = page.locator(".letters > li")
    expect(items).to_have_count(3)
    expect(items.nth(0)).to_contain_text("invalid record18 Nov 2026, 12:06:28 CETwine")
    expect(items.nth(0)).to_contain_text("37 2e 34 3b")
    expect(items.nth(0)).to_contain_text("7.4;0.7;0;1.9;0.")
    items.nth(0).locator("summary").click()
    expect(items.nth(0).locator("pre")).to_contain_text(
        "0020  3b 33 2e 35 31 3b 30 2e 35 36 3b ff fe 00 01 02  ;3.51;0.56;·····"
    )
    expect(items.nth(0)).to_contain_text("The first 69 bytes of 1,024.")


def test_dead_letters_without_a_data_type_are_seen_from_the_list(
    open_page: Opener, server: FakeServer
) -> None:
    page = open_page()
    hears_events(page)
    link = page.get_by_role("navigation", name="Views").get_by_role("link", name="Dead letters")
    expect(link).to_have_text("Dead letters 3")
    expect(page.get_by_text("1 dead letter belongs to no data type (unparsable).")).to_be_visible()
    server.scenario.letters.insert(0, letter(1, reason="INVALID_RECORD", dataType=""))
    server.send("dead-letter", server.scenario.letters[0])
    expect(link).to_have_text("Dead letters 4")
    expect(page.get_by_text("2 dead letters belong to no data type")).to_be_visible()
    page.get_by_role("link", name="Look at the newest").click()
    expect(page.locator(".letters > li").nth(0)).to_contain_text("no data type")


def test_what_is_open_stays_open_when_something_changes(open_page: Opener, server: FakeServer) -> None:
    page = open_page("#/dead-letters")
    hears_events(page)
    first = page.locator(".letters > li").nth(0)
    first.locator("summary").click()
    server.scenario.letters.insert(0, letter(1, detail="the newest of all"))
    server.send("dead-letter", server.scenario.letters[0])
    expect(page.locator(".letters > li").nth(0)).to_contain_text("the newest of all")
    expect(page.locator("details[open]")).to_have_count(1)
    expect(page.locator("li", has=page.locator("details[open]"))).to_contain_text("12:06:28")


def test_a_data_type_that_nobody_knows(open_page: Opener) -> None:
    page = open_page("#/data-types/nobody", allowed="404")
    expect(page.get_by_text("Nothing is known of this data type.")).to_be_visible()
    expect(page.get_by_role("button", name="Publish the model")).to_be_visible()


def test_an_empty_server_says_what_will_appear(open_page: Opener, server: FakeServer) -> None:
    server.scenario.data_types.clear()
    expect(open_page().get_by_text("No data type is known yet.")).to_be_visible()


def test_a_swap_is_shown_as_it_happens(open_page: Opener, server: FakeServer) -> None:
    page = open_page("#/data-types/wine")
    expect(page.locator(".serving")).to_contain_text("28066910fdf8")
    hears_events(page)
    after = data_type(
        "wine", serving={"name": "wine glm", "version": "a55df3a6347b", "previous": "28066910fdf8"}
    )
    server.scenario.add(after)
    server.send("status", after)
    expect(page.locator(".serving")).to_contain_text("wine glm a55df3a6347b")
    expect(page.locator("#announcements")).to_have_text("wine glm, version a55df3a6347b, serves now.")
