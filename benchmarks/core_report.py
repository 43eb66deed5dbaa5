"""What ``core.py`` measured, as a table of times, the aims, and a chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import chart
from aims import Aim, aims_table
from chart import Bar, Panel, write_bars
from core import TASKS, CoreResult, Task
from report import duration, table, times
from subjects import DOGPILE, OURS, OURS_INDEX, PYPI, RAW, Subject

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_COLOURS = {
    OURS: chart.OURS,
    OURS_INDEX: chart.OURS_TOO,
    RAW: chart.BY_HAND,
    DOGPILE: chart.OTHER,
    PYPI: chart.PEER,
}


def core_text(result: CoreResult, subjects: Sequence[Subject]) -> str:
    """The times of every subject, then the aims."""
    return f"{_times(result, subjects)}\n\n{aims_table(list(_aims(result)))}"


def core_chart(path: Path, result: CoreResult) -> None:
    """The medians as bars."""
    panels = []
    for task in _measured(result):
        names = result.timings[task.operation].samples
        panels.append(Panel(_title(task, result), [_bar(result, task.operation, name) for name in names]))
    write_bars(path, "Time of one call: shorter is better", panels)


def _bar(result: CoreResult, operation: str, subject: str) -> Bar:
    seconds = result.timings[operation].seconds(subject).median
    note = f", deletes {result.deleted[subject]}" if operation == "drop" else ""
    return Bar(subject, _COLOURS[subject], seconds, duration(seconds) + note)


def _measured(result: CoreResult) -> list[Task]:
    return [task for task in TASKS if task.operation in result.timings]


def _title(task: Task, result: CoreResult) -> str:
    if task.operation == "drop":
        return f"drop 6 of {result.drop_keys:,} keys"
    if task.operation == "hit":
        return f"{task.title} ({result.hit_bytes / 1000:.1f} kB)"
    return task.title


def _times(result: CoreResult, subjects: Sequence[Subject]) -> str:
    tasks = _measured(result)
    rows = []
    for subject in subjects:
        cells = [_cell(result, task.operation, subject.title) for task in tasks]
        rows.append([_with_version(subject), *cells])
    return table(["", *(_title(task, result) for task in tasks)], rows)


def _with_version(subject: Subject) -> str:
    return f"{subject.title} ({subject.version})" if subject.version else subject.title


def _cell(result: CoreResult, operation: str, subject: str) -> str:
    timings = result.timings[operation]
    if subject not in timings.samples:
        return "–"
    figure = timings.seconds(subject)
    text = duration(figure.median)
    if operation == "drop":
        text += f" ({result.deleted[subject]} deleted)"
    return text


# ── Aims ────────────────────────────────────────────────────────────────────────────────────────────────


def _aims(result: CoreResult) -> Iterator[Aim]:
    timings = result.timings
    if "hit" in timings:
        ratio = timings["hit"].ratio(OURS, RAW)
        what = "hit against `orjson.loads(redis.get(key))`"
        yield Aim(what, "at most 1.15 ×", times(ratio), ratio.median <= 1.15)
        commands = result.commands[OURS]
        measured = f"{len(commands)}: {', '.join(commands)}"
        yield Aim("commands that Redis gets from a hit", "1", measured, len(commands) == 1)
    if "key" in timings:
        seconds = timings["key"].seconds(OURS).median
        yield Aim("key of two params", "under 5 µs", duration(seconds), seconds < 5e-6)
    yield from _aims_against_peer(result)


def _aims_against_peer(result: CoreResult) -> Iterator[Aim]:
    for operation, title, ours, factor in (
        ("miss_many", "miss of 10,000 rows", OURS, 2),
        ("drop", "drop by sweep", OURS, 8),
        ("drop", "drop by index", OURS_INDEX, 1000),
    ):
        timings = result.timings.get(operation)
        if timings is None or not {ours, PYPI} <= timings.samples.keys():
            continue
        ratio = timings.ratio(PYPI, ours)
        wanted = f"at least {factor:,} ×"
        yield Aim(f"{title}: times as fast as {PYPI}", wanted, times(ratio), ratio.median >= factor)
    if "drop" in result.timings:
        counts = {name: result.deleted.get(name) for name in (OURS, OURS_INDEX, PYPI)}
        said = ", ".join(f"{name} {count}" for name, count in counts.items() if count is not None)
        yield Aim(
            "entries deleted by a drop that six match", "6", said, counts[OURS] == counts[OURS_INDEX] == 6
        )
