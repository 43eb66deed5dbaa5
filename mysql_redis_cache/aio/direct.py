"""Concurrent reads of one event loop of asyncio's, in one round trip and without a thread.

Reads join the batch that is forming, which is sent once the loop has run everybody who is ready. The replies
are read when they come, decoded and published; then the next batch goes, over the same connection. Whatever
may wait or take long is done by threads, as ``gather`` says: opening connections, asking while Redis fails,
TLS, a cluster, large values.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from mysql_redis_cache.values import is_plain

from .gather import LARGE_BYTES, MAX_BATCH, MAX_OUT, PATIENCE, payloads_of, publish

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from mysql_redis_cache.readthrough.cache import Cache
    from mysql_redis_cache.readthrough.fetching import Fetch
    from mysql_redis_cache.readthrough.reads import Read

    from .gather import Gather

    Loop = asyncio.AbstractEventLoop

__all__ = ["Direct"]

DECODED_AT_ONCE = 1 << 18
"""Bytes of JSON that are decoded before others in the loop have their turn: a millisecond's worth or two."""

LOOKED_AT = 3 << 15
"""Bytes of JSON that are decoded at once whatever is in them: binary data takes up to five milliseconds."""

SOON = 0.001
"""Seconds after which a line is looked at again that is about to end."""


class _Batch:
    """Reads that go to Redis together, and what their callers wait for."""

    __slots__ = ("promise", "promises", "reads")

    def __init__(self, loop: Loop) -> None:
        self.promise = loop.create_future
        self.reads: list[Read] = []
        self.promises: list[asyncio.Future[Any]] = []


class Direct:
    """Gathers the reads of one event loop.

    Args:
        cache: answers them.
        threads: takes over what is not for the loop.
    """

    def __init__(self, cache: Cache, threads: Gather[Read]) -> None:
        self.cache = cache
        self._threads = threads
        self._forming: _Batch | None = None
        self._waiting: deque[_Batch] = deque()
        self._out = 0

    @staticmethod
    def suits(loop: Any) -> bool:
        """Return whether *loop* tells when a socket can be read: asyncio's do, but those of Windows."""
        return os.name == "posix" and hasattr(loop, "add_reader")

    def get(self, read: Read) -> Awaitable[Any]:
        """Return what gives the outcome of one read."""
        threads = self._threads
        if threads.has_seen_large and threads.expected(read) > LARGE_BYTES:
            return threads.get(read)
        batch = self._forming
        if batch is None or len(batch.reads) >= MAX_BATCH:
            batch = self._open(asyncio.get_running_loop())
        mine = batch.promise()
        batch.reads.append(read)
        batch.promises.append(mine)
        return mine

    def _open(self, loop: Loop) -> _Batch:
        batch = self._forming = _Batch(loop)
        if self._out:
            self._waiting.append(batch)
            loop.call_later(PATIENCE, self._overtake, loop, batch)
        else:
            self._out += 1
            loop.call_soon(self._begin, loop, batch)
        return batch

    def _overtake(self, loop: Loop, batch: _Batch) -> None:
        """Send a batch that has waited for long enough, though others are out."""
        if self._out < MAX_OUT and batch in self._waiting:
            self._waiting.remove(batch)
            self._out += 1
            self._begin(loop, batch)

    def _begin(self, loop: Loop, batch: _Batch) -> None:
        fetch = line = None
        try:
            fetch = self._fetch(batch)
            if fetch is not None:
                line = _Line(self, loop, fetch, batch)
        except (NotImplementedError, OSError):
            pass  # the loop cannot tell when this socket can be read, after all
        finally:  # a signal handler may have raised: nobody must wait for what will not come
            if line is None:
                if fetch is not None:
                    _abandon(loop, fetch)
                self._take_over(loop, batch)

    def _fetch(self, batch: _Batch, over: Fetch | None = None) -> Fetch | None:
        """Send *batch*, which nobody joins any more; ``None`` if a thread has to."""
        if self._forming is batch:
            self._forming = None
        return self.cache.begin(batch.reads, over)

    def _take_over(self, loop: Loop, batch: _Batch) -> None:
        self._threads.take_over(batch.reads, batch.promises, partial(self.came_back, loop))

    def go_on(self, loop: Loop, over: Fetch) -> tuple[Fetch, _Batch] | None:
        """Send the next batch over a connection that is free; ``None`` if it is needed no more."""
        if not self._waiting or not over.exchange.may_go_on:
            return None
        batch, fetch = self._waiting.popleft(), None
        try:
            fetch = self._fetch(batch, over)
        finally:
            if fetch is None:
                self._out += 1
                self._take_over(loop, batch)
        return None if fetch is None else (fetch, batch)

    def came_back(self, loop: Loop) -> None:
        """Note that one batch less is out, and send the next."""
        self._out -= 1
        if self._waiting:
            self._out += 1
            self._begin(loop, self._waiting.popleft())

    def publish(self, fetch: Fetch, found: Sequence[Any], promises: Sequence[Any]) -> None:
        """Decode what was found, and wake those who wait for it."""
        if fetch.exchange.received > LOOKED_AT and _takes_long(fetch.exchange.received, found):
            self._threads.take_over(fetch.reads, promises, answers=found)
            return
        outcomes: Sequence[Any] = ()
        try:
            outcomes = self.cache.decode_many(fetch.reads, found)
        finally:
            if not outcomes:  # what struck this callback is nobody's who waits
                self._threads.take_over(fetch.reads, promises, answers=found)
        publish(promises, outcomes)


def _takes_long(received: int, found: Sequence[Any]) -> bool:
    return received > DECODED_AT_ONCE or not all(map(is_plain, payloads_of(found)))


class _Line:
    """A connection over which the loop asks, for as long as there is something to ask."""

    def __init__(self, owner: Direct, loop: Loop, fetch: Fetch, batch: _Batch) -> None:
        self._owner, self._loop = owner, loop
        self._fetch, self._promises = fetch, batch.promises
        self._is_asked = True
        loop.add_reader(fetch.exchange.file, self._read)
        self._watch(fetch.exchange.left)

    def _watch(self, seconds: float) -> None:
        # The loop alone refers to a line: what it holds ends with it, at once.
        self._timer = self._loop.call_later(seconds, _look, ref(self))

    def look(self) -> None:
        """Give up what is late."""
        if self._is_asked and self._fetch.exchange.left <= 0:
            self._read(is_late=True)
        self._watch(max(self._fetch.exchange.left, SOON))

    def _read(self, *, is_late: bool = False) -> None:
        fetch = self._fetch
        if not self._is_asked:  # it was closed, or speaks without being asked
            fetch.is_lost = True
            return
        found = self._owner.cache.receive(fetch, is_late=is_late)
        if found is None:
            return
        self._is_asked = False
        promises, self._promises = self._promises, []
        try:
            self._owner.publish(fetch, found, promises)
        finally:
            self._loop.call_soon(self._next)  # behind those who were just woken, who may ask for more

    def _next(self) -> None:
        sent = None
        try:
            if not self._fetch.is_lost:
                sent = self._owner.go_on(self._loop, self._fetch)
        finally:
            if sent is None:
                self._end()
        if sent is not None:
            self._fetch, batch = sent
            self._promises, self._is_asked = batch.promises, True

    def _end(self) -> None:
        self._timer.cancel()
        self._loop.remove_reader(self._fetch.exchange.file)
        self._fetch.end()
        self._owner.came_back(self._loop)


def _look(known: Callable[[], _Line | None]) -> None:
    line = known()
    if line is not None:
        line.look()


def _abandon(loop: Loop, fetch: Fetch) -> None:
    """Let go of what was asked, and close its connection."""
    with suppress(NotImplementedError, OSError):
        loop.remove_reader(fetch.exchange.file)
    fetch.is_lost = True
    fetch.end()
