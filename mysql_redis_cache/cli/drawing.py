"""The picture that ``top`` shows: on 80 columns and 24 lines everything has its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from .speaking import printable

if TYPE_CHECKING:
    from .gathering import Gathered
    from .keyboard import Keyboard

__all__ = ["screen"]

MOST_ROWS, MOST_FOLLOWERS = 200, 3
AROUND = 9
"""Lines that are no rows of the table."""

MEGABYTE = 1_000_000


def screen(
    now: Gathered, each: dict[str, float], keys: Keyboard, place: str, height: int, *, problem: str = ""
) -> Group:
    """Draw one picture.

    Args:
        now: what all processes have told.
        each: what happens each second.
        keys: what the keyboard has said.
        place: what is watched.
        height: lines of the terminal.
        problem: why Redis told nothing new; empty if it did.
    """
    head = f"{place}: {now.clients} clients, {100 * now.hit_ratio:.2f} % hits of {now.reads:,} reads"
    told = "  ".join(f"{name} {rate:,.0f}" for name, rate in each.items() if rate)
    speed = f"each second: {told}" if told else "nothing happens, or the first notices are awaited"
    followers = [_line(f"follower {each.name}: {each.line}") for each in now.followers[:MOST_FOLLOWERS]]
    most = max(1, min(MOST_ROWS, height - AROUND - len(followers)))
    return Group(
        _line(head),
        _line(f"no news: {problem}" if problem else speed, is_bad=bool(problem)),
        _line(
            f"Redis: {_memory(now)}, {_breakers(now)}", is_bad=any(one.redis_down for one in now.processes)
        ),
        _line(f"MySQL: {_pools(now)}"),
        _line(f"trouble: {_trouble(now)}"),
        *followers,
        Text(),
        _processes(now, most) if keys.shows_processes else _queries(now, keys, most),
        Text(),
        _line(keys.prompt, "dim"),
    )


def _line(text: str, style: str = "", *, is_bad: bool = False) -> Text:
    return Text(printable(text), style="bold red" if is_bad else style, no_wrap=True, overflow="ellipsis")


def _memory(now: Gathered) -> str:
    if now.memory is None:
        return "does not tell its memory"
    limit = f"of {_size(now.max_memory)}" if now.max_memory else "and no limit"
    return f"{_size(now.memory)} {limit}"


def _breakers(now: Gathered) -> str:
    opened = [each.place for each in now.processes if each.redis_down]
    if not opened:
        return "breakers closed"
    return f"breaker open in {len(opened)} of {now.clients}: {', '.join(opened)}"


def _pools(now: Gathered) -> str:
    in_use, idle = (
        sum(getattr(each, name) for each in now.processes) for name in ("pool_in_use", "pool_idle")
    )
    most, near = (sum(getattr(each, name) for each in now.processes) for name in ("pool_size", "near_bytes"))
    kept = f"; near caches {_size(near)}" if near else ""
    return f"{in_use:,} connections in use and {idle:,} idle, of {most:,}{kept}"


def _trouble(now: Gathered) -> str:
    counts = now.counts
    trouble = {
        "failures of Redis": counts["cache_failures"],
        "fills refused": counts["refused_fills"],
        "drops failed": counts["drop_failures"],
        "waits for MySQL": counts["pool_waits"] + counts["pool_timeouts"],
        "loads failed": counts["load_failures"],
    }
    return ", ".join(f"{number:,.0f} {what}" for what, number in trouble.items() if number) or "none"


def _queries(now: Gathered, keys: Keyboard, most: int) -> Table:
    table = _table(("reads", "ratio", "loads", "mean ms", "worst ms"), f"query (sorted by {keys.order})")
    for line in now.lines(keys.order, keys.words)[:most]:
        mean, worst = f"{1000 * line.mean:,.1f}", f"{1000 * line.worst:,.1f}"
        row = (f"{line.reads:,}", _percent(line.ratio), f"{line.loads:,}", mean, worst)
        table.add_row(*row, Text(printable(line.query)))
    return table


def _processes(now: Gathered, most: int) -> Table:
    table = _table(("reads", "ratio", "breaker", "in use", "idle", "of", "near"), "client, process")
    for each in now.processes[:most]:
        breaker = Text("open", style="bold red") if each.redis_down else Text("closed")
        pool = (f"{each.pool_in_use:,}", f"{each.pool_idle:,}", f"{each.pool_size:,}")
        row = (f"{each.reads:,}", _percent(each.hit_ratio), breaker, *pool, _size(each.near_bytes))
        table.add_row(*row, Text(printable(f"{each.client}, {each.place}")))
    return table


def _table(numbers: tuple[str, ...], last: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(last, ratio=1, no_wrap=True, overflow="ellipsis")
    return table


def _percent(ratio: float) -> str:
    return f"{100 * ratio:.1f} %"


def _size(number: int) -> str:
    return f"{number / MEGABYTE:,.1f} MB"
