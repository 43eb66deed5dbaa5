"""Drops: by the index where it can be trusted, else by sweep."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from mysql_redis_cache import near
from mysql_redis_cache.errors import CacheUnavailable, DropTimeout
from mysql_redis_cache.keys import Exact, Finder, Matcher, Namespace, lease_name
from mysql_redis_cache.observe import Watch
from mysql_redis_cache.policy import check_count, wait_seconds
from mysql_redis_cache.runtime import process
from mysql_redis_cache.store import NotNow
from mysql_redis_cache.store.ledger import Ledger

from .budget import Budget
from .lookup import Incomplete, Lookup
from .rollcall import READ, RollCall
from .sharing import Sweeps
from .sweep import SCAN_COUNT, Sweep, await_replicas, checked, scan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mysql_redis_cache.keys import Sought, Wanted
    from mysql_redis_cache.store import Link

__all__ = ["DROP_TIMEOUT", "Drops"]

logger = logging.getLogger("mysql_redis_cache.drops")

T = TypeVar("T")

DROP_TIMEOUT = 60.0
KEY_TIMEOUT = 10.0
RETRY_PAUSE = 0.1
COUNTING = "counting entries"
SLOW = 1.0
"""Seconds from which on a walk is worth a word."""


class Drops:
    """Drops by sweep or by index over one link.

    Args:
        link: the way to Redis.
        namespace: whose entries are dropped.
        indexed: whether to use the index.
        wait_replicas: how many replicas must have every deletion before a drop returns.
        watch: counts them.

    Raises:
        TypeError, ValueError: *wait_replicas* is no count.
    """

    def __init__(
        self,
        link: Link,
        namespace: Namespace,
        *,
        indexed: bool = False,
        wait_replicas: int = 0,
        watch: Watch | None = None,
    ) -> None:
        self._watch = Watch() if watch is None else watch
        self._link = link
        self._prefix = namespace.prefix
        self._index = Lookup(link, namespace.prefix) if indexed and not link.clustered else None
        self._roll = None if link.clustered else RollCall(link)
        self._reading = () if link.clustered else (READ,)
        self._doubt = ""
        self._is_said = False
        self._replicas = check_count("wait_replicas", wait_replicas)
        self._sweeps = Sweeps(self._sweep)
        process.register(self)

    def after_fork_in_child(self) -> None:
        """Forget the parent's sweeps."""
        self._sweeps.after_fork_in_child()

    def followed(self, name: str) -> str | None:
        """Return the GTIDs that the follower of a name has seen to; ``None`` if it is not known.

        Raises:
            CacheUnavailable: Redis did not answer.
        """
        state = Ledger(self._link, self._prefix + name, lease=0.0).peek()
        return None if state is None else str(state.get("gtids", ""))

    def drop(
        self,
        seek: Callable[[Callable[[], object]], Wanted | None],
        *,
        dry_run: bool = False,
        timeout: float = DROP_TIMEOUT,
        retry_for: float = 0.0,
    ) -> int:
        """Delete, or count, entries; as ``MRCServer.drop_outdated_cache``, which see.

        Args:
            seek: returns what the drop is for, ``None`` if for nothing; it calls what it is given now and
                then, which may raise.
            dry_run: as there.
            timeout: as there.
            retry_for: as there.
        """
        timeout, retry_for = wait_seconds("timeout", timeout), wait_seconds("retry_for", retry_for)
        budget = Budget(max(timeout, retry_for))
        wanted = seek(budget.checking("checking the pairs"))
        return 0 if wanted is None else self.perform([wanted], budget, dry_run=dry_run, retry_for=retry_for)

    def perform(
        self, wanted: Sequence[Wanted], budget: Budget, *, dry_run: bool = False, retry_for: float = 0.0
    ) -> int:
        """Delete, or count, the entries that any of *wanted* is for: one drop, however many there are.

        Args:
            wanted: what the drop is for, within this namespace.
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
            return self._perform(wanted, budget, dry_run=True, retry_for=retry_for)
        began, names = budget.spent(), _names(wanted) if self._watch.events.heard else ()
        try:
            self._perform(wanted, budget, dry_run=False, retry_for=retry_for)
        except (CacheUnavailable, DropTimeout) as error:
            self._watch.dropped(names, budget.dropped, budget.spent() - began, error)
            raise
        self._watch.dropped(names, budget.dropped, budget.spent() - began)
        return budget.dropped

    def _perform(self, wanted: Sequence[Wanted], budget: Budget, *, dry_run: bool, retry_for: float) -> int:
        keys = list(dict.fromkeys([one.key.encode() for one in wanted if isinstance(one, Exact)]))
        sought = [one for one in wanted if not isinstance(one, Exact)]
        if dry_run:
            return _persistently(partial(self._count, keys, sought, budget), budget, retry_for)
        if keys:
            _persistently(partial(self._delete_keys, keys, budget), budget, retry_for)
        if sought:
            _persistently(partial(self._delete, sought, budget), budget, retry_for)
        return budget.dropped

    def drop_key(self, key: bytes) -> bool:
        """Delete the one entry *key*, after its lease; return whether it was there.

        Raises:
            CacheUnavailable: Redis could not be reached.
            DropTimeout: fewer replicas than wanted had it within ``KEY_TIMEOUT``.
        """
        budget = Budget(KEY_TIMEOUT)
        _persistently(partial(self._delete_keys, [key], budget), budget)
        return bool(budget.dropped)

    def _delete_keys(self, keys: Sequence[bytes], budget: Budget) -> None:
        try:
            roll = self._unlink_keys(keys, budget)
        finally:
            near.forget(keys)
        self._hear_others(budget, roll)
        for key in keys if self._replicas else ():
            self._await_replicas(key, budget)

    def _unlink_keys(self, keys: Sequence[bytes], budget: Budget) -> Any:
        """Delete entries, after their leases; return the roll, read in the same round trip as the last."""
        roll: Any = None
        for start in range(0, len(keys), SCAN_COUNT):
            budget.check("deleting")
            some = keys[start : start + SCAN_COUNT]
            names = [name for key in some for name in (lease_name(key), key)]
            replies = self._link.calls([*[(b"UNLINK", name) for name in names], *self._reading])
            roll = replies.pop() if self._reading else None
            budget.dropped += sum(checked(replies)[1::2])
        return roll

    def _await_replicas(self, key: bytes, budget: Budget) -> None:
        part = self._link.part_of(key)
        with budget.bounding(), part.server.pinned(budget.left) as pinned:
            await_replicas(pinned, part, self._replicas, budget)

    def _count(self, keys: Sequence[bytes], sought: Sequence[Sought], budget: Budget) -> int:
        there = checked(self._link.calls([(b"EXISTS", key) for key in keys])) if keys else []
        found = {key for key, is_there in zip(keys, there, strict=True) if is_there}
        if not sought:
            return len(found)
        finder = Finder([sought])
        with budget.bounding():
            for part in self._link.parts(budget.left)[0]:
                budget.check(COUNTING)
                with part.server.pinned(budget.left) as pinned:
                    for names in scan(pinned, finder.pattern, budget, COUNTING, lambda: 0):
                        found.update(name for name, _ in finder.entries(names))
        return len(found)

    def _delete(self, sought: Sequence[Sought], budget: Budget) -> None:
        try:
            roll = self._look_up_or_walk(sought, budget)
        finally:
            near.settle()
        self._hear_others(budget, roll)

    def _hear_others(self, budget: Budget, roll: Any) -> None:
        """Return when no strict near cache of another process serves what was deleted before now."""
        if self._roll is not None:
            self._roll.hear(budget, roll)

    def _look_up_or_walk(self, sought: Sequence[Sought], budget: Budget) -> Any:
        """Delete what is sought; return the roll, if it was read behind that."""
        listed = None if self._index is None else self._listed(self._index, sought, budget)
        if listed is not None:
            return self._unlink(listed, budget)
        began = budget.spent()
        self._sweeps.drop(sought, budget)
        self._note_time(budget.spent() - began)
        return None

    def _note_time(self, took: float) -> None:
        """Log once that a walk was slow, where there would be a faster way."""
        if took < SLOW or self._index is not None or self._link.clustered or self._is_said:
            return
        self._is_said = True
        logger.warning(
            "a drop walked over all keys of Redis for %.1f s; with index=True, on every client and server of "
            "the namespace, drops find their entries at once",
            took,
        )

    def _listed(self, index: Lookup, sought: Sequence[Sought], budget: Budget) -> list[bytes] | None:
        """Return the entries that the index names; ``None`` if there may be others."""
        matchers = [one for one in sought if isinstance(one, Matcher) and one.is_listed]
        if len(matchers) < len(sought):
            return None  # it knows of pairs only
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
        self, drops: Sequence[Sequence[Sought]], counts: list[int], budget: Budget, place: int
    ) -> None:
        with budget.bounding():
            Sweep(self._link, drops, counts, budget, place=place, replicas=self._replicas).run()

    def _unlink(self, listed: Sequence[bytes], budget: Budget) -> Any:
        """Delete entries, after their leases: once those are gone nothing can fill them again.

        Return the roll, read in the same round trip as the last, if there was one.
        """
        roll: Any = None
        ((part,), _) = self._link.parts()  # there is no index on a cluster
        with budget.bounding(), part.server.pinned(budget.left) as pinned:
            for start in range(0, len(listed), SCAN_COUNT):
                budget.check("deleting")
                keys = listed[start : start + SCAN_COUNT]
                leases = [lease_name(key) for key in keys]
                *replies, roll = pinned.calls([(b"UNLINK", *leases), (b"UNLINK", *keys), READ])
                budget.dropped += checked(replies)[1]
            await_replicas(pinned, part, self._replicas, budget)
        return roll


def _names(wanted: Sequence[Wanted]) -> tuple[str, ...]:
    """Return the names of the pairs, each once."""
    return tuple(dict.fromkeys([name for one in wanted if isinstance(one, Matcher) for name in one.names]))


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
