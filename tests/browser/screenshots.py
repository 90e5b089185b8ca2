"""Makes the pictures of docs/dashboard.md: ``python -m tests.browser.screenshots``."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.fake_server import FakeServer
from tests.browser.scenario import NOW, usual_scenario

__all__ = ["PICTURES", "main"]

FOLDER = Path(__file__).parents[2] / "docs" / "images"

PICTURES = {
    "dashboard-list.png": ("#/", 1280, 640, "light"),
    "dashboard-data-type.png": ("#/data-types/wine", 1280, 1560, "light"),
    "dashboard-dark.png": ("#/data-types/wine", 1280, 900, "dark"),
    "dashboard-narrow.png": ("#/data-types/wine", 380, 1220, "light"),
}
"""Place in the dashboard, width and height in pixels, and colours of each picture."""


def main() -> None:
    """Writes the pictures, of the scenario of the tests.

    Raises:
        SystemExit: Chromium is not installed.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("Chromium is not installed: apt-get install chromium")
    FOLDER.mkdir(exist_ok=True)
    with FakeServer(usual_scenario()) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--disable-gpu"], chromium_sandbox=False
        )
        for name, (place, width, height, colours) in PICTURES.items():
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme="dark" if colours == "dark" else "light",
                locale="en-GB",
                timezone_id="Europe/Berlin",
                reduced_motion="reduce",
            )
            page.add_init_script(f"Date.now = () => {NOW}")
            page.goto(server.url + place)
            page.locator("#connection .state", has_text="Live").wait_for()
            page.locator("#view .panel").first.wait_for()
            page.screenshot(path=FOLDER / name)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
