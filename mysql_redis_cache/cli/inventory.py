"""What lies in Redis: entries found by a walk over all keys, however many, in bounded memory."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

from mysql_redis_cache.drops.sweep import checked, scan
from mysql_redis_cache.keys import Finder, Matcher, Whole, lease_name
from mysql_redis_cache.store import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mysql_redis_cache.drops import Budget
    from mysql_redis_cache.keys import Sought
    from mysql_redis_cache.store import Link, Pinned

__all__ = ["ORDERS", "Entry", "Filter", "chosen", "entries", "look_up"]

STAGE = "looking for entries"
GONE = -2
_HEAD = slice(-40, -24)


class Entry(NamedTuple):
    """An entry, as a list shows it.

    Attributes:
        key: its key.
        ttl: seconds it has left, rounded up; ``None`` if it stays.
        size: bytes of its value.
    """

    key: bytes
    ttl: int | None
    size: int


class Filter:
    """Which entries are meant: those of a namespace that carry all of some pairs, of one query maybe.

    Args:
        prefix: the namespace's.
        pairs: what an entry must carry, if anything.
        head: the query's digits, as ``keys.query_digest`` gives them, or none for any query.
    """

    def __init__(self, prefix: str, pairs: Matcher | None = None, head: str = "") -> None:
        sought: Sought = pairs or Whole(prefix, head)
        self._finder = Finder([[sought]])
        self._head = head.encode()
        self.pattern = self._finder.pattern

    def of(self, names: Iterable[bytes]) -> list[bytes]:
        """Return those of *names* that are meant."""
        found = [name for name, _ in self._finder.entries(names)]
        return [name for name in found if name[_HEAD] == self._head] if self._head else found


def entries(
    link: Link, wanted: Filter, budget: Budget, seen: Callable[[int], object] = lambda _: None
) -> Iterator[Entry]:
    """Yield entries as a walk meets them, the same one maybe twice.

    Args:
        link: the way to Redis.
        wanted: which.
        budget: the time that all of it may take.
        seen: told how many batches of keys have been walked over.

    Raises:
        CacheUnavailable: Redis could not be reached.
        DropTimeout: the time is over.
    """
    with budget.bounding():
        for part in link.parts(budget.left)[0]:
            with part.server.pinned(budget.left) as pinned:
                walk = scan(pinned, wanted.pattern, budget, STAGE, lambda: 0)
                for batch, names in enumerate(walk, 1):
                    seen(batch)
                    yield from _described(pinned, wanted.of(names))


def look_up(link: Link, key: bytes) -> tuple[Entry, bytes, bool] | None:
    """Return one entry, its bytes, and whether somebody is loading it; ``None`` if there is none.

    Raises:
        CacheUnavailable: Redis could not be reached, or holds something else under that key.
    """
    lease = lease_name(key)
    left, payload, loading = checked(link.calls([(b"PTTL", key), (b"GET", key), (b"PTTL", lease)]))
    return None if payload is None else (Entry(key, _seconds(left), len(payload)), payload, loading != GONE)


def _described(pinned: Pinned, names: Sequence[bytes]) -> Iterator[Entry]:
    replies = pinned.calls([(command, name) for name in names for command in (b"PTTL", b"STRLEN")])
    for name, left, size in zip(names, replies[::2], replies[1::2], strict=True):
        for reply in (left, size):
            if isinstance(reply, Refused) and not reply.is_wrong_type:
                raise reply
        if left != GONE and not isinstance(size, Refused):  # of another type it is no entry
            yield Entry(name, _seconds(left), size)


def _seconds(milliseconds: int) -> int | None:
    return None if milliseconds < 0 else -(-milliseconds // 1000)


ORDERS: dict[str, Callable[[Entry], tuple[object, ...]]] = {
    "key": lambda entry: (entry.key,),
    "ttl": lambda entry: (entry.ttl is None, entry.ttl, entry.key),
    "bytes": lambda entry: (-entry.size, entry.key),
}
"""By key, those that end first, or the largest first."""


def chosen(found: Iterable[Entry], order: str | None, limit: int) -> Iterable[Entry]:
    """Return the first entries in an order, holding no more than *limit* of them.

    Args:
        found: entries, some maybe twice.
        order: one of ``ORDERS``, or ``None`` for the order in which they are met.
        limit: how many at most; 0, which only ``None`` allows for many, is all.
    """
    if order is None:
        return _first(found, limit)
    rank = ORDERS[order]
    if not limit:
        return sorted(set(found), key=rank)
    best: dict[bytes, Entry] = {}
    for entry in found:
        best[entry.key] = entry
        if len(best) >= 2 * limit + 1000:
            best = {one.key: one for one in heapq.nsmallest(limit, best.values(), rank)}
    return heapq.nsmallest(limit, best.values(), rank)


def _first(found: Iterable[Entry], limit: int) -> Iterator[Entry]:
    """Yield the first *limit* entries; of one met twice the second is left out where that can be told."""
    seen: set[bytes] = set()
    for count, entry in enumerate(_once(found, seen, limit), 1):
        yield entry
        if count == limit:
            return


def _once(found: Iterable[Entry], seen: set[bytes], limit: int) -> Iterator[Entry]:
    for entry in found:
        if entry.key in seen:
            continue
        if limit:
            seen.add(entry.key)
        yield entry
