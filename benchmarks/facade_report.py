"""What ``facade.py`` measured, as tables, aims and a chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import chart
from aims import Aim, aims_table
from chart import Axes, Line, write_lines
from facade import IDLE, LOOPS, OURS, PYPI, RAW, FacadeResult, Load
from report import duration, table, times

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LATE_SECONDS = 0.005
_COLOURS = {OURS: chart.OURS, RAW: chart.BY_HAND, PYPI: chart.PEER}


def facade_text(result: FacadeResult) -> str:
    """A table for each event loop, the aims, and what went wrong."""
    loops = [loop for loop in LOOPS if any(load.loop == loop for load in result.loads)]
    parts = [f"**{loop}**\n\n{_table(result, loop)}" for loop in loops]
    parts.append(_holds_table(result))
    parts.append(aims_table(list(_aims(result))))
    parts += _errors(result)
    return "\n\n".join(parts)


def facade_chart(path: Path, result: FacadeResult) -> None:
    """Hits per second over the number of tasks, on the fastest event loop there is."""
    loop = next(reversed(result.loads)).loop
    lines = []
    for name in result.titles:
        points = {load.tasks: result.median(load, name, "rate") for load in _loads(result, loop)}
        lines.append(Line(name, _COLOURS[name], points))
    write_lines(
        path, Axes(f"Cached reads on {loop}: higher is better", "tasks at once", "hits per second"), lines
    )


def _loads(result: FacadeResult, loop: str) -> list[Load]:
    return [load for load in result.loads if load.loop == loop]


def _table(result: FacadeResult, loop: str) -> str:
    rows = [
        [str(load.tasks), *(_cell(result, load, name) for name in result.titles)]
        for load in _loads(result, loop)
    ]
    return table(["tasks", *result.titles.values()], rows)


def _cell(result: FacadeResult, load: Load, library: str) -> str:
    rate, p50, p99 = (result.median(load, library, figure) for figure in ("rate", "p50", "p99"))
    cpu = duration(result.median(load, library, "cpu"))
    text = f"{rate:,.0f}/s, p50 {duration(p50)}, p99 {duration(p99)}, CPU {cpu}"
    return f"{text}, errors" if result.errors(load, library) else text


def _holds_table(result: FacadeResult) -> str:
    rows = [[what, *(_hold_cell(result, what, name) for name in result.titles)] for what in result.holds]
    return table(["while the loop serves", *result.titles], rows)


def _hold_cell(result: FacadeResult, what: str, library: str) -> str:
    figures = ("late_max", "hold", "hold_computing")
    late, hold, computing = (duration(_longest(result, what, library, figure)) for figure in figures)
    return f"late {late}, callback {hold}, computing {computing}"


def _longest(result: FacadeResult, what: str, library: str, figure: str) -> float:
    return max(float(answer[figure]) for answer in result.holds[what][library])


def _errors(result: FacadeResult) -> list[str]:
    lines = []
    for name in result.titles:
        failed = [load for load in result.loads if result.errors(load, name)]
        if failed:
            tasks = sorted({load.tasks for load in failed})
            lines.append(
                f"{name} raised `{result.errors(failed[0], name)}` at {', '.join(map(str, tasks))} tasks."
            )
    return lines


# ── Aims ────────────────────────────────────────────────────────────────────────────────────────────────

_RATES = ((1, PYPI, 1.0), (16, PYPI, 3.0), (64, PYPI, 5.0), (64, RAW, 3.0))


def _aims(result: FacadeResult) -> Iterator[Aim]:
    for load in result.loads:
        where = f"{load.tasks:,} {'task' if load.tasks == 1 else 'tasks'}, {load.loop}"
        for tasks, reference, factor in _RATES:
            if load.tasks == tasks and reference in result.titles:
                ratio = result.ratio(load, reference, OURS, "rate")
                what = f"hits per second against {reference}, {where}"
                yield Aim(what, f"at least {factor:g} ×", times(ratio), ratio.median >= factor)
        if load.tasks == 64 and PYPI in result.titles:
            ratio = result.ratio(load, PYPI, OURS, "p99")
            what = f"p99 latency against {PYPI}, {where}"
            yield Aim(what, "at most 0.25 ×", times(ratio), ratio.median <= 0.25)
            ratio = result.ratio(load, OURS, PYPI, "cpu")
            what = f"hits per CPU second against {PYPI}, {where}"
            yield Aim(what, "at least 6 ×", times(ratio), ratio.median >= 6)
        if load.tasks == 64:
            cpu, decoding = (result.median(load, OURS, figure) for figure in ("cpu", "decoding"))
            measured = f"{duration(cpu)}, `orjson.loads` alone {duration(decoding)}"
            yield Aim(f"CPU of a hit, all threads, {where}", "at most 20 µs", measured, cpu <= 20e-6)
        if load.tasks == 1000:
            errors, threads = (result.median(load, OURS, figure) for figure in ("errors", "threads"))
            yield Aim(f"errors, {where}", "0", f"{errors:g} ({threads:g} threads)", errors == 0)
    for what in (title for title in result.holds if title != IDLE):
        late = _longest(result, what, OURS, "late_max")
        aim = f"the event loop's longest delay while it serves {what}"
        yield Aim(aim, "at most 5 ms", duration(late), late <= LATE_SECONDS)
