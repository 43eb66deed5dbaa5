"""What a driver keeps for each event loop in which its client is used."""

from __future__ import annotations

import threading
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary, ref

import anyio

from .direct import Direct
from .gather import Gather
from .lanes import Crowded
from .threads import at_home, breathe, native_loop, prepare
from .workers import HITS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from mysql_redis_cache.readthrough.cache import Cache
    from mysql_redis_cache.readthrough.reads import Read
    from mysql_redis_cache.readthrough.steps import Acquire, Claim, Entry

__all__ = ["Here", "Loops"]


class _Asking(NamedTuple):
    """An Acquire of one read, to be gathered with others."""

    read: Read
    step: Acquire

    @property
    def query(self) -> str:
        """The query of the read."""
        return self.read.query


class Here:
    """What a driver keeps for one event loop; once everybody is answered nothing in it refers to the loop."""

    def __init__(self, cache: Cache | None, limiter: anyio.CapacityLimiter | None) -> None:
        prepare()
        self._limiter = limiter
        if cache is None:  # then nobody asks for these
            return
        reads = Gather(cache.fetch_many, HITS, partial(cache.decode_many, between=breathe))
        self.reads: Gather[Read] | Direct = Direct(cache, reads) if Direct.suits(native_loop()) else reads
        self.writes = Gather(cache.put_many, HITS)
        self._claims = Gather(_acquire_by(cache), HITS)

    @asynccontextmanager
    async def token(self, until: float) -> AsyncIterator[None]:
        """Hold a token of the user's limiter, if there is one; raise ``Crowded`` if none comes in time."""
        limiter, borrower = self._limiter, object()
        if limiter is None:
            yield
            return
        with anyio.move_on_after(until - time.monotonic()) as scope:
            await limiter.acquire_on_behalf_of(borrower)
        if scope.cancelled_caught:
            raise Crowded
        try:
            yield
        finally:
            limiter.release_on_behalf_of(borrower)

    def acquire(self, read: Read, step: Acquire) -> Awaitable[Entry | Claim]:
        """Return what gives the outcome of a step that asks for a lease."""
        return self._claims.get(_Asking(read, step))


def _acquire_by(cache: Cache) -> Callable[[Sequence[_Asking]], Sequence[Entry | Claim]]:
    def acquire(claims: Sequence[_Asking]) -> Sequence[Entry | Claim]:
        reads, steps = zip(*claims, strict=True)
        return cache.acquire_many(reads, steps)

    return acquire


class Loops:
    """Finds what is kept for the running event loop.

    Args:
        cache: answers the reads; ``None`` without Redis.
        limiter: the user's, which bounds the threads for MySQL and for plain functions in each event loop.
    """

    def __init__(self, cache: Cache | None, limiter: anyio.CapacityLimiter | None) -> None:
        self._cache = cache
        self._limiter = limiter
        self._kept: WeakKeyDictionary[Any, Here] = WeakKeyDictionary()
        self._last: tuple[Callable[[], Any], Here] | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many loops something is kept for."""
        return len(self._kept)

    def here(self) -> Here:
        """Return what is kept for the running event loop."""
        loop, last = native_loop(), self._last
        if last is not None and last[0]() is loop:
            return last[1]
        with self._lock:
            here = self._kept.get(loop)
            if here is None:
                self._forget_closed()
                limiter = None if self._limiter is None else at_home(self._limiter, loop)
                here = self._kept[loop] = Here(self._cache, limiter)
        self._last = (ref(loop), here)
        return here

    def _forget_closed(self) -> None:
        """Forget those that ended while somebody waited: who waits there refers to them."""
        for loop in list(self._kept):
            if getattr(loop, "is_closed", bool)():
                self._kept.pop(loop, None)
