"""``stats`` and ``top``: what all processes do that share their stats."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click
from rich.live import Live

from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.store import Noticeboard, Refused

from .drawing import screen
from .endings import NOTHING, give_up
from .gathering import ORDERS, RATES, Gathered, gathered, rates
from .keyboard import Keyboard
from .settings import servers
from .speaking import as_json, printable, say, write

if TYPE_CHECKING:
    from mysql_redis_cache.store import Link

    from .settings import Settings

__all__ = ["Watched", "stats", "top"]

NOBODY = "no client shares its stats here: MRCClient(…, share_stats=True), and five seconds of patience"
HEADS_EVERY = 20


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
    if count is not None and interval is None:
        raise click.UsageError("--count needs an --interval")
    watched = Watched(settings.link(), settings.prefix)
    now = watched.look()
    if interval is not None:
        _roll(watched, now, interval, count, is_json=is_json)
        return
    if is_json:
        write(as_json(now.as_dict()))
        return
    write(f"clients\t{now.clients}")
    write(f"hit ratio\t{now.hit_ratio:.4f}")
    if now.memory is not None:
        write(f"Redis memory\t{now.memory}")
    for name, number in sorted(now.counts.items()):
        write(f"{printable(name)}\t{number if isinstance(number, int) else f'{number:.6g}'}")
    for follower in now.followers:
        write(f"follower {printable(follower.name)}\t{printable(follower.line)}")


class Watched:
    """The processes whose clients share their stats, and the Redis that they share.

    Args:
        link: the way to Redis.
        prefix: the namespace's.
    """

    def __init__(self, link: Link, prefix: str) -> None:
        self._link = link
        self._board = Noticeboard(link, prefix)

    def look(self) -> Gathered:
        """Return what they have told; end the command if nobody has told anything."""
        found = self.look_again()
        if not found.clients and not found.followers:
            give_up(NOBODY, NOTHING)
        return found

    def look_again(self) -> Gathered:
        """Return what they have told, be it nothing.

        Raises:
            CacheUnavailable: Redis did not answer.
        """
        found = gathered(self._board.notices())
        memory = _memory(self._link)
        found.memory, found.max_memory = memory.get("used_memory"), memory.get("maxmemory", 0)
        return found


def _memory(link: Link) -> dict[str, int]:
    """Return what Redis says of its memory; nothing if the account may not ask."""
    try:
        text = bytes(link.call(b"INFO", b"memory")).decode("utf-8", "replace")
    except Refused:
        return {}
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name: int(fields[name]) for name in ("used_memory", "maxmemory") if name in fields}


def _roll(watched: Watched, before: Gathered, interval: float, count: int | None, *, is_json: bool) -> None:
    """Write a line every *interval* seconds; while nobody has told anything new it is as the one before."""
    lines, began = 0, time.monotonic()
    each = dict.fromkeys(RATES, 0.0)
    while count is None or lines < count:
        time.sleep(interval)
        now, moment = watched.look_again(), time.monotonic()
        if now.at > before.at:
            each = rates(before, now, moment - began)
            before, began = now, moment
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
        lines += 1


@click.command(
    epilog="""\b
Examples:
    mrc top
    mrc top --sort worst --interval 5

\b
Keys:
    r h l m w  sort by reads, hit ratio, loads, mean or worst time of a load
    p          processes, each with its breaker and pool, or queries again
    /          show only queries with some words: type them, Enter ends
    q          end
"""
)
@servers
@click.option("--interval", default=2.0, show_default=True, type=click.FloatRange(0.2), help="Seconds.")
@click.option("--sort", default="reads", show_default=True, type=click.Choice(ORDERS))
@click.option("--json", "is_json", is_flag=True, help="One JSON object, and end; as without a terminal.")
def top(*, settings: Settings, interval: float, sort: str, is_json: bool) -> None:
    """Watch all processes whose clients share their stats.

    Hits, loads, the hottest and slowest queries, breakers and pools, the memory of Redis. Without a terminal
    it writes one line of JSON, and ends. While Redis is away it goes on with what was told before.
    """
    watched = Watched(settings.link(), settings.prefix)
    now = watched.look()
    if is_json or not (sys.stdout.isatty() and sys.stdin.isatty()):
        write(as_json(now.as_dict()))
        return
    before, began = now, time.monotonic()
    each: dict[str, float] = {}
    problem = ""
    with Keyboard(sort) as keys, Live(screen=True, auto_refresh=False) as live:
        while not keys.is_over:
            picture = screen(now, each, keys, settings.place, live.console.height, problem=problem)
            live.update(picture, refresh=True)
            if not keys.wait(interval):
                continue
            try:
                now, moment, problem = watched.look_again(), time.monotonic(), ""
            except CacheUnavailable as error:
                problem = str(error)
                continue
            if now.at > before.at:
                each = rates(before, now, moment - began)
                before, began = now, moment
