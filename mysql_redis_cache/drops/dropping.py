"""Drops: by the index where it can be trusted, else by sweep."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.keys import Matcher, lease_name
from mysql_redis_cache.policy import check_count, wait_seconds
from mysql_redis_cache.runtime import process
from mysql_redis_cache.store.entries import REGISTRY, UNINDEXED, index_key

from .budget import Budget
from .sharing import Sweeps
from .sweep import SCAN_COUNT, Sweep, await_replicas, checked, scan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mysql_redis_cache.store import Link

__all__ = ["DROP_TIMEOUT", "Drops"]

DROP_TIMEOUT = 60.0
RETRY_PAUSE = 0.1


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
        self._indexed = indexed and not link.clustered
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
        matcher = Matcher(names, values, require_all, self._prefix)
        timeout, retry_for = wait_seconds("timeout", timeout), wait_seconds("retry_for", retry_for)
        perform = self._count if dry_run else self._delete
        until = time.monotonic() + retry_for
        while True:
            try:
                return perform(matcher, Budget(timeout))
            except CacheUnavailable:
                if time.monotonic() + RETRY_PAUSE >= until:
                    raise
                time.sleep(RETRY_PAUSE)

    def _count(self, matcher: Matcher, budget: Budget) -> int:
        found: set[bytes] = set()
        for part in self._link.parts()[0]:
            with part.server.pinned() as pinned:
                for names in scan(pinned, matcher.pattern, budget, "counting", lambda: 0):
                    found.update(name for name in names if matcher.entry(name))
        return len(found)

    def _delete(self, matcher: Matcher, budget: Budget) -> int:
        if self._indexed:
            listed = self._listed(matcher)
            if listed is not None:
                return self._unlink(listed, budget)
        return self._sweeps.drop(matcher, budget)

    def _sweep(self, matchers: Sequence[Matcher], budget: Budget, place: int) -> list[int]:
        return Sweep(self._link, matchers, budget, place, replicas=self._replicas).run()

    def _listed(self, matcher: Matcher) -> list[bytes] | None:
        """Return the entries that the index names; ``None`` if it may be incomplete."""
        indexes = [index_key(self._prefix, text) for text in matcher.texts]
        command = b"ZINTER" if matcher.require_all else b"ZUNION"
        time_, unindexed_until, memory, members = checked(
            self._link.calls(
                [
                    (b"TIME",),
                    (b"ZSCORE", REGISTRY, UNINDEXED),
                    (b"INFO", b"memory"),
                    (command, len(indexes), *indexes),
                ]
            )
        )
        if unindexed_until is not None and float(unindexed_until) >= int(time_[0]) * 1000:
            return None
        if b"maxmemory_policy:allkeys-" in memory:
            return None
        return [name for name in members if matcher.entry(name)]

    def _unlink(self, listed: Sequence[bytes], budget: Budget) -> int:
        """Delete entries, each right after its lease: once that is gone nothing can fill it again."""
        dropped = 0
        ((part,), _) = self._link.parts()  # there is no index on a cluster
        with part.server.pinned() as pinned:
            for start in range(0, len(listed), SCAN_COUNT):
                budget.check("deleting", dropped)
                names = [
                    name for key in listed[start : start + SCAN_COUNT] for name in (lease_name(key), key)
                ]
                dropped += sum(checked(pinned.calls([(b"UNLINK", name) for name in names]))[1::2])
            await_replicas(pinned, part, self._replicas, budget, dropped)
        return dropped
