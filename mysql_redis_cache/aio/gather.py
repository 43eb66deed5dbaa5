"""Concurrent reads of one event loop in one thread hop and one round trip.

The first caller to want an entry opens a batch and leads it: it yields to the loop once, so that others
may join, and takes the batch to a thread. The thread publishes what it found, so a leader that is cancelled
on the way harms nobody; one cancelled before the thread has begun leaves the lead to another caller. While
a batch is out the next one forms. No task or timer outlives the callers.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread

from .threads import soon

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mysql_redis_cache.core import Read

__all__ = ["Gather"]

MAX_BATCH = 200


class _Batch:
    """Reads that go to Redis together."""

    __slots__ = ("_unclaimed", "changed", "failure", "is_done", "is_led", "outcomes", "reads")

    def __init__(self) -> None:
        self.reads: list[Read] = []
        self.outcomes: Sequence[Any] = ()
        self.failure: Exception | None = None
        self.is_done = False
        self.is_led = True
        self.changed = anyio.Event()
        self._unclaimed = [True]

    def claim(self) -> bool:
        """Return ``True`` to one caller only: to the thread that is to run the batch, or who stops it."""
        try:
            return self._unclaimed.pop()
        except IndexError:
            return False

    def run(self, perform: Callable[[list[Read]], Sequence[Any]], publish: Callable[[], None]) -> None:
        """Run in a worker thread, and have the loop *publish* the outcome."""
        if not self.claim():
            return
        try:
            self.outcomes = perform(self.reads)
        except Exception as error:  # noqa: BLE001 - everybody in the batch raises it
            self.failure = error
        publish()

    def publish(self) -> None:
        """Wake everybody; called in the loop."""
        self.is_done = True
        self.changed.set()

    def take_lead(self) -> bool:
        """Return ``True`` to the first caller after the leader has gone."""
        if self.is_done or self.is_led:
            return False
        self.is_led = True
        return True

    def orphan(self) -> None:
        """Leave the lead to whoever wakes first; called in the loop."""
        self._unclaimed = [True]
        self.is_led = False
        changed, self.changed = self.changed, anyio.Event()
        changed.set()


class Gather:
    """Gathers concurrent reads into batches.

    Args:
        perform: reads several entries in one round trip; called in a thread.
        limiter: bounds the threads, and so the batches in flight.
    """

    def __init__(
        self, perform: Callable[[list[Read]], Sequence[Any]], limiter: anyio.CapacityLimiter
    ) -> None:
        self._perform = perform
        self._limiter = limiter
        self._unlimited = anyio.CapacityLimiter(math.inf)  # for a thread whose place is taken already
        self._forming: _Batch | None = None

    async def get(self, read: Read) -> Any:
        """Return what *perform* finds for *read*."""
        batch = self._forming
        leads = batch is None or len(batch.reads) >= MAX_BATCH
        if batch is None or leads:
            batch = self._forming = _Batch()
        place = len(batch.reads)
        batch.reads.append(read)
        while not batch.is_done:
            if leads:
                await self._lead(batch)
                leads = False
            else:
                await batch.changed.wait()
                leads = batch.take_lead()
        if batch.failure is not None:
            raise batch.failure
        return batch.outcomes[place]

    async def _lead(self, batch: _Batch) -> None:
        try:
            await anyio.lowlevel.checkpoint()
            async with self._limiter:  # while all threads are busy, the batch goes on growing
                self._close(batch)
                publish = partial(soon(), batch.publish)
                await anyio.to_thread.run_sync(batch.run, self._perform, publish, limiter=self._unlimited)
        except BaseException:
            self._close(batch)
            if batch.claim():
                batch.orphan()
            raise

    def _close(self, batch: _Batch) -> None:
        if self._forming is batch:
            self._forming = None
