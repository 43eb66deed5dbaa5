"""The driver from an event loop, asyncio's or trio's.

The steps of a read are those of the blocking client, done by other means: what talks to Redis or MySQL is
done in a thread, one hop a step; whatever waits (for a lease, for somebody else's load, for the user's
coroutine) waits in the event loop and holds no thread.
"""

from __future__ import annotations

import logging
import random
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from mysql_redis_cache.readthrough import BlockingDriver
from mysql_redis_cache.readthrough.functions import check_function
from mysql_redis_cache.readthrough.many import (
    AcquireMany,
    FillMany,
    GetMany,
    JoinNow,
    LoadMany,
    Perform,
)
from mysql_redis_cache.readthrough.nearby import AWAY
from mysql_redis_cache.readthrough.protocol import go_on, is_answer, refresh_behind
from mysql_redis_cache.readthrough.reads import Write, in_form
from mysql_redis_cache.readthrough.steps import (
    GET,
    Acquire,
    Claim,
    Fill,
    Get,
    Join,
    JoinLate,
    Load,
    Put,
    Refresh,
    Release,
    Seal,
    Seat,
    Settle,
    Wait,
)
from mysql_redis_cache.values import Misfit, fitting

from .lanes import run_short
from .loads import Awaited, Loads
from .loops import Loops
from .threads import breathe, given, soon
from .workers import HITS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mysql_redis_cache.readthrough import Core
    from mysql_redis_cache.readthrough.flight import Flight
    from mysql_redis_cache.readthrough.listed import Listed
    from mysql_redis_cache.readthrough.many import Task, Tasks
    from mysql_redis_cache.readthrough.reads import Asked, Batch, Read
    from mysql_redis_cache.readthrough.steps import Entry, Loaded, Shared, Step, Steps

__all__ = ["LoopDriver"]

logger = logging.getLogger("mysql_redis_cache.reads")

# Bytes of JSON that are decoded in the event loop: half a millisecond's worth.
DECODED_IN_LOOP = 64 * 1024


class LoopDriver:
    """Drives the steps of one client's reads.

    Args:
        core: the parts of the client.
        limiter: bounds the threads for MySQL and for plain functions, in each event loop.
    """

    def __init__(self, core: Core, limiter: anyio.CapacityLimiter | None) -> None:
        self._core = core
        self._behind = BlockingDriver(core)  # for what nobody waits for
        self._loops = Loops(core.cache, limiter)
        self.loads = Loads(core, self._loops)
        self._nearby = core.nearby
        self._cache: Any = core.cache  # None without Redis, and then only Get and Put ask for it
        HITS.enrol(self)
        self._performers: dict[type[Step | Task], Callable[[Any, Any], Awaitable[Any]]] = {
            Join: self._join,
            JoinLate: self._join_late,
            Load: self._load,
            Seal: self._seal,
            Settle: self._settle,
            Wait: self._wait,
            Refresh: self._refresh_behind,
            JoinNow: self._join_now,
            LoadMany: self._load_many,
            Perform: self._perform,
            Get: self._get_nothing,
            Put: self._check,
        }
        if core.cache is not None:
            self._performers |= {
                Get: self._get if core.nearby is None else self._get_near,
                Acquire: self._acquire,
                Fill: partial(self._give_up_lease, core.cache.fill),
                Release: partial(self._give_up_lease, core.cache.release),
                Put: self._put,
                GetMany: self._get_many,
                AcquireMany: self._acquire_many,
                FillMany: self._fill_many,
            }

    async def run(self, steps: Steps | Tasks, read: Asked) -> Any:
        """Drive *steps* to their end, and return the answer."""
        try:
            step = steps.send(None)
            while True:
                try:
                    outcome = await self._performers[type(step)](read, step)
                except Exception as error:  # noqa: BLE001 - the steps decide what follows, and raise it again
                    step = steps.throw(error)
                else:
                    step = steps.send(outcome)
        except StopIteration as done:
            return done.value
        except BaseException:
            # Cancellation gets here past the steps: what they hold is let go without another await.
            self._core.end(read)
            steps.close()
            raise

    async def read(self, read: Read) -> Any:
        """Answer a read that is plain, as ``Core.is_plain`` says."""
        if self._nearby is not None and (answer := self._nearby.at_hand(read)) is not AWAY:
            return fitting(answer) if type(answer) is Misfit else answer
        entry = await self._performers[Get](read, GET)
        if is_answer(entry, read.policy):
            return fitting(entry.value) if type(entry.value) is Misfit else entry.value
        steps = go_on(entry, read.policy, time.monotonic, random.random)
        return await self.run(in_form(steps, read), read)

    def check_function(self, fn: object) -> None:
        """Raise ``TypeError`` unless *fn* can be called."""
        check_function(fn)

    def load_of(self, fn: Callable[[], Any]) -> Awaited:
        """Return a call of *fn*, a coroutine function or a plain one, as the load of a read."""
        return Awaited(fn, self._behind.load_of(fn))

    def close(self) -> None:
        """Need no threads any more."""
        HITS.leave(self)

    # Redis

    def _get(self, read: Read, step: Get = GET) -> Awaitable[Entry | Claim | None]:
        # No thread is needed to learn that Redis is away.
        return self._get_nothing(read, step) if self._cache.is_away else self._loops.here().reads.get(read)

    def _get_near(self, read: Read, step: Get = GET) -> Awaitable[Any]:
        """Perform Get; what is kept in this process needs no thread, unless it takes long to decode."""
        kept = self._cache.kept(read)
        if kept is None:
            return self._get(read, step)
        served = partial(self._cache.served, read, kept)
        if len(kept.payload) <= DECODED_IN_LOOP:
            return given(served())
        return run_short(partial(served, breathe), served)

    async def _get_nothing(self, read: Read, step: Get) -> Claim:  # noqa: ARG002 - a step's performer
        return Claim.UNAVAILABLE if self._cache is None else self._cache.away()

    def _put(self, read: Read, step: Put) -> Awaitable[None]:
        return self._loops.here().writes.get(Write(read, step.value))

    async def _check(self, read: Read, step: Put) -> None:  # noqa: ARG002 - a step's performer
        check = partial(self._core.check_value, step.value)
        await run_short(check, check)

    def _acquire(self, read: Read, step: Acquire) -> Awaitable[Entry | Claim]:
        return self._loops.here().acquire(read, step)

    async def _give_up_lease(self, perform: Callable[[Read, Any], bool], read: Read, step: Step) -> bool:
        """Perform Fill or Release, after either of which the lease is not ours any more."""

        def let_go() -> bool:
            self._cache.release_behind(read)
            return False

        return await run_short(partial(perform, read, step), let_go)

    async def _load(self, read: Read, step: Load) -> Loaded:  # noqa: ARG002 - a step's performer
        return await self.loads.load(read)

    async def _refresh_behind(self, read: Read, step: Refresh) -> None:
        if not isinstance(read.load, Awaited):
            self._behind.refresh_behind(read, step)
            return
        # A coroutine needs a task, and nobody's but the caller's is at hand: who wins the lease pays.
        again = read.again()
        self._core.observer.note_refresh(read, step.left)
        try:
            await self.run(self._core.observer.watched(refresh_behind(step.left), again, ends=False), again)
        except Exception:  # the reader has its answer already; the next one tries again
            logger.debug("a refresh behind a reader's back failed", exc_info=True)

    # Flights and waits

    async def _join(self, read: Read, step: Join) -> Shared | Seat:
        flight = self._core.join(read)
        return Seat.LEADER if flight is None else await self._landed(read, flight, step.until)

    async def _join_late(self, read: Read, step: JoinLate) -> Shared | Seat:
        flight = self._core.join_late(read, step)
        return Seat.LEADER if flight is None else await self._landed(read, flight, step.until)

    async def _landed(self, read: Read, flight: Flight, until: float) -> Shared | Seat:
        landed = anyio.Event()
        if flight.wake(partial(soon(), landed.set)):
            with anyio.move_on_after(until - time.monotonic()):
                await landed.wait()
        payload = flight.landing.payload if flight.landing is not None else None
        if payload is None or len(payload) <= DECODED_IN_LOOP:
            return self._core.landed(read, flight)
        landed_ = partial(self._core.landed, read, flight)
        return await run_short(partial(landed_, breathe), landed_)

    async def _seal(self, read: Read, step: Seal) -> None:
        self._core.seal(read, step)

    async def _settle(self, read: Read, step: Settle) -> None:
        self._core.settle(read, step)

    async def _wait(self, read: Read, step: Wait) -> None:  # noqa: ARG002 - a step's performer
        await anyio.sleep(step.seconds)

    # The tasks of a batch

    async def _get_many(self, batch: Batch, task: GetMany) -> Any:  # noqa: ARG002 - a task's performer
        unavailable = partial(self._unavailable, len(task.reads))
        return await run_short(partial(self._cache.get_many, task.reads), unavailable)

    async def _acquire_many(self, batch: Batch, task: AcquireMany) -> Any:  # noqa: ARG002 - a task's performer
        unavailable = partial(self._unavailable, len(task.reads))
        return await run_short(partial(self._cache.acquire_many, task.reads, task.steps), unavailable)

    async def _load_many(self, batch: Listed, task: LoadMany) -> list[Loaded]:
        return await self.loads.in_mysql_thread(partial(self._core.load_many, batch, task.reads))

    async def _fill_many(self, batch: Batch, task: FillMany) -> list[bool]:  # noqa: ARG002 - a task's performer
        def let_go() -> list[bool]:
            for read in task.reads:
                self._cache.release_behind(read)
            return [False] * len(task.reads)

        return await run_short(partial(self._cache.fill_many, task.reads, task.steps), let_go)

    @staticmethod
    def _unavailable(count: int) -> list[Claim]:
        return [Claim.UNAVAILABLE] * count

    async def _join_now(self, batch: Batch, task: JoinNow) -> bool:  # noqa: ARG002 - a task's performer
        return self._core.join(task.read) is None

    async def _perform(self, batch: Batch, task: Perform) -> Any:  # noqa: ARG002 - a task's performer
        return await self._performers[type(task.step)](task.read, task.step)
