"""The Redis half of a read: its lease, taken, held and given back, and what is stored under it."""

from __future__ import annotations

import math
import os
import random
import time
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from mysql_redis_cache import near
from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.runtime import process
from mysql_redis_cache.store import Found, Name, Refused

from .background import Keeper
from .fetching import Fetching
from .steps import RELEASE, Acquire, Claim, Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mysql_redis_cache.options import Options
    from mysql_redis_cache.store import Link

    from .reads import Read
    from .steps import Fill, Release

__all__ = ["Cache"]


class Cache(Fetching):
    """The entries and leases of one client in Redis, as the steps of reads need them; and direct writes.

    Args:
        link: as for ``Asking``.
        *ways: as for ``Asking``.
        options: the client's.
        **parts: as for ``Asking``.
    """

    def __init__(self, link: Link, *ways: Any, options: Options, **parts: Any) -> None:
        super().__init__(link, *ways, options=options, **parts)
        self._is_clustered = link.clustered
        self._keeper = Keeper(options.policy.lease_seconds)

    def can_keep(self, read: Read) -> bool:
        """Return whether the entry of *read* can be kept with its lease; not every key of a cluster can."""
        if not self._is_clustered or self.name(read) is not None:
            return True
        self._watch.bump("uncacheable_keys")
        return False

    # The steps of a read

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
        self._background.submit("leases left behind", self._give_back, again=True)

    # Inside

    def _named(self, read: Read) -> Name:
        """Return what the entry of *read* is called; whoever set it up has seen to it that it can be."""
        where = self.name(read)
        if where is None:
            raise AssertionError("a read that cannot be cached asked for a lease")
        return where

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


def _token() -> bytes:
    """Return what stands in a lease: nobody else's, and says whose."""
    return f"{process.label()}:{os.urandom(16).hex()}".encode()
