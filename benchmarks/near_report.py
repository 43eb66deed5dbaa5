"""What ``near.py`` measured: a table, the aims, and a chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import chart
from aims import Aim, aims_table
from chart import Bar, Panel, write_bars
from near import BY_HAND, CHANGES, FAR, LEAST, NEAR, TASKS, THREADS, NearResult
from report import duration, table, times

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from measure import Timings

COLOURS = {NEAR: chart.OURS, FAR: chart.OURS_TOO, BY_HAND: chart.BY_HAND, LEAST: chart.OTHER}


def near_text(result: NearResult) -> str:
    """A row for each hit, and the aims."""
    rows = [row for where, timings in _places(result) for row in _rows(where, timings)]
    head = ["", "a hit, 10 rows", "as long as a near hit"]
    return f"{table(head, rows)}\n\n{aims_table(list(_aims(result)))}"


def near_chart(path: Path, result: NearResult) -> None:
    """The hits as bars."""
    panels = [
        Panel(where or "one thread", [_bar(timings, name) for name in timings.samples])
        for where, timings in _places(result)
    ]
    write_bars(path, "Time of a hit, from this process and from Redis: shorter is better", panels)


def _places(result: NearResult) -> list[tuple[str, Timings]]:
    return [
        ("", result.blocking),
        (f"{THREADS} threads", result.threads),
        (f"facade, {TASKS} tasks", result.tasks),
    ]


def _rows(where: str, timings: Timings) -> Iterator[list[str]]:
    for name in timings.samples:
        took = duration(timings.seconds(name).median)
        yield [
            f"{name}, {where}" if where else name,
            took,
            "" if name == NEAR else times(timings.ratio(name, NEAR)),
        ]


def _bar(timings: Timings, name: str) -> Bar:
    seconds = timings.seconds(name).median
    return Bar(name.replace("`", ""), COLOURS[name], seconds, duration(seconds))


def _aims(result: NearResult) -> Iterator[Aim]:
    faster = result.blocking.ratio(BY_HAND, NEAR)
    what = f"times as fast as {BY_HAND}"
    yield Aim(f"near hit: {what}", "at least 10 ×", times(faster), faster.median >= 10)
    longer = result.blocking.ratio(NEAR, LEAST)
    yield Aim(f"near hit against {LEAST}", "at most 1.6 ×", times(longer), longer.median <= 1.6)
    seconds = result.tasks.seconds(NEAR)
    rate = 1 / seconds.median
    spread = f"{rate:,.0f} ({1 / seconds.high:,.0f} to {1 / seconds.low:,.0f})"
    yield Aim(f"near hits a second, facade, {TASKS} tasks", "at least 90,000", spread, rate >= 90_000)
    heard = result.changes
    spread = f"{heard.median:,.0f} ({heard.low:,.0f} to {heard.high:,.0f})"
    what = f"changes heard of a second, {CHANGES:,} at once"
    yield Aim(what, "at least 50,000", spread, heard.median >= 50_000)
