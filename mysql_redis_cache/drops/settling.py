"""Until when entries may live that are in no index: found out by looking at all of a namespace's, once.

That is needed when somebody uses an index where entries were cached before, by clients without one; or when
Redis has evicted what was known of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mysql_redis_cache.keys import LEASE, every_pattern, first_pairs, is_entry
from mysql_redis_cache.store import index
from mysql_redis_cache.store.scripts import SETTLE

from .sweep import checked, scan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mysql_redis_cache.store import Pinned

    from .budget import Budget

__all__ = ["settle", "unregistered"]

STAGE = "looking for entries that are in no index"

LEASES_END = 15_000
"""Milliseconds after which each lease from before has ended, or its renewal has registered it."""


def settle(pinned: Pinned, prefix: str, since: bytes, budget: Budget) -> bool:
    """Have the state of the index tell until when entries may live that are in no index.

    A load that began before the index did leaves its entry later, and no mark. So either all such loads must
    be over, or nobody may be loading: leases are looked for first, for the reason for which a sweep revokes
    them first.

    Args:
        pinned: a connection to Redis.
        prefix: the namespace's.
        since: the moment from which that is not known, as the state has it.
        budget: the time that it may take.

    Returns:
        whether it is known now.
    """
    seconds, microseconds = pinned.call(b"TIME")
    now = int(seconds) * 1000 + int(microseconds) // 1000
    if now - abs(float(since)) < LEASES_END and _is_loading(pinned, prefix, budget):
        return False
    lefts: set[int] = set()
    for entries in _entries(pinned, prefix, budget):
        outside = entries if since.startswith(b"-") else unregistered(pinned, entries, len(prefix.encode()))
        lefts.update(checked(pinned.calls([(b"PTTL", name) for name in outside])) if outside else ())
    if -1 in lefts:  # for ever: nobody but its maker knows
        return False
    longest = max(lefts, default=0)
    pinned.call(b"EVAL", SETTLE.source, 1, index.state_name(prefix), since, max(0, longest))
    return True


def _is_loading(pinned: Pinned, prefix: str, budget: Budget) -> bool:
    leases: list[bytes] = []
    for names in scan(pinned, every_pattern(prefix) + LEASE, budget, STAGE, lambda: 0):
        leases += names[:1]  # and on to the end, since no reply may be left unread
    return bool(leases)


def _entries(pinned: Pinned, prefix: str, budget: Budget) -> Iterator[list[bytes]]:
    for names in scan(pinned, every_pattern(prefix), budget, STAGE, lambda: 0):
        yield [name for name in names if is_entry(name, prefix)]


def unregistered(pinned: Pinned, entries: Sequence[bytes], start: int) -> list[bytes]:
    """Return the entries that are not in the set of their first pair, however that is read."""
    commands: list[tuple[Any, ...]] = []
    owners: list[bytes] = []
    for name in entries:
        member = name if len(name) <= index.LONGEST_MEMBER else index.digest_of(name)
        for pair in first_pairs(name, start):
            commands.append((b"ZSCORE", index.set_name(index.digest_of(pair)), member))
            owners.append(name)
    replies = checked(pinned.calls(commands)) if commands else []
    registered = {name for name, moment in zip(owners, replies, strict=True) if moment is not None}
    return [name for name in entries if name not in registered]
