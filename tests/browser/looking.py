"""How the tests look at the dashboard."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import FloatRect, Locator, Page

__all__ = ["Opener", "box", "hears_events", "overflow", "row"]

Opener = Callable[..., Page]
"""Opens the dashboard at a place: see `open_page`."""


def row(page: Page, name: str) -> Locator:
    """The row of a data type in the list."""
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def box(locator: Locator) -> FloatRect:
    """Where an element is, in pixels."""
    found = locator.bounding_box()
    assert found is not None
    return found


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def hears_events(page: Page) -> None:
    """Waits until the event stream is open."""
    page.locator("#connection .state", has_text="Live").wait_for()
