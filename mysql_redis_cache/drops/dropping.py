"""Drops: by the index where it can be trusted, else by sweep."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.keys import Finder, Matcher, lease_name
from mysql_redis_cache.policy import check_count, wait_seconds
from mysql_redis_cache.runtime import process
from mysql_redis_cache.store import NotNow

from .budget import Budget
from .lookup import Incomplete, Lookup
from .sharing import Sweeps
from .sweep import SCAN_COUNT, Sweep, await_replicas, checked, scan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mysql_redis_cache.store import Link

__all__ = ["DROP_TIMEOUT", "Drops"]

logger = logging.getLogger("mysql_redis_cache")

T = TypeVar("T")

DROP_TIMEOUT = 60.0
KEY_TIMEOUT = 10.0
RETRY_PAUSE = 0.1
COUNTING = "counting entries"


class Drops:
    """Drops by sweep or by index over one link.

    Args:
        link: the way to Redis.
        prefix: the namespace's key prefix.
        indexed: whether to use the index.
        wait_replicas: how many replicas must have every deletion before a drop returns.

    Raises:
        TypeError, ValueError: *wait_replicas* is no count.
    """

    def __init__(
        self, link: Link, prefix: str = "", *, indexed: bool = False, wait_replicas: int = 0
    ) -> None:
        self._link = link
        self._prefix = prefix
        self._index = Lookup(link, prefix) if indexed and not link.clustered else None
        self._doubt = ""
        self._replicas = check_count("wait_replicas", wait_replicas)
        self._sweeps = Sweeps(self._sweep)
        process.register(self)

    def after_fork_in_child(self) -> None:
        """Forget the parent's sweeps."""
        self._sweeps.after_fork_in_child()

    def drop(
        self,
        names: Sequence[str],
        values: Sequence[object],
        *,
        require_all: bool = True,
        dry_run: bool = False,
        timeout: float = DROP_TIMEOUT,
        retry_for: float = 0.0,
    ) -> int:
        """Delete the entries that carry the pairs; as ``MRCServer.drop_outdated_cache``, which see."""
        timeout, retry_for = wait_seconds("timeout", timeout), wait_seconds("retry_for", retry_for)
        budget = Budget(max(timeout, retry_for))
        look = budget.checking("checking the pairs")
        matcher = Matcher(names, values, require_all, self._prefix, look)
        return self.perform([matcher], budget, dry_run=dry_run, retry_for=retry_for)

    def perform(
        self, matchers: Sequence[Matcher], budget: Budget, *, dry_run: bool = False, retry_for: float = 0.0
    ) -> int:
        """Delete, or count, the entries that any of *matchers* is for: one drop, however many there are.

        Args:
            matchers: what the drop is for, within this namespace.
            budget: the time that all of it may take.
            dry_run: count what would be deleted and delete nothing.
            retry_for: seconds of that time for which to keep trying while Redis cannot be reached.

        Returns:
            how many entries.

        Raises:
            CacheUnavailable: Redis could not be reached.
            DropTimeout: the time is over.
        """
        if dry_run:
            return _persistently(partial(self._count, matchers, budget), budget, retry_for)
        _persistently(partial(self._delete, matchers, budget), budget, retry_for)
        return budget.dropped

    def drop_key(self, key: bytes) -> bool:
        """Delete the one entry *key*, after its lease; return whether it was there.

        Raises:
            CacheUnavailable: Redis could not be reached.
            DropTimeout: fewer replicas than wanted had it within ``KEY_TIMEOUT``.
        """
        budget = Budget(KEY_TIMEOUT)
        commands = [(b"UNLINK", lease_name(key)), (b"UNLINK", key)]
        _, budget.dropped = _persistently(lambda: checked(self._link.calls(commands)), budget)
        if self._replicas:
            _persistently(partial(self._await_replicas, key, budget), budget)
        return bool(budget.dropped)

    def _await_replicas(self, key: bytes, budget: Budget) -> None:
        part = self._link.part_of(key)
        with budget.bounding(), part.server.pinned(budget.left) as pinned:
            await_replicas(pinned, part, self._replicas, budget)

    def _count(self, matchers: Sequence[Matcher], budget: Budget) -> int:
        finder, found = Finder([matchers]), set[bytes]()
        with budget.bounding():
            for part in self._link.parts(budget.left)[0]:
                budget.check(COUNTING)
                with part.server.pinned(budget.left) as pinned:
                    for names in scan(pinned, finder.pattern, budget, COUNTING, lambda: 0):
                        found.update(name for name, _ in finder.entries(names))
        return len(found)

    def _delete(self, matchers: Sequence[Matcher], budget: Budget) -> None:
        index = self._index if all(matcher.is_listed for matcher in matchers) else None
        listed = None if index is None else self._listed(index, matchers, budget)
        if listed is None:
            self._sweeps.drop(matchers, budget)
        else:
            self._unlink(listed, budget)

    def _listed(self, index: Lookup, matchers: Sequence[Matcher], budget: Budget) -> list[bytes] | None:
        """Return the entries that the index names; ``None`` if there may be others."""
        try:
            listed = index.entries(matchers, budget)
        except Incomplete as doubt:
            self._note(str(doubt))
            return None
        self._note("")
        return listed

    def _note(self, doubt: str) -> None:
        """Log it when the index cannot be trusted any more, or can be again."""
        if doubt == self._doubt:
            return
        self._doubt = doubt
        if doubt:
            logger.info("drops by index walk over all keys: %s", doubt)
        else:
            logger.info("drops by index use the index again")

    def _sweep(
        self, drops: Sequence[Sequence[Matcher]], counts: list[int], budget: Budget, place: int
    ) -> None:
        with budget.bounding():
            Sweep(self._link, drops, counts, budget, place=place, replicas=self._replicas).run()

    def _unlink(self, listed: Sequence[bytes], budget: Budget) -> None:
        """Delete entries, after their leases: once those are gone nothing can fill them again."""
        ((part,), _) = self._link.parts()  # there is no index on a cluster
        with budget.bounding(), part.server.pinned(budget.left) as pinned:
            for start in range(0, len(listed), SCAN_COUNT):
                budget.check("deleting")
                keys = listed[start : start + SCAN_COUNT]
                leases = [lease_name(key) for key in keys]
                budget.dropped += checked(pinned.calls([(b"UNLINK", *leases), (b"UNLINK", *keys)]))[1]
            await_replicas(pinned, part, self._replicas, budget)


def _persistently(act: Callable[[], T], budget: Budget, retry_for: float = 0.0) -> T:
    """Do something; what Redis cannot do for a moment is tried again within the budget, as no outage is."""
    while True:
        try:
            return act()
        except CacheUnavailable as error:
            patience = budget.seconds if isinstance(error, NotNow) else retry_for
            if budget.spent() + RETRY_PAUSE >= patience:
                raise
        time.sleep(RETRY_PAUSE)
