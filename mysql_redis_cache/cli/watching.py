"""``stats`` and ``top``: what all processes do that share their stats."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mysql_redis_cache.store import Noticeboard

from .endings import NOTHING, give_up
from .gathering import ORDERS, Gathered, gathered, rates
from .keyboard import Keyboard
from .settings import servers
from .speaking import as_json, printable, say, write

if TYPE_CHECKING:
    from .settings import Settings

__all__ = ["screen", "stats", "top"]

NOBODY = "no client shares its stats here: MRCClient(…, share_stats=True), and five seconds of patience"
HEADS_EVERY = 20
MOST_QUERIES = 200


@click.command(
    epilog="""\b
Examples:
    mrc stats
    mrc stats --interval 5
    mrc stats --json | jq .hit_ratio
"""
)
@servers
@click.option("--interval", type=click.FloatRange(1), help="A line every so many seconds, until interrupted.")
@click.option("--count", type=click.IntRange(1), help="How many such lines.")
@click.option("--json", "is_json", is_flag=True, help="All sums, and the queries, as one JSON object.")
def stats(*, settings: Settings, interval: float | None, count: int | None, is_json: bool) -> None:
    """Show what all processes have done whose clients share their stats.

    Sums since their starts; with --interval what happens each second. Clients share with share_stats=True.
    """
    board = Noticeboard(settings.link(), settings.prefix)
    now = _look(board)
    if interval is not None:
        _roll(board, now, interval, count, is_json=is_json)
        return
    if is_json:
        write(as_json(now.as_dict()))
        return
    write(f"clients\t{now.clients}")
    write(f"hit ratio\t{now.hit_ratio:.4f}")
    for name, number in sorted(now.counts.items()):
        write(f"{printable(name)}\t{number:.6g}")


def _look(board: Noticeboard) -> Gathered:
    found = gathered(board.notices())
    if not found.clients:
        give_up(NOBODY, NOTHING)
    return found


def _roll(board: Noticeboard, before: Gathered, interval: float, count: int | None, *, is_json: bool) -> None:
    """Write a line every *interval* seconds."""
    lines, began = 0, time.monotonic()
    while count is None or lines < count:
        time.sleep(interval)
        now, moment = gathered(board.notices()), time.monotonic()
        each = rates(before, now, moment - began)
        if is_json:
            write(as_json({"clients": now.clients, "hit_ratio": now.hit_ratio, **each}))
        else:
            if lines % HEADS_EVERY == 0:
                say("\t".join(("clients", "ratio", *[f"{name}/s" for name in each])))
            write(
                "\t".join(
                    (str(now.clients), f"{now.hit_ratio:.4f}", *[f"{rate:.1f}" for rate in each.values()])
                )
            )
        before, began, lines = now, moment, lines + 1


@click.command(
    epilog="""\b
Examples:
    mrc top
    mrc top --sort worst --interval 5

\b
Keys:
    r h l m w  sort by reads, hit ratio, loads, mean or worst time of a load
    /          show only queries with some words: type them, Enter ends
    q          end
"""
)
@servers
@click.option("--interval", default=2.0, show_default=True, type=click.FloatRange(0.2), help="Seconds.")
@click.option("--sort", default="reads", show_default=True, type=click.Choice(ORDERS))
@click.option("--json", "is_json", is_flag=True, help="One JSON object, and end; as without a terminal.")
def top(*, settings: Settings, interval: float, sort: str, is_json: bool) -> None:
    """Watch all processes whose clients share their stats: hits, loads, the hottest and slowest queries.

    Without a terminal it writes one line of JSON, and ends.
    """
    board = Noticeboard(settings.link(), settings.prefix)
    now = _look(board)
    if is_json or not (sys.stdout.isatty() and sys.stdin.isatty()):
        write(as_json(now.as_dict()))
        return
    before, began = now, time.monotonic()
    each: dict[str, float] = {}
    with Keyboard(sort) as keys, Live(screen=True, auto_refresh=False) as live:
        while not keys.is_over:
            live.update(screen(now, each, keys, settings.place, live.console.height), refresh=True)
            if not keys.wait(interval):
                continue
            now, moment = gathered(board.notices()), time.monotonic()
            if now.at > before.at:
                each = rates(before, now, moment - began)
                before, began = now, moment


def screen(now: Gathered, each: dict[str, float], keys: Keyboard, place: str, height: int) -> Group:
    """Draw one picture; on 80 columns and 24 lines everything has its place."""
    head = Text(f"{place}: {now.clients} clients, {100 * now.hit_ratio:.2f} % hits of {now.reads:,} reads")
    told = "  ".join(f"{name} {rate:,.0f}" for name, rate in each.items() if rate)
    speed = Text(f"each second: {told}" if told else "nothing happens, or the first notices are awaited")
    counts = now.counts
    trouble = {
        "failures of Redis": counts["cache_failures"],
        "fills refused": counts["refused_fills"],
        "drops failed": counts["drop_failures"],
        "waits for MySQL": counts["pool_waits"] + counts["pool_timeouts"],
        "loads failed": counts["load_failures"],
    }
    found = ", ".join(f"{number:,.0f} {what}" for what, number in trouble.items() if number)
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for name in ("reads", "ratio", "loads", "mean ms", "worst ms"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(f"query (sorted by {keys.order})", ratio=1, no_wrap=True, overflow="ellipsis")
    for line in now.lines(keys.order, keys.words)[: max(1, min(MOST_QUERIES, height - 7))]:
        mean, worst = f"{1000 * line.mean:,.1f}", f"{1000 * line.worst:,.1f}"
        ratio = f"{100 * line.ratio:.1f} %"
        table.add_row(f"{line.reads:,}", ratio, f"{line.loads:,}", mean, worst, Text(printable(line.query)))
    foot = Text(keys.prompt, style="dim")
    return Group(head, speed, Text(f"trouble: {found or 'none'}"), Text(), table, Text(), foot)
