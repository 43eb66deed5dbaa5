"""Cancelled at every await: nobody else is harmed, and nothing leaks."""

from __future__ import annotations

import asyncio
import time
import types
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest

from mysql_redis_cache import AsyncMRCClient
from mysql_redis_cache.aio.lanes import DROPS, FUNCTIONS, SHORT
from tests.client.drivers import until
from tests.support.pools import living

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Generator

    import redis
    from pymysql.connections import Connection

pytestmark = pytest.mark.anyio

MOST_AWAITS = 100
QUERY = "SELECT name FROM users WHERE id = ?"


@pytest.fixture(params=["native", "scope", "trio"])
def way(request: pytest.FixtureRequest) -> str:
    """How a task is cancelled: asyncio's ``task.cancel()``, anyio's scope on asyncio, or on trio."""
    return str(request.param)


@pytest.fixture
def anyio_backend(way: str) -> str:
    """The event loop of that way."""
    return "trio" if way == "trio" else "asyncio"


@pytest.fixture
async def client(mysql_url: str, redis_url: str) -> AsyncIterator[AsyncMRCClient]:
    """A facade with few threads and connections, so that one that leaks is missed."""
    async with AsyncMRCClient(f"{mysql_url}?maxsize=2&pool_timeout=5", redis_url, wait_timeout=5) as client:
        yield client


class Cancelling:
    """Runs a coroutine and cancels it where it awaits something for the *at*-th time.

    Args:
        way: as the fixture says.
        at: the number of the await.
        late: whether to hold up the loop first, so that a thread that was waited for has ended by then.
    """

    def __init__(self, way: str, at: int, *, late: bool) -> None:
        self.was_cancelled = False
        self._way, self._at, self._late = way, at, late
        self._cancel: Callable[[], object] = lambda: None

    async def run(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run it to its end, or to its cancellation."""
        if self._way == "native":
            task = asyncio.ensure_future(self._drive(coroutine))
            self._cancel = task.cancel
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()
        else:
            with anyio.CancelScope() as scope:
                self._cancel = scope.cancel
                await self._drive(coroutine)

    @types.coroutine
    def _drive(self, coroutine: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        awaits, step, given = 0, coroutine.send, None
        while True:
            try:
                awaited = step(given)
            except StopIteration as done:
                return done.value
            awaits += 1
            if awaits == self._at:
                self.was_cancelled = True
                if self._late:
                    time.sleep(0.01)
                self._cancel()
            try:
                given, step = (yield awaited), coroutine.send
            except BaseException as error:
                given, step = error, coroutine.throw


async def at_every_await(
    way: str, make: Callable[[], Coroutine[Any, Any, Any]], check: Callable[[], Coroutine[Any, Any, Any]]
) -> None:
    """Run what *make* makes again and again, cancelled one await later each time, and *check* each time."""
    for late in (False, True):
        for at in range(1, MOST_AWAITS):
            cancelling = Cancelling(way, at, late=late)
            with anyio.fail_after(10):
                await cancelling.run(make())
                await check()
            if not cancelling.was_cancelled:
                break
        else:
            raise AssertionError(f"still awaiting after {MOST_AWAITS} awaits")


async def nothing_is_held(client: AsyncMRCClient, redis_client: redis.Redis) -> None:
    """No lease, connection, place in a queue, flight or task; a thread may end first."""
    core = cast("Any", client._core)
    await until(lambda: not redis_client.keys("*:lease"), "giving back the lease")
    await until(lambda: core.database.pool.in_use == 0, "giving back the connection")
    for lane in (SHORT, FUNCTIONS, DROPS):
        await until(lambda lane=lane: lane._slots.in_use == 0, "giving back a thread's place")  # type: ignore[misc]
        assert not lane._slots.queue.tickets
    assert len(core.flights) == 0
    redis_connections = core.cache.entries._link._connections
    slots = core.database.pool.slots
    await until(lambda: set(redis_connections._idle) == living(redis_connections), "taking back")
    assert not redis_connections._queue.tickets
    assert not slots.queue.tickets
    assert len(anyio.get_running_tasks()) <= 3  # this one, and those of the runner and of trio


async def test_a_miss(way: str, client: AsyncMRCClient, users: Connection, redis_client: redis.Redis) -> None:
    """``query_with_cache`` on a cold key, cancelled anywhere; the next caller is served at once."""

    async def check() -> None:
        await nothing_is_held(client, redis_client)
        assert await client.query_with_cache(QUERY, [123], ["UserId"]) == [{"name": "Ada"}]
        redis_client.flushdb()

    await at_every_await(way, lambda: client.query_with_cache(QUERY, [123], ["UserId"]), check)


async def test_a_hit(way: str, client: AsyncMRCClient, redis_client: redis.Redis) -> None:
    """Also where the caller leads a batch."""
    await client.write_to_cache("v1", 1)

    async def check() -> None:
        await nothing_is_held(client, redis_client)
        assert await client.read_from_cache("v1") == 1

    await at_every_await(way, lambda: client.with_cache(pytest.fail, "v1"), check)


async def test_a_function(way: str, client: AsyncMRCClient, redis_client: redis.Redis) -> None:
    """``with_cache`` with a coroutine function, cancelled also inside it."""

    async def load() -> int:
        await anyio.sleep(0)
        await anyio.sleep(0.001)
        return 1

    async def check() -> None:
        await nothing_is_held(client, redis_client)
        assert await client.with_cache(load, "v1") == 1
        redis_client.flushdb()

    await at_every_await(way, lambda: client.with_cache(load, "v1"), check)


async def test_many(way: str, client: AsyncMRCClient, users: Connection, redis_client: redis.Redis) -> None:
    """``query_many_with_cache`` holds several leases at once."""
    queries = [(QUERY, [user], ["UserId"]) for user in (123, 124, 125)]

    async def check() -> None:
        await nothing_is_held(client, redis_client)
        redis_client.flushdb()

    await at_every_await(way, lambda: client.query_many_with_cache(queries), check)


async def test_writes_and_drops(way: str, client: AsyncMRCClient, redis_client: redis.Redis) -> None:
    """The calls that are one hop."""

    async def calls() -> None:
        await client.write_to_cache("v1", 1, [1], ["N"])
        await client.drop_outdated_cache(["N"], [1])
        await client.drop_query("v1", [1], ["N"])
        await client.query("SELECT 1")

    async def check() -> None:
        await nothing_is_held(client, redis_client)

    await at_every_await(way, calls, check)


async def test_a_transaction(
    way: str, client: AsyncMRCClient, users: Connection, redis_client: redis.Redis
) -> None:
    """Opening, statements, commit and drops, cancelled anywhere: all of it or nothing, and never stale."""
    runs = [0]

    async def transact() -> None:
        runs[0] += 1
        async with client.transaction() as tx:
            await tx.execute("UPDATE users SET name = ? WHERE id = 123", [f"name {runs[0]}"])
            await tx.execute("UPDATE users SET name = ? WHERE id = 124", [f"name {runs[0]}"])
            tx.drop_outdated_cache(["UserId"], [123])
            assert await client.query_with_cache(QUERY, [124], ["UserId"]) == [{"name": f"name {runs[0]}"}]

    async def check() -> None:
        await nothing_is_held(client, redis_client)
        # A COMMIT under way when its task was cancelled goes on, and its drops after it.
        while await client.query_with_cache(QUERY, [123], ["UserId"]) != await client.query(QUERY, [123]):
            await anyio.sleep(0.005)
        with users.cursor() as cursor:
            cursor.execute("SELECT COUNT(DISTINCT name) FROM users WHERE id IN (123, 124)")
            assert cursor.fetchone() == (1,)

    with users.cursor() as cursor:
        cursor.execute("UPDATE users SET name = 'name 0'")
    await at_every_await(way, transact, check)


async def test_others_on_the_same_key_get_their_answer(
    way: str, client: AsyncMRCClient, redis_client: redis.Redis
) -> None:
    """Whoever is cancelled, leader of a batch or of a flight or a follower, the others are answered."""

    async def load() -> int:
        await anyio.sleep(0.001)
        return 1

    async def read(answers: list[int]) -> None:
        answers.append(await client.with_cache(load, "v1"))

    async def crowd(cancelled: Callable[[Coroutine[Any, Any, Any]], Coroutine[Any, Any, Any]]) -> list[int]:
        answers: list[int] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, answers)
            tasks.start_soon(cancelled, read([]))
            tasks.start_soon(read, answers)
        return answers

    for at in range(1, MOST_AWAITS):
        cancelling = Cancelling(way, at, late=False)
        with anyio.fail_after(10):
            assert await crowd(cancelling.run) == [1, 1]
            await nothing_is_held(client, redis_client)
        redis_client.flushdb()
        if not cancelling.was_cancelled:
            break


async def test_a_cancelled_leader_of_a_batch_leaves_the_others_their_answers(
    way: str, client: AsyncMRCClient, redis_client: redis.Redis
) -> None:
    """The first caller opens the batch; it is cancelled at each of its awaits while others ride along."""
    for number in range(5):
        await client.write_to_cache("v1", number, [number])

    async def read(number: int, answers: list[int]) -> None:
        answers.append(await client.read_from_cache("v1", [number]))

    for at in range(1, MOST_AWAITS):
        cancelling, answers = Cancelling(way, at, late=False), []
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(cancelling.run, read(0, []))
                for number in range(1, 5):
                    tasks.start_soon(read, number, answers)
        assert sorted(answers) == [1, 2, 3, 4]
        await nothing_is_held(client, redis_client)
        if not cancelling.was_cancelled:
            break


@pytest.mark.parametrize("way", ["native"])
async def test_asyncio_s_own_tools(client: AsyncMRCClient, redis_client: redis.Redis, way: str) -> None:
    """``wait_for``, ``asyncio.timeout`` and ``TaskGroup`` around calls that last too long."""

    async def forever() -> None:
        await asyncio.sleep(60)

    async def failing() -> None:
        await asyncio.sleep(0.02)
        raise LookupError("the other task failed")

    async def grouped() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(client.with_cache(forever, "v1"))
            tasks.create_task(failing())

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.with_cache(forever, "v1"), 0.05)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.with_cache(forever, "v1")
    with pytest.raises(ExceptionGroup):
        await grouped()

    await nothing_is_held(client, redis_client)
    assert await client.with_cache(lambda: 1, "v1") == 1
