"""Commands from the dashboard: with a token, after a question, with their outcome."""

from __future__ import annotations

import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests.browser.fake_server import TOKEN, FakeServer
from tests.browser.looking import Opener

# The browser itself reports refused requests in its console.
REFUSED = "the server responded with a status of 401"


def give_token(page: Page, token: str = TOKEN, *, keep: bool = False) -> None:
    dialog = page.get_by_role("dialog", name="Token for commands")
    dialog.get_by_label("Token", exact=True).fill(token)
    if keep:
        dialog.get_by_label("Keep it until this tab is closed").check()
    dialog.get_by_role("button", name="Use token").click()


def test_a_wrong_token_is_asked_for_again(open_page: Opener, server: FakeServer) -> None:
    page = open_page("#/data-types/wine", allowed=REFUSED)
    page.get_by_role("button", name="Stop serving").click()
    page.get_by_role("dialog", name="Stop serving?").get_by_role("button", name="Stop serving").click()
    give_token(page, "wrong")
    expect(page.get_by_text("The server does not know this token.")).to_be_visible()
    assert server.commands == []
    give_token(page)
    expect(page.locator("#command-outcome")).to_have_text("The removal is published.")
    assert server.commands == [("remove", "wine", {})]


def test_cancel_publishes_nothing(open_page: Opener, server: FakeServer) -> None:
    page = open_page("#/data-types/wine")
    for name in ("Stop serving", "Roll back to 6d9a6e9cf04f"):
        page.get_by_role("button", name=name).click()
        page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
    assert server.commands == []


def test_without_a_version_before_there_is_no_rollback(open_page: Opener) -> None:
    page = open_page("#/data-types/house-prices")
    expect(page.get_by_role("button", name="Roll back")).to_have_attribute("aria-disabled", "true")
    expect(page.get_by_text("There is no version before this one.")).to_be_visible()


def test_a_model_is_uploaded(open_page: Opener, server: FakeServer) -> None:
    page = open_page("#/data-types/wine")
    form = page.get_by_role("region", name="Upload a model")
    model: FilePayload = {
        "name": "tree.pmml",
        "mimeType": "application/xml",
        "buffer": b"<PMML version='4.4'/>",
    }
    form.get_by_label("Model file").set_input_files(model)
    form.get_by_label("Version").fill("v2")
    form.get_by_role("button", name="Publish the model").click()
    give_token(page)
    expect(form.get_by_role("status")).to_contain_text("The model is published.")
    assert server.commands == [("models", "wine", {"model": "<PMML version='4.4'/>", "version": "v2"})]


def test_what_was_typed_stays_while_figures_change(open_page: Opener, server: FakeServer) -> None:
    page = open_page("#/data-types/wine")
    version = page.get_by_role("region", name="Upload a model").get_by_label("Version")
    version.fill("v3")
    server.scenario.data_types["wine"]["throughput"] = 77.0
    expect(page.locator(".tile", has_text="Throughput")).to_have_text("Throughput77records/s")
    expect(version).to_have_value("v3")
    expect(version).to_be_focused()


def test_a_record_is_scored(open_page: Opener, server: FakeServer) -> None:
    page = open_page("#/data-types/wine")
    form = page.get_by_role("region", name="Score one record")
    form.get_by_label("alcohol").fill("12.5")
    form.get_by_label("residual_sugar").fill("")
    form.get_by_role("button", name="Score").click()
    expect(form.get_by_role("status")).to_contain_text("Result 5, label 5 by wine 28066910fdf8")
    expect(form.get_by_role("status")).to_contain_text("50.71")
    [(what, name, record)] = server.commands
    assert (what, name) == ("score", "wine")
    assert record == {
        "fixed_acidity": 8.403,
        "volatile_acidity": 0.5671,
        "total_sulfur_dioxide": 53.71,
        "alcohol": 12.5,
    }


@pytest.mark.parametrize("typed", [False, True])
def test_fields_are_filled_as_soon_as_their_means_are_known(
    open_page: Opener, server: FakeServer, *, typed: bool
) -> None:
    fields = [field for one in server.scenario.versions["wine"] for field in one["fields"]]
    counts = [field["count"] for field in fields]
    for field in fields:
        field["count"] = 0
    page = open_page("#/data-types/wine")
    alcohol = page.get_by_role("region", name="Score one record").get_by_label("alcohol")
    expect(alcohol).to_have_value("")
    if typed:
        alcohol.fill("9")
    for field, count in zip(fields, counts, strict=True):
        field["count"] = count
    server.scenario.data_types["wine"]["throughput"] = 77.0
    expect(page.locator(".tile", has_text="Throughput")).to_have_text("Throughput77records/s")
    expect(alcohol).to_have_value("9" if typed else "10.47")


def test_a_record_that_is_not_json_is_told(open_page: Opener, server: FakeServer) -> None:
    page = open_page("#/data-types/house-prices")
    form = page.get_by_role("region", name="Score one record")
    form.get_by_label("Record").fill("{oops")
    form.get_by_role("button", name="Score").click()
    expect(form.get_by_role("status")).to_contain_text("The record is not JSON")
    form.get_by_label("Record").fill('{"rooms": 3}')
    form.get_by_role("button", name="Score").click()
    expect(form.get_by_role("status")).to_contain_text("Result 5")
    assert server.commands == [("score", "house-prices", {"rooms": 3})]


@pytest.mark.parametrize("keep", [False, True])
def test_a_token_is_kept_only_when_asked(open_page: Opener, server: FakeServer, *, keep: bool) -> None:
    assert server.commands == []
    page = open_page()
    page.get_by_role("button", name="Enter token").click()
    give_token(page, keep=keep)
    expect(page.get_by_role("button", name="Forget token")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Forget token" if keep else "Enter token")).to_be_visible()
    assert page.evaluate("Object.keys(localStorage)") == []
    assert page.evaluate("document.cookie") == ""
