"""The colours of the dashboard have contrast enough, and the page holds what a strict policy asks for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import model_serving

PAGE = Path(model_serving.__file__).parent / "observe" / "page"
LEAST_FOR_TEXT = 4.5
LEAST_FOR_SHAPES = 3.0
GROUNDS = ("ground", "surface", "raised")
TEXTS = ("text", "muted", "accent", "good", "warn", "bad")
PAIRS = [
    *((text, ground, LEAST_FOR_TEXT) for text in TEXTS for ground in GROUNDS),
    ("on-accent", "accent", LEAST_FOR_TEXT),
    ("good", "good-ground", LEAST_FOR_TEXT),
    ("bad", "bad-ground", LEAST_FOR_TEXT),
    ("text", "good-ground", LEAST_FOR_TEXT),
    ("text", "bad-ground", LEAST_FOR_TEXT),
    *((shape, "surface", LEAST_FOR_SHAPES) for shape in ("edge", "series-1", "series-2")),
    ("series-1", "track", LEAST_FOR_SHAPES),
]


def themes() -> dict[str, dict[str, str]]:
    light, dark = (PAGE / "theme.css").read_text().split("@media (prefers-color-scheme: dark)")
    found = {
        name: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", text))
        for name, text in (("light", light), ("dark", dark))
    }
    assert found["light"].keys() == found["dark"].keys()
    return found


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_formula_is_that_of_wcag() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_have_contrast_enough(theme: str) -> None:
    colours = themes()[theme]
    low = {
        f"{front} on {back}": round(contrast(colours[front], colours[back]), 2)
        for front, back, least in PAIRS
        if contrast(colours[front], colours[back]) < least
    }
    assert low == {}


def test_every_colour_is_in_the_theme() -> None:
    style = (PAGE / "page.css").read_text()
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[;\s,)])", style) == []
    assert set(re.findall(r"var\(--([\w-]+)\)", style)) == themes()["light"].keys()


def test_no_script_or_style_is_inline_and_none_comes_from_elsewhere() -> None:
    page = (PAGE / "index.html").read_text()
    assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page) == []
    for path in sorted(PAGE.iterdir()):
        addresses = set(re.findall(r"https?://[^\s\"'`]+", path.read_text()))
        assert addresses <= {"http://www.w3.org/2000/svg"}, path.name


def test_no_module_makes_markup_from_text() -> None:
    for path in sorted(PAGE.glob("*.js")):
        forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser"
        assert re.findall(forbidden, path.read_text()) == [], path.name


def test_modules_are_short() -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in PAGE.glob("*.js")}
    assert {name: length for name, length in lengths.items() if length > 200} == {}
