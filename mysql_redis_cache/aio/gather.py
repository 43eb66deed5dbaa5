"""Concurrent reads of one event loop in one thread hop and one round trip.

The first caller to want an entry opens a batch and leads it to a thread; until the thread begins, others
join. The thread publishes what it found, so a leader that is cancelled on the way harms nobody; one cancelled
before the thread has begun leaves the lead to another caller. While a batch is out the next one forms, so the
more callers there are the less each costs. No task or timer outlives the callers.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from .threads import Signal, soon

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mysql_redis_cache.core import Read

__all__ = ["Gather"]

MAX_BATCH = 200
# How long a batch waits for the one before it. Two at a time would compete for the interpreter, each with
# half the callers; but an answer slow to come (a long way, a large value) must not keep the others waiting.
PATIENCE = 0.002


class _Batch:
    """Reads that go to Redis together."""

    __slots__ = ("changed", "failure", "is_claimed", "is_done", "is_led", "outcomes", "reads")

    def __init__(self) -> None:
        self.reads: list[Read] = []
        self.outcomes: Sequence[Any] = ()
        self.failure: Exception | None = None
        self.is_led = False
        self.is_claimed = False
        self.is_done = False
        self.changed = Signal()

    def publish(self) -> None:
        """Wake everybody; called in the loop."""
        self.is_done = True
        self.changed.set()

    def take_lead(self) -> bool:
        """Return ``True`` to one caller, and to one more whenever the leader has gone."""
        if self.is_done or self.is_led:
            return False
        self.is_led = True
        return True

    def leave_lead(self) -> None:
        """Leave the lead to whoever wakes or joins first."""
        self.is_led = False
        changed, self.changed = self.changed, Signal()
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
        self._lock = threading.Lock()  # between joining a batch, in the loop, and closing it, in its thread
        self._forming: _Batch | None = None
        self._last_out: _Batch | None = None

    async def get(self, read: Read) -> Any:
        """Return what *perform* finds for *read*."""
        with self._lock:
            batch = self._forming
            if batch is None or len(batch.reads) >= MAX_BATCH:
                batch = self._forming = _Batch()
            place = len(batch.reads)
            batch.reads.append(read)
        while not batch.is_done:
            if batch.take_lead():
                await self._lead(batch)
            else:
                await batch.changed.wait()
        if batch.failure is not None:
            raise batch.failure
        return batch.outcomes[place]

    async def _lead(self, batch: _Batch) -> None:
        try:
            if self._last_out is not None and not self._last_out.is_done:
                with anyio.move_on_after(PATIENCE):
                    await self._last_out.changed.wait()
            await anyio.to_thread.run_sync(self._run, batch, soon(), limiter=self._limiter)
        except BaseException:
            if not batch.is_claimed:
                batch.leave_lead()
            raise

    def _run(self, batch: _Batch, call_soon: Callable[[Callable[[], None]], object]) -> None:
        """Read the entries of *batch*, in a thread, and have the loop publish them."""
        with self._lock:
            if batch.is_claimed:
                return
            batch.is_claimed = True
            if self._forming is batch:
                self._forming = None
        self._last_out = batch
        try:
            batch.outcomes = self._perform(batch.reads)
        except Exception as error:  # noqa: BLE001 - everybody in the batch raises it
            batch.failure = error
        call_soon(batch.publish)
