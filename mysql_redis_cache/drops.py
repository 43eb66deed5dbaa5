"""Deleting outdated entries, so that no load in flight can bring one back.

A drop revokes the leases of the entries it names and then deletes the entries. By *sweep* it walks all keys
twice: a single walk is not enough, since a value filled behind the cursor, under a lease not yet met,
would survive. With an *index* it asks Redis which entries carry the pairs.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from mysql_redis_cache.entries import MARKER, index_key
from mysql_redis_cache.errors import CacheUnavailable, DropTimeout
from mysql_redis_cache.keys import lease_name
from mysql_redis_cache.matching import Matcher
from mysql_redis_cache.store import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mysql_redis_cache.store import Link, Pinned, Server

__all__ = ["DROP_TIMEOUT", "Drops"]

DROP_TIMEOUT = 60.0
RETRY_PAUSE = 0.1

SCAN_COUNT = 2000
RESTARTS = 3
# Below the socket's timeout, so that waiting for replicas is not taken for a dead server.
WAIT_MS = 100


class Drops:
    """Drops by sweep or by index over one link.

    Args:
        link: the way to Redis.
        prefix: the namespace's key prefix.
        indexed: whether to use the index.
        wait_replicas: how many replicas must have every deletion before a drop returns.
    """

    def __init__(
        self, link: Link, prefix: str = "", *, indexed: bool = False, wait_replicas: int = 0
    ) -> None:
        self._link = link
        self._prefix = prefix
        self._indexed = indexed and not link.clustered
        self._replicas = wait_replicas
        self.after_fork_in_child()

    def after_fork_in_child(self) -> None:
        """Forget the parent's sweeps."""
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._next: _Batch | None = None

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
        perform = self._count if dry_run else self._delete
        until = time.monotonic() + retry_for
        while True:
            try:
                return perform(matcher, _Budget(timeout))
            except CacheUnavailable:
                if time.monotonic() + RETRY_PAUSE >= until:
                    raise
                time.sleep(RETRY_PAUSE)

    def _count(self, matcher: Matcher, budget: _Budget) -> int:
        found: set[bytes] = set()
        for server in self._link.primaries():
            with server.pinned() as pinned:
                for names in _scan(pinned, matcher.pattern, budget, "counting"):
                    found.update(name for name in names if matcher.entry(name))
        return len(found)

    def _delete(self, matcher: Matcher, budget: _Budget) -> int:
        if self._indexed:
            dropped = self._drop_by_index(matcher, budget)
            if dropped is not None:
                return dropped
        while True:
            outcome = self._share_sweep(matcher, budget)
            if outcome is not None:
                return outcome

    def _share_sweep(self, matcher: Matcher, budget: _Budget) -> int | None:
        """Take part in the next sweep; ``None`` if it came to nothing and has to be tried again."""
        with self._lock:
            batch = self._next
            leads = batch is None
            if batch is None:
                batch = self._next = _Batch()
            place = batch.add(matcher)
        if leads:
            self._sweep_batch(batch, budget)
        elif not batch.done.wait(budget.left()):
            raise DropTimeout(budget.seconds, "waiting for the sweep before this one", 0)
        return batch.counts[place] if batch.counts else None

    def _sweep_batch(self, batch: _Batch, budget: _Budget) -> None:
        """Wait for the running sweep to end, close the batch to others, and sweep for all in it."""
        try:
            if not self._turn.acquire(timeout=budget.left()):
                raise DropTimeout(budget.seconds, "waiting for the sweep before this one", 0)
            try:
                self._close(batch)
                batch.counts = _Sweep(batch.matchers, budget, self._replicas).run(self._link)
            finally:
                self._turn.release()
        finally:
            self._close(batch)
            batch.done.set()

    def _close(self, batch: _Batch) -> None:
        with self._lock:
            if self._next is batch:
                self._next = None

    def _drop_by_index(self, matcher: Matcher, budget: _Budget) -> int | None:
        """Drop what the index names; ``None`` if the index may be incomplete."""
        indexes = [index_key(self._prefix, text) for text in matcher.texts]
        reads = [(b"EXISTS", MARKER), (b"INFO", b"memory"), *((b"ZRANGE", key, 0, -1) for key in indexes)]
        marked, memory, *members = _checked(self._link.calls(reads))
        if marked or b"maxmemory_policy:allkeys-" in memory:
            return None
        listed = {name for names in members for name in names if matcher.entry(name)}
        return self._unlink_pairs(sorted(listed), budget)

    def _unlink_pairs(self, listed: Sequence[bytes], budget: _Budget) -> int:
        """Delete entries, each right after its lease: once that is gone nothing can fill it again."""
        dropped = 0
        (server,) = self._link.primaries()  # there is no index on a cluster
        with server.pinned() as pinned:
            for start in range(0, len(listed), SCAN_COUNT):
                budget.check("deleting", dropped)
                batch = listed[start : start + SCAN_COUNT]
                names = [name for key in batch for name in (lease_name(key), key)]
                dropped += sum(_checked(pinned.calls([(b"UNLINK", name) for name in names]))[1::2])
            _await_replicas(pinned, self._replicas, budget)
        return dropped


class _Batch:
    """The drops that share one sweep."""

    def __init__(self) -> None:
        self.matchers: list[Matcher] = []
        self.counts: list[int] = []
        self.done = threading.Event()

    def add(self, matcher: Matcher) -> int:
        self.matchers.append(matcher)
        return len(self.matchers) - 1


class _Budget:
    """The time a drop may take."""

    def __init__(self, timeout: float) -> None:
        self.seconds = timeout
        self._until = time.monotonic() + timeout

    def left(self) -> float:
        return max(0.0, self._until - time.monotonic())

    def check(self, stage: str, dropped: int) -> None:
        if not self.left():
            raise DropTimeout(self.seconds, stage, dropped)


class _Sweep:
    """One walk over all keys to revoke leases and one to delete entries, for several drops at once."""

    def __init__(self, matchers: Sequence[Matcher], budget: _Budget, replicas: int) -> None:
        self._matchers = matchers
        self._budget = budget
        self._replicas = replicas
        self._counts = [0] * len(matchers)
        self._pattern = matchers[0].pattern if len(matchers) == 1 else b"*=*"

    def run(self, link: Link) -> list[int]:
        """Sweep all servers; return how many entries each drop deleted."""
        for _ in range(RESTARTS):
            layout = link.layout()
            if self._both_passes(link.primaries()) and link.layout() == layout:
                return self._counts
        raise CacheUnavailable(
            f"the cluster's layout changed during each of {RESTARTS} sweeps; repeat the drop"
        )

    def _both_passes(self, servers: Sequence[Server]) -> bool:
        """Return whether both passes met every key where it belongs."""
        try:
            for server in servers:
                self._walk(server, "pass 1 of 2, revoking leases", self._lease_owner, counted=False)
            for server in servers:
                self._walk(server, "pass 2 of 2, deleting entries", self._entry_owner, counted=True)
        except Refused as error:
            if _has_moved(error):
                return False
            raise
        return True

    def _walk(
        self, server: Server, stage: str, owner: Callable[[bytes], int | None], *, counted: bool
    ) -> None:
        """Walk one server over one connection; a replaced one means a new cursor, so the walk starts over."""
        for attempt in range(1, RESTARTS + 1):
            try:
                with server.pinned() as pinned:
                    for names in _scan(pinned, self._pattern, self._budget, stage, self._counts):
                        self._unlink(pinned, names, owner, counted=counted)
                    _await_replicas(pinned, self._replicas, self._budget)
                    return
            except (Refused, DropTimeout):
                raise
            except CacheUnavailable:
                if attempt == RESTARTS:
                    raise

    def _unlink(
        self, pinned: Pinned, names: Sequence[bytes], owner: Callable[[bytes], int | None], *, counted: bool
    ) -> None:
        owned = [(name, place) for name in names if (place := owner(name)) is not None]
        replies = _checked(pinned.calls([(b"UNLINK", name) for name, _ in owned])) if owned else []
        for (_, place), gone in zip(owned, replies, strict=True):
            self._counts[place] += gone if counted else 0

    def _lease_owner(self, name: bytes) -> int | None:
        return next((place for place, matcher in enumerate(self._matchers) if matcher.lease(name)), None)

    def _entry_owner(self, name: bytes) -> int | None:
        return next((place for place, matcher in enumerate(self._matchers) if matcher.entry(name)), None)


def _scan(
    pinned: Pinned, pattern: bytes, budget: _Budget, stage: str, counts: Sequence[int] = ()
) -> Iterator[list[bytes]]:
    """Walk all keys of a server that match *pattern*, a batch a time."""
    cursor = b"0"
    while True:
        budget.check(stage, sum(counts))
        cursor, names = pinned.call(b"SCAN", cursor, b"MATCH", pattern, b"COUNT", SCAN_COUNT)
        yield names
        if cursor == b"0":
            return


def _await_replicas(pinned: Pinned, wanted: int, budget: _Budget) -> None:
    """Wait until *wanted* replicas have what this connection wrote."""
    while wanted and pinned.call(b"WAIT", wanted, WAIT_MS) < wanted:
        budget.check(f"waiting for {wanted} replicas", 0)


def _checked(replies: list[Any]) -> list[Any]:
    for reply in replies:
        if isinstance(reply, Refused):
            raise reply
    return replies


def _has_moved(error: Refused) -> bool:
    return str(error.__cause__).startswith(("MOVED", "ASK", "CLUSTERDOWN"))
