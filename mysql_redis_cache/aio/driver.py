"""The driver from an event loop, asyncio's or trio's.

The steps of a read are those of the blocking client, done by other means: what talks to Redis or MySQL is
done in a thread, one hop a step; whatever waits (for a lease, for somebody else's load, for the user's
coroutine) waits in the event loop and holds no thread.
"""

from __future__ import annotations

import inspect
import logging
import random
import threading
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar
from weakref import WeakKeyDictionary, ref

import anyio

from mysql_redis_cache.errors import ClosedError, PoolTimeout
from mysql_redis_cache.readthrough import BlockingDriver, uncommitted
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
from mysql_redis_cache.readthrough.reads import Write
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
    go_on,
    is_answer,
    refresh_behind,
)
from mysql_redis_cache.runtime import SlotsClosed

from .direct import Direct
from .gather import Gather
from .lanes import FUNCTIONS, SHORT, Crowded, run_placed
from .threads import at_home, breathe, given, hop, native_loop, soon
from .workers import HITS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from mysql_redis_cache.policy import Policy
    from mysql_redis_cache.readthrough import Core
    from mysql_redis_cache.readthrough.cache import Cache
    from mysql_redis_cache.readthrough.flight import Flight
    from mysql_redis_cache.readthrough.listed import Listed
    from mysql_redis_cache.readthrough.many import Task, Tasks
    from mysql_redis_cache.readthrough.reads import Asked, Batch, Read
    from mysql_redis_cache.readthrough.steps import Entry, Loaded, Shared, Step, Steps

__all__ = ["LoopDriver"]

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("mysql_redis_cache.reads")

# Bytes of JSON that are decoded in the event loop: half a millisecond's worth.
DECODED_IN_LOOP = 64 * 1024
# How long what is over soon waits for a thread, before it is done in another way.
PATIENCE = 1.0


class _Claim(NamedTuple):
    """An Acquire of one read, to be gathered with others."""

    read: Read
    step: Acquire

    @property
    def query(self) -> str:
        """The query of the read."""
        return self.read.query


class _Here:
    """What a driver keeps for one event loop; once everybody is answered nothing in it refers to the loop."""

    def __init__(self, cache: Cache | None, limiter: anyio.CapacityLimiter | None) -> None:
        self.limiter = limiter
        if cache is None:  # then nobody asks for these
            return
        reads = Gather(cache.fetch_many, HITS, partial(cache.decode_many, between=breathe))
        self.reads: Gather[Read] | Direct = Direct(cache, reads) if Direct.suits(native_loop()) else reads
        self.writes = Gather(cache.put_many, HITS)
        self.claims = Gather(_acquire_by(cache), HITS)


def _acquire_by(cache: Cache) -> Callable[[Sequence[_Claim]], Sequence[Entry | Claim]]:
    def acquire(claims: Sequence[_Claim]) -> Sequence[Entry | Claim]:
        reads, steps = zip(*claims, strict=True)
        return cache.acquire_many(reads, steps)

    return acquire


class LoopDriver:
    """Drives the steps of one client's reads.

    Args:
        core: the parts of the client.
        limiter: bounds the threads for MySQL and for plain functions, in each event loop.
    """

    def __init__(self, core: Core, limiter: anyio.CapacityLimiter | None) -> None:
        self._core = core
        self._external = None if core.external is None else core.external.connection
        self._behind = BlockingDriver(core)  # for what nobody waits for
        self._limiter = limiter
        self._loops: WeakKeyDictionary[Any, _Here] = WeakKeyDictionary()
        self._last_loop: tuple[Callable[[], Any], _Here] | None = None
        self._lock = threading.Lock()
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
            return answer
        entry = await self._performers[Get](read, GET)
        if is_answer(entry, read.policy):
            return entry.value
        return await self.run(go_on(entry, read.policy, time.monotonic, random.random), read)

    def check_function(self, fn: object) -> None:
        """Raise ``TypeError`` unless *fn* can be called."""
        check_function(fn)

    def load_of(self, fn: Callable[[], Any]) -> _Awaited:
        """Return a call of *fn*, a coroutine function or a plain one, as the load of a read."""
        return _Awaited(fn, self._behind.load_of(fn))

    def close(self) -> None:
        """Need no threads any more."""
        HITS.leave(self)

    async def in_mysql_thread(self, call: Callable[[], T]) -> T:
        """Run *call* in a thread, with a place in the MySQL pool.

        Raises:
            PoolTimeout: there was none, or no token of the limiter, within ``pool_timeout``.
            ClosedError: the pool is closed.
        """
        self._core.check_open()
        if self._external is not None:
            return await self._external.in_thread(call)
        if self._core.in_transaction:  # it has its connection, and must not queue with those who wait for one
            return await hop(call)
        pool = self._core.database.pool
        until = time.monotonic() + pool.timeout
        try:
            async with self._token(until):
                waited = self._core.watch.pool_waited
                return await run_placed(call, pool.slots, until - time.monotonic(), waited)
        except Crowded:
            raise PoolTimeout(pool.timeout, pool.size) from None
        except SlotsClosed:
            raise ClosedError("the MySQL pool is closed") from None

    def _here(self) -> _Here:
        """Return what is kept for the running event loop."""
        loop, last = native_loop(), self._last_loop
        if last is not None and last[0]() is loop:
            return last[1]
        with self._lock:
            here = self._loops.get(loop)
            if here is None:
                self._forget_closed_loops()
                limiter = None if self._limiter is None else at_home(self._limiter, loop)
                here = self._loops[loop] = _Here(self._core.cache, limiter)
        self._last_loop = (ref(loop), here)
        return here

    def _forget_closed_loops(self) -> None:
        """Forget those that ended while somebody waited: who waits there refers to them."""
        for loop in list(self._loops):
            if getattr(loop, "is_closed", bool)():
                self._loops.pop(loop, None)

    @asynccontextmanager
    async def _token(self, until: float) -> AsyncIterator[None]:
        """Hold a token of the user's limiter, if there is one."""
        limiter, borrower = self._here().limiter, object()
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

    async def _soon(self, call: Callable[[], T], otherwise: Callable[[], T]) -> T:
        """Run a short *call* in a thread; do something else if there is none."""
        try:
            return await SHORT.run(call, PATIENCE)
        except Crowded:
            return otherwise()

    # Redis

    def _get(self, read: Read, step: Get = GET) -> Awaitable[Entry | Claim | None]:
        # No thread is needed to learn that Redis is away.
        return self._get_nothing(read, step) if self._cache.is_away else self._here().reads.get(read)

    def _get_near(self, read: Read, step: Get = GET) -> Awaitable[Any]:
        """Perform Get; what is kept in this process needs no thread, unless it takes long to decode."""
        kept = self._cache.kept(read)
        if kept is None:
            return self._get(read, step)
        served = partial(self._cache.served, read, kept)
        if len(kept.payload) <= DECODED_IN_LOOP:
            return given(served())
        return self._soon(partial(served, breathe), served)

    async def _get_nothing(self, read: Read, step: Get) -> Claim:  # noqa: ARG002 - a step's performer
        return Claim.UNAVAILABLE if self._cache is None else self._cache.away()

    def _put(self, read: Read, step: Put) -> Awaitable[None]:
        return self._here().writes.get(Write(read, step.value))

    async def _check(self, read: Read, step: Put) -> None:  # noqa: ARG002 - a step's performer
        check = partial(self._core.check_value, step.value)
        await self._soon(check, check)

    def _acquire(self, read: Read, step: Acquire) -> Awaitable[Entry | Claim]:
        return self._here().claims.get(_Claim(read, step))

    async def _give_up_lease(self, perform: Callable[[Read, Any], bool], read: Read, step: Step) -> bool:
        """Perform Fill or Release, after either of which the lease is not ours any more."""

        def let_go() -> bool:
            self._cache.release_behind(read)
            return False

        return await self._soon(partial(perform, read, step), let_go)

    # Loads

    async def _load(self, read: Read, step: Load) -> Loaded:  # noqa: ARG002 - a step's performer
        load = read.load
        if not isinstance(load, _Awaited):
            return await self.in_mysql_thread(partial(self._core.load, read))
        began = self._core.begin_load(read)
        try:
            value = await self._await_function(read, load)
            encode = partial(self._core.loaded, read, value)
            loaded = await self._soon(partial(encode, breathe), encode)
            loaded = uncommitted(loaded) if await self._is_inside() else loaded
        except BaseException as error:
            self._core.note_load(read, began, error)
            raise
        self._core.note_load(read, began, loaded)
        return loaded

    async def _is_inside(self) -> bool:
        """Whether a framework's transaction is open where it runs what the user's function asked of it."""
        connection = self._external
        return connection is not None and await connection.in_thread(lambda: connection.in_transaction)

    async def _await_function(self, read: Read, load: _Awaited) -> Any:
        """Call the user's function, marked as the load of the key, so that it may read that key itself."""
        with self._core.loading.mark(read.key):
            value = load.fn() if load.is_async else await self._call_in_thread(load.fn, read.policy)
            return await value if inspect.isawaitable(value) else value

    async def _call_in_thread(self, fn: Callable[[], Any], policy: Policy) -> Any:
        if self._external is not None:
            return await self._external.in_thread(fn)
        seconds = policy.wait_timeout
        until = time.monotonic() + seconds
        try:
            async with self._token(until):
                # In a tuple: trio brings no awaitable back from a thread, asyncio not every error unharmed.
                value, error = await FUNCTIONS.run(partial(_outcome, fn), until - time.monotonic())
        except Crowded:
            raise PoolTimeout(seconds, FUNCTIONS.size, "thread") from None
        if error is not None:
            raise error
        return value

    async def _refresh_behind(self, read: Read, step: Refresh) -> None:
        if not isinstance(read.load, _Awaited):
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
        return await self._soon(partial(landed_, breathe), landed_)

    async def _seal(self, read: Read, step: Seal) -> None:
        self._core.seal(read, step)

    async def _settle(self, read: Read, step: Settle) -> None:
        self._core.settle(read, step)

    async def _wait(self, read: Read, step: Wait) -> None:  # noqa: ARG002 - a step's performer
        await anyio.sleep(step.seconds)

    # The tasks of a batch

    async def _get_many(self, batch: Batch, task: GetMany) -> Any:  # noqa: ARG002 - a task's performer
        unavailable = partial(self._unavailable, len(task.reads))
        return await self._soon(partial(self._cache.get_many, task.reads), unavailable)

    async def _acquire_many(self, batch: Batch, task: AcquireMany) -> Any:  # noqa: ARG002 - a task's performer
        unavailable = partial(self._unavailable, len(task.reads))
        return await self._soon(partial(self._cache.acquire_many, task.reads, task.steps), unavailable)

    async def _load_many(self, batch: Listed, task: LoadMany) -> list[Loaded]:
        return await self.in_mysql_thread(partial(self._core.load_many, batch, task.reads))

    async def _fill_many(self, batch: Batch, task: FillMany) -> list[bool]:  # noqa: ARG002 - a task's performer
        def let_go() -> list[bool]:
            for read in task.reads:
                self._cache.release_behind(read)
            return [False] * len(task.reads)

        return await self._soon(partial(self._cache.fill_many, task.reads, task.steps), let_go)

    @staticmethod
    def _unavailable(count: int) -> list[Claim]:
        return [Claim.UNAVAILABLE] * count

    async def _join_now(self, batch: Batch, task: JoinNow) -> bool:  # noqa: ARG002 - a task's performer
        return self._core.join(task.read) is None

    async def _perform(self, batch: Batch, task: Perform) -> Any:  # noqa: ARG002 - a task's performer
        return await self._performers[type(task.step)](task.read, task.step)


class _Awaited:
    """A user's function as the load of a read, to be called where it can be awaited.

    Args:
        fn: the function.
        blocking: the same for who is in a thread; a coroutine function is refused there.
    """

    def __init__(self, fn: Callable[[], Any], blocking: Callable[[Read], Loaded]) -> None:
        self.fn = fn
        self.is_async = inspect.iscoroutinefunction(fn)
        self._blocking = blocking

    def __call__(self, read: Read) -> Loaded:
        """Call it in this thread."""
        return self._blocking(read)


def _outcome(fn: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """Return what *fn* gives, and what it raises."""
    try:
        return fn(), None
    except BaseException as error:  # noqa: BLE001 - the caller raises it
        return None, error
