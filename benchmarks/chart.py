"""Charts as SVG, written by hand: bars in small panels, and lines over a logarithmic axis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    Place = Callable[[float, float], tuple[float, float]]

OURS, OURS_TOO, BY_HAND, OTHER, PEER = "#0b6e4f", "#63b08f", "#6b7885", "#b3bcc5", "#d98324"
_STYLE = (
    "text{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2933}"
    ".title{font-size:15px;font-weight:600}.head{font-weight:600}.soft{fill:#5f6c7b}.end{text-anchor:end}"
    ".middle{text-anchor:middle}.grid{stroke:#e4e7eb}.axis{stroke:#9aa5b1}"
)
_MARGIN = 24


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: which subject in which colour, how long, and what is written at its end."""

    subject: str
    colour: str
    value: float
    label: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One group of bars with a scale of its own."""

    title: str
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class Axes:
    """What the axes of a line chart say."""

    title: str
    across: str
    upwards: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line: which subject in which colour, and its points (x → y)."""

    subject: str
    colour: str
    points: Mapping[int, float]


def write_bars(path: Path, title: str, panels: Sequence[Panel]) -> None:
    """Draw the *panels* one above the other; in each, the longest bar fills the width."""
    width, name_width, row = 760, 240, 20
    drawn = [_text(_MARGIN, 34, title, "title")]
    top = 58
    for panel in panels:
        drawn.append(_text(_MARGIN, top + 12, panel.title, "head"))
        longest = max(bar.value for bar in panel.bars)
        room = width - 2 * _MARGIN - name_width - 110
        for number, bar in enumerate(panel.bars):
            y = top + 20 + number * row
            length = max(2.0, room * bar.value / longest)
            drawn.append(_text(_MARGIN + name_width - 10, y + 13, bar.subject, "end soft"))
            drawn.append(_rectangle(_MARGIN + name_width, y + 2, length, row - 5, bar.colour))
            drawn.append(_text(_MARGIN + name_width + length + 7, y + 13, bar.label))
        top += 20 + row * len(panel.bars) + 18
    _write(path, width, top + 4, title, drawn)


def write_lines(path: Path, axes: Axes, lines: Sequence[Line]) -> None:
    """Draw the *lines*; x is logarithmic, y starts at zero."""
    width, height, left, bottom = 760, 420, 78, 356
    right, top = width - 190, 66
    ticks = sorted({x for line in lines for x in line.points})
    highest = _round_up(max(y for line in lines for y in line.points.values()))
    span = math.log(ticks[-1]) - math.log(ticks[0]) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        across = (math.log(x) - math.log(ticks[0])) / span
        return left + (right - left) * across, bottom - (bottom - top) * y / highest

    drawn = [_text(_MARGIN, 34, axes.title, "title"), _text(_MARGIN, 54, axes.upwards, "soft")]
    drawn += _grid(place, ticks, highest)
    drawn.append(_text((left + right) / 2, bottom + 40, axes.across, "soft middle"))
    drawn += _curves(place, lines)
    _write(path, width, height, axes.title, drawn)


def _grid(place: Place, ticks: Sequence[int], highest: float) -> list[str]:
    left, right = place(ticks[0], 0)[0], place(ticks[-1], 0)[0]
    drawn = []
    for part in range(5):
        value = highest * part / 4
        y = place(ticks[0], value)[1]
        style = "grid" if part else "axis"
        drawn.append(f'<line class="{style}" x1="{left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(_text(left - 10, y + 4, f"{value:,.0f}", "end soft"))
    drawn += [_text(place(tick, 0)[0], place(tick, 0)[1] + 20, f"{tick:,}", "middle soft") for tick in ticks]
    return drawn


def _curves(place: Place, lines: Sequence[Line]) -> list[str]:
    drawn = []
    label_y = -math.inf
    for line in sorted(lines, key=lambda line: -line.points[max(line.points)]):
        points = [place(x, y) for x, y in sorted(line.points.items())]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        drawn.append(f'<polyline fill="none" stroke="{line.colour}" stroke-width="2.5" points="{path}"/>')
        drawn += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{line.colour}"/>' for x, y in points]
        label_y = max(label_y + 16, points[-1][1] + 4)  # labels of lines that end together must not overlap
        drawn.append(_text(points[-1][0] + 14, label_y, line.subject))
    return drawn


def _round_up(value: float) -> float:
    size: float = 10 ** math.floor(math.log10(value))
    return next(step * size for step in (1, 2, 4, 6, 8, 10) if step * size >= value)


def _text(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _rectangle(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2" fill="{colour}"/>'


def _write(path: Path, width: float, height: float, title: str, drawn: Sequence[str]) -> None:
    body = "\n".join(drawn)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n"
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
    )
