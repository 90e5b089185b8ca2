"""Bar charts as SVG, written without a library. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

__all__ = ["Bar", "bars"]

_WIDTH, _LEFT, _RIGHT, _TOP = 860, 190, 60, 74
_BAR, _GROUP_GAP = 15, 12
_COLOURS = ("#1f6feb", "#9aa4b2", "#2da44e")
_TEXT = 'font-family="sans-serif" font-size="12" fill="#1f2328"'


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar up to ``median``, with a line from ``low`` to ``high``. Each ``name`` has its own colour."""

    name: str
    low: float
    median: float
    high: float


def bars(title: str, groups: Mapping[str, Sequence[Bar]]) -> str:
    """Returns horizontal bars in named groups, as an SVG document."""
    names = list(dict.fromkeys(bar.name for group in groups.values() for bar in group))
    colours = {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(names)}
    step, end = _axis(max((bar.high for group in groups.values() for bar in group), default=1.0))
    scale = (_WIDTH - _LEFT - _RIGHT) / end
    height = _TOP + sum(len(group) * _BAR + _GROUP_GAP for group in groups.values()) + 8
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="22" {_TEXT} font-weight="bold">{escape(title)}</text>',
        *_legend(colours),
        *_grid(step, end, scale, height),
    ]
    y = _TOP
    for label, group in groups.items():
        middle = y + len(group) * _BAR / 2 + 4
        lines.append(
            f'<text x="{_LEFT - 8}" y="{middle:.1f}" text-anchor="end" {_TEXT}>{escape(label)}</text>'
        )
        for bar in group:
            lines += _bar(bar, y, scale, colours[bar.name])
            y += _BAR
        y += _GROUP_GAP
    return "\n".join([*lines, "</svg>"]) + "\n"


def _axis(greatest: float) -> tuple[float, float]:
    """Returns the step of the grid (1, 2 or 5 times a power of ten) and the end, a whole number of steps."""
    rough = max(greatest, 1e-9) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return step, step * math.ceil(greatest / step)


def _legend(colours: Mapping[str, str]) -> Iterator[str]:
    x = _LEFT
    for name, colour in colours.items():
        yield f'<rect x="{x}" y="34" width="12" height="12" fill="{colour}"/>'
        yield f'<text x="{x + 18}" y="44" {_TEXT}>{escape(name)}</text>'
        x += 40 + 7 * len(name)


def _grid(step: float, end: float, scale: float, height: int) -> Iterator[str]:
    for number in range(round(end / step) + 1):
        x = _LEFT + number * step * scale
        yield f'<line x1="{x:.1f}" y1="{_TOP - 6}" x2="{x:.1f}" y2="{height - 8}" stroke="#d8dee4"/>'
        yield f'<text x="{x:.1f}" y="{_TOP - 10}" text-anchor="middle" {_TEXT}>{number * step:g}</text>'


def _bar(bar: Bar, y: int, scale: float, colour: str) -> Iterator[str]:
    low, median, high = (_LEFT + value * scale for value in (bar.low, bar.median, bar.high))
    centre = y + (_BAR - 2) / 2
    width = median - _LEFT
    yield f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR - 2}" fill="{colour}"/>'
    yield (
        f'<line x1="{low:.1f}" y1="{centre:.1f}" x2="{high:.1f}" y2="{centre:.1f}" '
        'stroke="#1f2328" stroke-width="1.5"/>'
    )
    yield f'<text x="{max(high, median) + 5:.1f}" y="{centre + 4:.1f}" {_TEXT}>{bar.median:.1f}</text>'
