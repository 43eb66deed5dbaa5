"""What the keys in Redis tell: how dear a walk is, who else writes, and whether the index knows all."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from mysql_redis_cache.drops.settling import unregistered
from mysql_redis_cache.drops.sweep import SCAN_COUNT, checked, scan
from mysql_redis_cache.errors import DropTimeout
from mysql_redis_cache.keys import LEASE, is_entry
from mysql_redis_cache.store import index

from .findings import Finding, Level
from .inventory import Filter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mysql_redis_cache.drops import Budget
    from mysql_redis_cache.store import Link, Pinned

    from .settings import Settings

__all__ = ["look_at_keys"]

STAGE = "looking at the keys"
WALKS = 2
TRIED = 50
SLOW = 1.0
SAMPLE, PIECE = 100, 2000
KEYS = "keys"
NODE = re.compile(rb'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"')


class _Counts:
    """What a walk has come past."""

    def __init__(self) -> None:
        self.keys = self.entries = self.leases = 0
        self.eternal_leases = self.eternal_entries = self.outside = 0
        self.is_whole = True
        self.pace = 0.0  # seconds for which a walk takes a key
        self.sample: list[bytes] = []


def look_at_keys(settings: Settings, link: Link, budget: Budget) -> Iterator[Finding]:
    """Yield what a walk over all keys shows, or over those that the time allows.

    Raises:
        CacheUnavailable: Redis could not be reached.
    """
    counts = _Counts()
    ((part,), _) = link.parts()
    with part.server.pinned() as pinned:
        counts.pace = _pace(pinned, Filter(settings.prefix))
        _walk(pinned, settings, counts, budget)
        has_node = any(NODE.search(value) for value in _values(pinned, counts.sample))
        state = checked(pinned.calls([(b"ZRANGE", index.state_name(settings.prefix), 0, -1, b"WITHSCORES")]))[
            0
        ]
    yield _cost(counts, indexed=settings.index)
    yield from _leases(counts)
    yield from _entries(counts, has_node=has_node)
    yield from _index(counts, dict(zip(state[::2], state[1::2], strict=True)), indexed=settings.index)


def _walk(pinned: Pinned, settings: Settings, counts: _Counts, budget: Budget) -> None:
    wanted = Filter(settings.prefix)
    try:
        for names in scan(pinned, b"*", budget, STAGE, lambda: 0):
            _count(pinned, settings, counts, names, wanted.of(names))
    except DropTimeout:
        counts.is_whole = False


def _pace(pinned: Pinned, wanted: Filter) -> float:
    """Measure how many seconds a walk takes for a key, on the first ones."""
    began, cursor, keys = time.perf_counter(), b"0", 0
    for _ in range(TRIED):
        cursor, names = pinned.call(b"SCAN", cursor, b"MATCH", wanted.pattern, b"COUNT", SCAN_COUNT)
        wanted.of(names)
        keys += SCAN_COUNT
        if cursor == b"0":
            break
    return (time.perf_counter() - began) / keys


def _count(
    pinned: Pinned, settings: Settings, counts: _Counts, names: Sequence[bytes], entries: list[bytes]
) -> None:
    leases = [name for name in names if name.endswith(LEASE) and settings.prefix.encode() in name]
    counts.keys += len(names)
    counts.entries += len(entries)
    counts.leases += len(leases)
    counts.eternal_leases += _eternal(pinned, leases)
    counts.eternal_entries += _eternal(pinned, entries)
    counts.sample += entries[: SAMPLE - len(counts.sample)]
    if settings.index:
        named = [name for name in entries if is_entry(name, settings.prefix)]
        counts.outside += len(unregistered(pinned, named, len(settings.prefix.encode())))


def _eternal(pinned: Pinned, names: Sequence[bytes]) -> int:
    replies = pinned.calls([(b"PTTL", name) for name in names]) if names else []
    return replies.count(-1)


def _values(pinned: Pinned, names: Sequence[bytes]) -> list[bytes]:
    replies: list[Any] = pinned.calls([(b"GETRANGE", name, 0, PIECE) for name in names]) if names else []
    return [reply for reply in replies if isinstance(reply, bytes)]


def _cost(counts: _Counts, *, indexed: bool) -> Finding:
    drop, others = WALKS * counts.pace * counts.keys, counts.keys - counts.entries - counts.leases
    which = "all" if counts.is_whole else "the first"
    text = f"of {which} {counts.keys:,} keys {counts.entries:,} are entries here, {others:,} are not"
    if indexed:
        return Finding(Level.OK, KEYS, text)
    text += f"; a drop walks over them twice, about {drop:.2f} s"
    if drop < SLOW and counts.is_whole:
        return Finding(Level.OK, KEYS, text)
    return Finding(Level.WARNING, KEYS, text, "index=True on every client and server of the namespace")


def _leases(counts: _Counts) -> Iterator[Finding]:
    if counts.eternal_leases:
        yield Finding(
            Level.WARNING,
            "leases",
            f"{counts.eternal_leases:,} of {counts.leases:,} have no end: nobody can fill these entries",
            "not from this library, whose leases end in 10 s; PERSIST or a migration does that: delete them",
        )
    else:
        yield Finding(Level.OK, "leases", f"{counts.leases:,} loads under way")


def _entries(counts: _Counts, *, has_node: bool) -> Iterator[Finding]:
    if counts.eternal_entries:
        text = f"{counts.eternal_entries:,} entries have no end"
        yield Finding(Level.WARNING, "entries", text, "whoever wrote them gave no ttl; mrc drop finds them")
    if has_node:
        yield Finding(
            Level.NOTE,
            "other writers",
            "some entries have dates as Node writes them: the npm package, or dates='npm', writes here too",
            "the npm package's fills may overtake a drop: give what must be exact a namespace",
        )


def _index(counts: _Counts, state: dict[bytes, bytes], *, indexed: bool) -> Iterator[Finding]:
    now = time.time() * 1000
    if state and not indexed:
        text = "clients with index=True use this namespace, and this command was told of none"
        yield Finding(Level.WARNING, "index", text, "index=True everywhere, or nowhere; here --index")
    if not indexed:
        return
    if float(state.get(b"unindexed", 0)) > now:
        left = (float(state[b"unindexed"]) - now) / 1000
        text = f"clients without an index write here: drops walk for {left:.0f} s more at least"
        yield Finding(Level.WARNING, "index", text, "index=True on every client of the namespace")
    elif counts.outside and b"over" in state and b"unknown" not in state:
        text = f"{counts.outside:,} entries are in no index, and drops do not find them: others write here"
        yield Finding(Level.ERROR, "index", text, "index=False beside the npm package; then mrc drop --all")
    elif not state:
        yield Finding(Level.NOTE, "index", "none yet: the first drop begins it")
    else:
        yield Finding(Level.OK, "index", "every entry is in it" if not counts.outside else "being begun")
