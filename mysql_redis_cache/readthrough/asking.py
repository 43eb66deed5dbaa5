"""Asking Redis for entries, and what happens when it fails.

Reads go on without it: a guard keeps them from asking in vain, and leases that could not be given back are
given back later.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.observe import Corrupt
from mysql_redis_cache.runtime import process
from mysql_redis_cache.store import Entries, Found, Name, Refused

from .crowd import Crowd
from .guard import Guard
from .steps import GET, Claim, Entry
from .writes import Writes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mysql_redis_cache.drops import Drops
    from mysql_redis_cache.observe import Watch
    from mysql_redis_cache.options import Options
    from mysql_redis_cache.store import Link
    from mysql_redis_cache.values import Between

    from .background import Background
    from .reads import Read
    from .steps import Get
    from .verifying import Verifier

__all__ = ["Asking"]

logger = logging.getLogger("mysql_redis_cache.redis")

# How many leases that Redis must still be told of are remembered, and how many it is told of at once.
LEASES_KEPT = 10_000
AT_ONCE = 500
# Bytes from which on an answer is read apart from others', and how many queries that have such are known.
LARGE = 1 << 16
LARGE_KEPT = 1000


class Asking(Writes):
    """The entries of one client in Redis, as Get and GetMany need them; and direct writes.

    Args:
        link: for reads, which give Redis up soon, since they can ask MySQL.
        patient_link: for what can be had nowhere else.
        drops: deletes what is outdated.
        options: the client's.
        watch: counts.
        background: runs what nobody waits for.

    Attributes:
        entries: they.
        verifier: checks some of the hits, if that is asked for.
    """

    def __init__(
        self,
        link: Link,
        patient_link: Link,
        drops: Drops,
        *,
        options: Options,
        watch: Watch,
        background: Background,
    ) -> None:
        super().__init__(patient_link, drops, options, watch)
        self.entries = entries = Entries(link, options.policy.lease_seconds)
        self._get: Callable[[bytes], bytes | None] = entries.get
        self._get_aged: Callable[[bytes], Found | None] = entries.get_aged
        if not link.clustered:  # there a round trip is one for each server
            self._get = Crowd(entries.get, entries.get_many, link.timeout).get
            self._get_aged = Crowd(entries.get_aged, entries.get_many_aged, link.timeout).get
        # The hashes of queries whose answers are large: nobody is to wait for those of others.
        self._large: set[int] = set()
        self._background = background
        self.verifier: Verifier | None = None
        self.after_fork_in_child()
        process.register(self)

    def after_fork_in_child(self) -> None:
        """Ask Redis anew; the parent's leases are the parent's."""
        self._guard = Guard(self._probe_behind, self._watch)
        self._last_lost = b"mrc:probe"
        self._left_behind: deque[tuple[Name, bytes, bool]] = deque(maxlen=LEASES_KEPT)

    def ask_again(self) -> None:
        """Ask Redis as if it had never failed, and give back what leases it was not told of."""
        self._guard = Guard(self._probe_behind, self._watch)
        self._give_back()

    @property
    def is_away(self) -> bool:
        """Whether asking would be in vain, as is known without asking."""
        breaker = self._guard.breaker
        return not breaker.is_closed and breaker.is_shut(time.monotonic())

    @property
    def is_down(self) -> bool:
        """Whether Redis fails, and reads go past it."""
        return not self._guard.breaker.is_closed

    def get(self, read: Read, step: Get = GET) -> Entry | Claim | None:  # noqa: ARG002 - a step's performer
        """Perform Get."""
        began = time.monotonic()
        if not self._guard.allows(began):
            return self.away()
        get: Callable[[bytes], bytes | Found | None]
        if self._large and hash(read.query) in self._large:
            get = self.entries.get_aged if read.policy.needs_age else self.entries.get
        else:
            get = self._get_aged if read.policy.needs_age else self._get
        try:
            found = get(read.raw)
        except CacheUnavailable as error:
            self._lost(error, began, read)
            return self.away()
        self._answered(began)
        return self._counted(read, self._decoded(read, found))

    def away(self, reads: int = 1) -> Claim:
        """Return what Get gives while Redis is away, and count that for so many reads."""
        self._watch.bump("unavailable", reads)
        return Claim.UNAVAILABLE

    def _counted(self, read: Read, entry: Entry | None) -> Entry | None:
        if not _is_hit(read, entry):
            self._watch.miss(read.query)
        else:
            self._watch.hit(read.query)
            if self.verifier is not None:
                self.verifier.sample(read)
        return entry

    def get_many(self, reads: Sequence[Read]) -> Sequence[Entry | Claim | None]:
        """Perform Get for several reads in one round trip."""
        return self.decode_many(reads, self.fetch_many(reads))

    def fetch_many(self, reads: Sequence[Read]) -> Sequence[bytes | Found | Claim | None]:
        """Return what Redis holds for several reads, asked in one round trip."""
        began = time.monotonic()
        if not self._guard.allows(began):
            return [self.away(len(reads))] * len(reads)
        aged = any(read.policy.needs_age for read in reads)
        get_many = self.entries.get_many_aged if aged else self.entries.get_many
        try:
            found = get_many([read.raw for read in reads])
        except CacheUnavailable as error:
            self._lost(error, began, reads[0])
            return [self.away(len(reads))] * len(reads)
        self._answered(began)
        return found

    def decode_many(
        self, reads: Sequence[Read], found: Sequence[bytes | Found | Claim | None], between: Between = None
    ) -> Sequence[Entry | Claim | None]:
        """Return what was fetched for several reads as Get gives it; *between* as for ``codec.decode``."""
        if isinstance(found[0], Claim):
            return found  # type: ignore[return-value]  # Redis was not there for any of them
        entries = [
            self._decoded(read, one, between)  # type: ignore[arg-type]
            for read, one in zip(reads, found, strict=True)
        ]
        self._count(reads, entries)
        return entries

    def _count(self, reads: Sequence[Read], entries: Sequence[Entry | None]) -> None:
        """Count hits and misses: those of one query at once."""
        hits: dict[str, int] = {}
        verifier = self.verifier
        for read, entry in zip(reads, entries, strict=True):
            if not _is_hit(read, entry):
                self._watch.miss(read.query)
                continue
            hits[read.query] = hits.get(read.query, 0) + 1
            if verifier is not None:
                verifier.sample(read)
        for query, number in hits.items():
            self._watch.hit(query, number)

    def _decoded(self, read: Read, found: bytes | Found | None, between: Between = None) -> Entry | None:
        if found is None:
            return None
        payload, left = (found, math.inf) if isinstance(found, bytes) else found
        read.size = len(payload)
        if read.size > LARGE:
            self._note_large(read)
        try:
            return Entry(read.decode(payload, between, read.is_query), left)
        except ValueError:
            self._note_corrupt(read)
            return None

    def _note_large(self, read: Read) -> None:
        if len(self._large) >= LARGE_KEPT:
            self._large.clear()
        self._large.add(hash(read.query))

    def _note_corrupt(self, read: Read) -> None:
        """Count and log it once a read, which meets the entry again when it asks for the lease."""
        if not read.is_corrupt:
            read.is_corrupt = True
            self._watch.bump("corrupt_entries")
            if self._watch.events.heard:
                self._watch.tell(Corrupt(**read.described()), read.key)
            # The digest alone: the rest of the key is the caller's values.
            logger.warning("the entry *%s is not JSON; it will be overwritten", read.key[-40:])

    # When Redis fails

    def _answered(self, began: float) -> None:
        if self._left_behind:
            self._background.submit("leases left behind", self._give_back)
        self._guard.answered(began)

    def _lost(self, error: CacheUnavailable, began: float, read: Read) -> Claim:
        self._last_lost = read.raw
        self._watch.bump("cache_failures")
        self._guard.failed(error, began)
        return Claim.UNAVAILABLE

    def _lost_write(
        self, reads: Sequence[Read], error: CacheUnavailable, began: float, *, outdated: bool = False
    ) -> Claim:
        """Note that a lease or a fill failed. A refusal is an answer: what is cached goes on being served."""
        for read in reads:
            read.holds_lease = False
        if not isinstance(error, Refused):
            for read in reads:
                self._leave_behind(read, outdated=outdated)
            return self._lost(error, began, reads[0])
        self._watch.bump("cache_failures")
        self._guard.refused(error, began)
        return Claim.UNAVAILABLE

    def _probe_behind(self) -> bool:
        return self._background.submit("is Redis back?", self._probe)

    def _probe(self) -> None:
        """Ask for the key that could not be read last, so that on a cluster its node is asked."""
        began = time.monotonic()
        try:
            self.entries.get(self._last_lost)
        except CacheUnavailable as error:
            self._guard.failed(error, began)
        else:
            self._answered(began)

    def _leave_behind(self, read: Read, *, outdated: bool = False) -> None:
        """Remember a lease that Redis may hold, or take when it goes on, and an entry that is to go."""
        if read.where is not None and (read.token or outdated):
            self._left_behind.append((read.where, read.token, outdated))

    def _give_back(self) -> None:
        while self._left_behind:
            ended: list[tuple[Name, bytes, bool]] = []
            with suppress(IndexError):  # another thread has taken the rest
                while len(ended) < AT_ONCE:
                    ended.append(self._left_behind.popleft())
            try:
                self.entries.end_many(ended)
            except CacheUnavailable:
                self._left_behind.extend(ended)
                return


def _is_hit(read: Read, entry: Entry | None) -> bool:
    """Whether *entry* answers *read* at once: one that is old may only be fallen back on."""
    return entry is not None and (not read.policy.needs_age or read.policy.serves(entry.left))
