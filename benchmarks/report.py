"""Markdown: tables, units, and the generated sections of ``docs/benchmarks.md``."""

from __future__ import annotations

import os
import platform
import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from measure import Figure

_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def duration(seconds: float) -> str:
    """*seconds* with three digits and the unit that suits them: ``98.2 µs``."""
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size), _UNITS[-1])
    return f"{_three_digits(seconds / size)} {unit}"


def times(ratio: Figure) -> str:
    """A ratio and its spread: ``1.08 × (1.05 to 1.12)``."""
    median, low, high = (_three_digits(value) for value in (ratio.median, ratio.low, ratio.high))
    return f"{median} × ({low} to {high})" if low != high else f"{median} ×"


def _three_digits(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are set to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def replace_section(page: Path, name: str, content: str) -> None:
    """Put *content* between the markers ``<!-- name: begin … -->`` and ``<!-- name: end -->`` of *page*.

    Raises:
        ValueError: the page has no such markers.
    """
    text = page.read_text()
    section = re.compile(rf"(<!-- {name}: begin[^>]*-->\n).*?(<!-- {name}: end -->)", re.DOTALL)
    if not section.search(text):
        raise ValueError(
            f"{page} has no section {name!r}: put <!-- {name}: begin --> and <!-- {name}: end --> into it"
        )
    page.write_text(section.sub(lambda found: f"{found[1]}\n{content}\n\n{found[2]}", text))


def machine() -> str:
    """Where and when: processor, number of cores, Python, date."""
    cores = f"{os.cpu_count()} cores"
    return f"{_processor()}, {cores}, Python {platform.python_version()}, {date.today().isoformat()}"


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*:\s*(.+)", information.read_text()) if information.exists() else []
    return names[0] if names else platform.processor() or platform.machine()
