"""The Redis half of a read: what its steps do there, and what happens when Redis fails.

Reads go on without it: a guard keeps them from asking in vain, and leases that could not be given back are
given back later.
"""

from __future__ import annotations

import logging
import math
import os
import random
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING
from weakref import ref

from mysql_redis_cache import near
from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.observe import Corrupt
from mysql_redis_cache.runtime import process
from mysql_redis_cache.store import Entries, Found, Name, Refused

from .background import Keeper
from .guard import Guard
from .steps import GET, RELEASE, Acquire, Claim, Entry
from .writes import Writes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mysql_redis_cache.drops import Drops
    from mysql_redis_cache.observe import Watch
    from mysql_redis_cache.options import Options
    from mysql_redis_cache.store import Link
    from mysql_redis_cache.values import Between

    from .background import Background
    from .reads import Read
    from .steps import Fill, Get, Release
    from .verifying import Verifier

__all__ = ["Cache"]

logger = logging.getLogger("mysql_redis_cache.redis")

# How many leases that Redis must still be told of are remembered, and how many it is told of at once.
LEASES_KEPT = 10_000
AT_ONCE = 500


class Cache(Writes):
    """The entries and leases of one client in Redis, as the steps of reads need them; and direct writes.

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
        self.entries = Entries(link, options.policy.lease_seconds)
        self._is_clustered = link.clustered
        self._background = background
        self._keeper = Keeper(options.policy.lease_seconds)
        self.verifier: Verifier | None = None
        self.after_fork_in_child()
        process.register(self)

    def after_fork_in_child(self) -> None:
        """Ask Redis anew; the parent's leases are the parent's."""
        self._guard = Guard(self._probe_behind, self._watch)
        self._last_lost = b"mrc:probe"
        self._left_behind: deque[tuple[Name, bytes, bool]] = deque(maxlen=LEASES_KEPT)

    def can_keep(self, read: Read) -> bool:
        """Return whether the entry of *read* can be kept with its lease; not every key of a cluster can."""
        if not self._is_clustered or self.name(read) is not None:
            return True
        self._watch.bump("uncacheable_keys")
        return False

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

    # The steps of a read

    def get(self, read: Read, step: Get = GET) -> Entry | Claim | None:  # noqa: ARG002 - a step's performer
        """Perform Get."""
        began = time.monotonic()
        if not self._guard.allows(began):
            return self.away()
        get = self.entries.get_aged if read.policy.needs_age else self.entries.get
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
        if entry is None:
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
        return [
            self._counted(read, self._decoded(read, one, between))  # type: ignore[arg-type]
            for read, one in zip(reads, found, strict=True)
        ]

    def acquire(self, read: Read, step: Acquire) -> Entry | Claim:
        """Perform Acquire."""
        began = time.monotonic()
        if not self._guard.allows_claims(began):
            return Claim.UNAVAILABLE
        read.token = read.token or _token()
        read.holds_lease = True  # for all it knows, if it is interrupted before the answer
        try:
            claim = self.entries.acquire(self._named(read), read.token, step.newer_than)
            claimed = self._claimed(read, claim)
            if claimed is None:  # what is there does not decode: load over it
                claimed = self._claimed(read, self.entries.acquire(self._named(read), read.token, math.inf))
        except CacheUnavailable as error:
            return self._lost_write([read], error, began)
        self._answered(began)
        if claimed is Claim.WON:
            self._guard.took_write(began)
        return Claim.LOST if claimed is None else claimed

    def acquire_many(self, reads: Sequence[Read], steps: Sequence[Acquire]) -> list[Entry | Claim]:
        """Perform Acquire for several reads in one round trip."""
        began = time.monotonic()
        if len(reads) == 1 or not self._guard.allows_claims(began):
            return [self.acquire(read, step) for read, step in zip(reads, steps, strict=True)]
        runs = []
        for read, step in zip(reads, steps, strict=True):
            read.token = read.token or _token()
            read.holds_lease = True  # as above
            runs.append((self._named(read), read.token, step.newer_than))
        try:
            claims = self.entries.acquire_many(runs)
        except CacheUnavailable as error:
            return [self._lost_write(reads, error, began)] * len(reads)
        self._answered(began)
        claimed = [
            self._lost_write([read], claim, began)
            if isinstance(claim, Refused)
            else self._claimed(read, claim)
            for read, claim in zip(reads, claims, strict=True)
        ]
        if Claim.WON in claimed:
            self._guard.took_write(began)
        # None: what is there does not decode, and has to be loaded over.
        return [
            self.acquire(read, Acquire(math.inf)) if one is None else one
            for one, read in zip(claimed, reads, strict=True)
        ]

    def fill(self, read: Read, step: Fill) -> bool:
        """Perform Fill; if it is interrupted the lease is still to be given back."""
        self._keeper.forget(read.token)
        accepted = self._fill(read, step)
        near.forget([read.raw])
        read.holds_lease = False
        return accepted

    def _fill(self, read: Read, step: Fill) -> bool:
        began = time.monotonic()
        if not self._guard.breaker.is_closed:
            self._leave_behind(read)
            return False
        lifetime = read.policy.lifetime(read.ttl, random.random)
        try:
            where = self._named(read)
            if read.is_prolonged and not self.entries.renew(where, read.token):  # so that drops find it
                return False
            accepted = self.entries.fill(where, read.token, step.payload, lifetime)
        except CacheUnavailable as error:
            self._lost_write([read], error, began)
            return False
        self._count_fill(read, accepted)
        return accepted

    def _count_fill(self, read: Read, accepted: bool) -> None:
        if accepted:
            self._watch.bump("fills")
        else:
            self._watch.refused("refused_fills", read.query, "a drop came while it was loaded")

    def fill_many(self, reads: Sequence[Read], steps: Sequence[Fill]) -> list[bool]:
        """Perform Fill for several reads in one round trip."""
        plain = len(reads) > 1 and self._guard.breaker.is_closed
        if not plain or any(read.is_prolonged for read in reads):
            return [self.fill(read, step) for read, step in zip(reads, steps, strict=True)]
        for read in reads:
            self._keeper.forget(read.token)
        accepted = self._fill_many(reads, steps)
        near.forget([read.raw for read in reads])
        for read in reads:
            read.holds_lease = False
        return accepted

    def _fill_many(self, reads: Sequence[Read], steps: Sequence[Fill]) -> list[bool]:
        began = time.monotonic()
        fills = [
            (self._named(read), read.token, step.payload, read.policy.lifetime(read.ttl, random.random))
            for read, step in zip(reads, steps, strict=True)
        ]
        try:
            replies = self.entries.fill_many(fills)
        except CacheUnavailable as error:
            self._lost_write(reads, error, began)
            return [False] * len(reads)
        for read, reply in zip(reads, replies, strict=True):
            if isinstance(reply, Refused):
                self._lost_write([read], reply, began)
            else:
                self._count_fill(read, reply)
        return [reply is True for reply in replies]

    def release(self, read: Read, step: Release = RELEASE) -> bool:
        """Perform Release; where Redis does not answer that is done later, or the lease runs out."""
        self._keeper.forget(read.token)
        was_ours = self._release(read, outdated=step.outdated)
        near.forget([read.raw])
        read.holds_lease = False
        return was_ours

    def _release(self, read: Read, *, outdated: bool) -> bool:
        began = time.monotonic()
        where = self.name(read) if outdated else read.where
        if where is None or not self._guard.breaker.is_closed:
            self._leave_behind(read, outdated=outdated)
            return False
        end = self.entries.discard if outdated else self.entries.release
        try:
            return end(where, read.token)
        except CacheUnavailable as error:
            self._lost_write([read], error, began, outdated=outdated)
            return False

    def release_behind(self, read: Read) -> None:
        """Give the lease back from another thread; where that fails it runs out by itself."""
        self._keeper.forget(read.token)
        read.holds_lease = False
        self._leave_behind(read)
        self._background.submit("leases left behind", self._give_back)

    # Inside

    def _named(self, read: Read) -> Name:
        """Return what the entry of *read* is called; whoever set it up has seen to it that it can be."""
        where = self.name(read)
        if where is None:
            raise AssertionError("a read that cannot be cached asked for a lease")
        return where

    def _decoded(self, read: Read, found: bytes | Found | None, between: Between = None) -> Entry | None:
        if found is None:
            return None
        payload, left = found if isinstance(found, Found) else (found, math.inf)
        read.size = len(payload)
        try:
            return Entry(read.decode(payload, between, read.is_query), left)
        except ValueError:
            self._note_corrupt(read)
            return None

    def _note_corrupt(self, read: Read) -> None:
        """Count and log it once a read, which meets the entry again when it asks for the lease."""
        if not read.is_corrupt:
            read.is_corrupt = True
            self._watch.bump("corrupt_entries")
            if self._watch.events.heard:
                self._watch.tell(Corrupt(**read.described()), read.key)
            # The digest alone: the rest of the key is the caller's values.
            logger.warning("the entry *%s is not JSON; it will be overwritten", read.key[-40:])

    def _claimed(self, read: Read, claim: bool | Found) -> Entry | Claim | None:
        """Return the outcome of Acquire; ``None`` if what was found does not decode."""
        read.holds_lease = claim is True
        if isinstance(claim, Found):
            entry = self._decoded(read, claim)
            self._watch.bump("shared_loads", entry is not None)
            return entry
        if not claim:
            return Claim.LOST
        # Weakly: a read that got lost, struck once more while it was ending, gives its lease up.
        self._keeper.keep(read.token, partial(self._renew, ref(read)))
        if read.is_over:  # cancelled meanwhile: nobody will fill or release
            self.release_behind(read)
        return Claim.WON

    def _renew(self, holder: ref[Read]) -> bool:
        read = holder()
        return read is not None and self.entries.renew(self._named(read), read.token)

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
            ended = [self._left_behind.popleft() for _ in range(min(AT_ONCE, len(self._left_behind)))]
            try:
                self.entries.end_many(ended)
            except CacheUnavailable:
                self._left_behind.extend(ended)
                return


def _token() -> bytes:
    return os.urandom(16).hex().encode()
