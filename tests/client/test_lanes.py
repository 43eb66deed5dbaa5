"""Nobody waits without a bound for a thread, and no kind of work waits for another's."""

from __future__ import annotations

import asyncio
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from mysql_redis_cache import AsyncMRCClient, AsyncMRCServer, DropTimeout, MRCClient, PoolTimeout
from mysql_redis_cache.aio.lanes import DROPS, FUNCTIONS, SHORT, Lane
from mysql_redis_cache.aio.workers import HITS
from tests.client.drivers import until
from tests.support.proxy import Proxy
from tests.support.urls import with_options

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.anyio

SLOW = "SELECT SLEEP(3)"
BOUND = 2.0  # far above what is waited for, far below the slow query


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Both event loops."""
    return str(request.param)


async def timed(call: Callable[[], Awaitable[object]]) -> tuple[str, float]:
    """What came of *call*, and after how many seconds."""
    began = time.monotonic()
    try:
        await call()
    except Exception as error:
        return type(error).__name__, time.monotonic() - began
    return "answered", time.monotonic() - began


async def one() -> int:
    return 1


async def test_waits_count_from_the_call(mysql_url: str, redis_url: str) -> None:
    """With all connections at slow queries: who needs one hears so in time, who needs none does not wait."""
    mysql = with_options(mysql_url, maxsize=2, pool_timeout=0.3)
    seen: dict[str, tuple[str, float]] = {}
    async with AsyncMRCClient(mysql, redis_url) as client:
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "query": partial(client.query, "SELECT 1"),
            "execute": partial(client.execute, "SET @a = 1"),
            "miss": partial(client.query_with_cache, "SELECT 2"),
            "many": partial(client.query_many_with_cache, [("SELECT 3",), ("SELECT 4",)]),
            "drop": partial(client.drop_outdated_cache, ["A"], [1], timeout=0.5),
            "drop_query": partial(client.drop_query, "SELECT 1"),
            "write": partial(client.write_to_cache, "sig", 1, [1]),
            "function": partial(client.with_cache, one, "one"),
            "plain function": partial(client.with_cache, lambda: 2, "two"),
        }

        async def note(name: str) -> None:
            seen[name] = await timed(calls[name])

        async def transact() -> None:
            async with client.transaction():
                raise AssertionError("there is no connection for it")

        async def note_transaction() -> None:
            seen["transaction"] = await timed(transact)

        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(timed, partial(client.query, SLOW))
            await until(lambda: client.get_mysql_pool().in_use == 2, "the slow queries")
            tasks.start_soon(note_transaction)
            for name in calls:
                tasks.start_soon(note, name)

    assert {name: what for name, (what, _) in seen.items() if what == "PoolTimeout"}.keys() == {
        *("query", "execute", "miss", "many", "transaction"),
    }
    assert {name: took for name, (_, took) in seen.items() if took > BOUND} == {}


async def test_slow_queries_keep_no_thread_from_plain_functions(mysql_url: str, redis_url: str) -> None:
    """Those have threads of their own."""
    client = AsyncMRCClient(with_options(mysql_url, maxsize=1), redis_url)
    async with client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.query, SLOW)
        await until(lambda: client.get_mysql_pool().in_use == 1, "the slow query")
        _, took = await timed(partial(client.with_cache, lambda: 2, "two"))
        tasks.cancel_scope.cancel()

    assert took < BOUND


async def test_drops_without_redis_keep_no_read_from_mysql(mysql_url: str, redis_url: str) -> None:
    """However many wait for Redis: reads and plain queries have their own threads and connections."""
    with Proxy(redis_url) as proxy:
        mysql = with_options(mysql_url, maxsize=3, pool_timeout=1)
        async with AsyncMRCClient(mysql, proxy.url) as client, anyio.create_task_group() as tasks:
            await client.query_with_cache("SELECT 1")
            proxy.stop()
            for number in range(12):
                drop = partial(client.drop_outdated_cache, ["A"], [number], retry_for=3)
                tasks.start_soon(timed, drop)
            await anyio.sleep(0.1)
            took = [(await timed(partial(client.query_with_cache, "SELECT 1")))[1] for _ in range(5)]
            took.append((await timed(partial(client.query, "SELECT 1")))[1])
            tasks.cancel_scope.cancel()

    assert max(took) < BOUND


async def test_plain_endpoints_that_drop_do_not_lock_each_other_out(redis_url: str) -> None:
    """Forty of anyio's own threads wait for drops that need threads: they are others."""
    async with AsyncMRCServer(redis_url) as server:

        async def drop() -> int:
            return await server.drop_outdated_cache(["A"], [1], timeout=5)

        async def endpoint() -> None:
            assert await anyio.to_thread.run_sync(partial(anyio.from_thread.run, drop)) == 0

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for _ in range(40):
                    tasks.start_soon(endpoint)


async def test_plain_functions_may_come_back_into_the_loop(mysql_url: str, redis_url: str) -> None:
    """For queries and for cached functions, nested, with one connection: nobody waits for himself."""
    async with AsyncMRCClient(with_options(mysql_url, maxsize=1, pool_timeout=5), redis_url) as client:

        def inner(number: int) -> Any:
            return anyio.from_thread.run(client.query, "SELECT ? AS a", [number])

        async def nested(number: int) -> Any:
            return await client.with_cache(partial(inner, number), "inner", [number])

        def outer(number: int) -> Any:
            return anyio.from_thread.run(nested, number)

        async def read(number: int) -> None:
            rows = await client.with_cache(partial(outer, number), "outer", [number])
            assert rows == [{"a": number}]

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for number in range(FUNCTIONS.size + 10):
                    tasks.start_soon(read, number)


async def test_a_function_that_finds_no_thread_says_so(
    mysql_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After ``wait_timeout``, with what to do; the others go on."""
    monkeypatch.setattr("mysql_redis_cache.aio.loads.FUNCTIONS", Lane(1))
    may_end = threading.Event()
    client = AsyncMRCClient(mysql_url, redis_url, wait_timeout=0.2)
    async with client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.with_cache, lambda: may_end.wait(10), "first")
        await anyio.sleep(0.05)
        with pytest.raises(PoolTimeout, match=r"no thread became free within 0\.2 s .* slow functions"):
            await client.with_cache(lambda: 1, "second")
        may_end.set()


async def test_a_drop_that_finds_no_thread_says_so(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time counts from the call; a bad one is refused at once."""
    monkeypatch.setattr("mysql_redis_cache.aio.borrowing.DROPS", Lane(1))
    with Proxy(redis_url) as proxy:
        async with AsyncMRCServer(with_options(proxy.url, socket_timeout=1)) as server:
            proxy.pause()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(timed, partial(server.drop_outdated_cache, ["A"], [1]))
                await anyio.sleep(0.05)
                with pytest.raises(DropTimeout, match="waiting for a thread"):
                    await server.drop_outdated_cache(["A"], [2], timeout=0.2)
                with pytest.raises(TypeError, match="timeout"):
                    await server.drop_outdated_cache(["A"], [2], timeout="soon")  # type: ignore[arg-type]
                proxy.resume()


async def test_places_are_given_in_order(mysql_url: str) -> None:
    """Tasks and threads that wait for one connection get it in the order in which they came."""
    order: list[str] = []
    async with AsyncMRCClient(with_options(mysql_url, maxsize=1)) as client:
        pool = client._core.database.pool

        async def by_task(name: str) -> None:
            await client._driver.loads.in_mysql_thread(partial(by_thread, name))

        def by_thread(name: str) -> None:
            with pool.connection():
                order.append(name)

        threads = []
        async with anyio.create_task_group() as tasks:
            with pool.connection():
                for number in range(6):
                    if number % 2:
                        threads.append(threading.Thread(target=by_thread, args=(str(number),)))
                        threads[-1].start()
                    else:
                        tasks.start_soon(by_task, str(number))
                    await until(lambda number=number: len(pool.slots.queue.tickets) == number + 1)  # type: ignore[misc]
        for thread in threads:
            thread.join(10)

    assert order == sorted(order)


async def test_a_limiter_of_ones_own_is_honoured(mysql_url: str, redis_url: str) -> None:
    """As long as others hold its tokens, nothing of this client runs on them; the wait has an end."""
    limiter = anyio.CapacityLimiter(1)
    mysql = with_options(mysql_url, pool_timeout=0.2)
    async with AsyncMRCClient(mysql, redis_url, limiter=limiter, wait_timeout=0.2) as client:
        async with limiter:
            for call in (partial(client.query, "SELECT 1"), partial(client.with_cache, lambda: 1, "one")):
                assert (await timed(call))[0] == "PoolTimeout"
        assert await client.query("SELECT 1 AS a") == [{"a": 1}]

    assert limiter.borrowed_tokens == 0


async def test_a_cancelled_wait_leaves_no_place_behind(mysql_url: str, redis_url: str) -> None:
    """Neither in the queue nor taken for nobody."""
    async with AsyncMRCClient(with_options(mysql_url, maxsize=1), redis_url) as client:
        pool = client._core.database.pool
        with pool.connection():
            for _ in range(20):
                with anyio.move_on_after(0.005):
                    await client.query("SELECT 1")
        assert not pool.slots.queue.tickets
        assert await client.query("SELECT 1 AS a") == [{"a": 1}]
        await until(lambda: pool.in_use == 0)


def test_one_limiter_in_two_loops_at_once(mysql_url: str, redis_url: str) -> None:
    """anyio's belong to one loop; here each loop has as many threads as it says, and none is left waiting."""
    limiter = anyio.CapacityLimiter(1)
    client = MRCClient(mysql_url, redis_url)
    answers: list[int] = []

    async def read(facade: AsyncMRCClient, number: int) -> None:
        await facade.query("SELECT SLEEP(0.002)")
        answers.append(await facade.with_cache(lambda: number, "n", [number]))

    async def main(start: int) -> None:
        facade = AsyncMRCClient(client, limiter=limiter)
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                for number in range(start, start + 30):
                    tasks.start_soon(read, facade, number)

    threads = [threading.Thread(target=asyncio.run, args=(main(start),)) for start in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    client.close()

    assert sorted(answers) == [*range(30), *range(100, 130), *range(200, 230)]


BEHIND = 3  # refreshes, and the keeper of leases


def our_threads() -> list[str]:
    return [
        thread.name for thread in threading.enumerate() if thread.name.startswith("mysql_redis_cache-hits")
    ]


@pytest.mark.parametrize("closed", [False, True])
def test_a_facade_for_each_request_piles_up_no_threads(mysql_url: str, redis_url: str, closed: bool) -> None:
    """One budget for the process; and a last facade that is closed leaves none."""
    with MRCClient(mysql_url, redis_url) as client:

        async def view() -> None:
            facade = AsyncMRCClient(client)
            await facade.query_with_cache("SELECT 1 AS one")
            if closed:
                await facade.aclose()

        before, most = len(our_threads()), 0
        for _ in range(60):
            asyncio.run(view())
            most = max(most, len(our_threads()))

    assert most <= max(before, 3)  # there may be idle ones of others


async def test_two_hundred_facades_at_once_have_the_threads_of_one(mysql_url: str, redis_url: str) -> None:
    """As many requests, each with a facade of its own: the budget is the process's."""
    with MRCClient(mysql_url, redis_url) as client:
        threads, facades = threading.active_count(), [AsyncMRCClient(client) for _ in range(200)]
        async with anyio.create_task_group() as tasks:
            for number, facade in enumerate(facades):
                tasks.start_soon(facade.query_with_cache, "SELECT ? AS n", [number % 20], ["N"])
        for facade in facades:
            await facade.query_with_cache("SELECT 1 AS one")

        assert len(our_threads()) <= HITS.most
        others = client._core.database.pool.size + SHORT.size + BEHIND
        assert threading.active_count() - threads <= HITS.most + others
        for facade in facades:
            await facade.aclose()
    users = set(HITS._users)

    await until(lambda: users or not our_threads(), "the end of the threads")


async def test_the_last_facade_to_close_ends_the_threads(mysql_url: str, redis_url: str) -> None:
    """Those that wait for hits; a facade that is still in use keeps them."""
    async with AsyncMRCClient(mysql_url, redis_url) as one:
        async with AsyncMRCClient(mysql_url, redis_url) as other:
            await other.query_with_cache("SELECT 1")
        assert await one.query_with_cache("SELECT 1 AS a") == [{"a": 1}]
    others = set(HITS._users)

    await until(lambda: others or not our_threads(), "the end of the threads")


async def test_many_loads_cancelled_at_once_leave_no_lease(
    mysql_url: str, redis_url: str, redis_client: Any
) -> None:
    """However many: they are given back together, and nobody has to wait for their end."""
    async with AsyncMRCClient(mysql_url, redis_url) as client:
        async with anyio.create_task_group() as tasks:
            for number in range(600):
                tasks.start_soon(client.with_cache, anyio.sleep_forever, "slow", [number], ["Id"])
            await until(lambda: len(redis_client.keys("*:lease")) == 600, "the leases")
            tasks.cancel_scope.cancel()
        await until(lambda: not redis_client.keys("*:lease"), "giving them back")

        assert await client.with_cache(one, "slow", [7], ["Id"]) == 1


@pytest.mark.parametrize("lane", [SHORT, FUNCTIONS, DROPS])
async def test_an_abandoned_wait_for_a_lane_is_forgotten(lane: Lane) -> None:
    """By a deadline of the caller's, or because the thread never began."""
    may_end = threading.Event()
    async with anyio.create_task_group() as tasks:
        for _ in range(lane.size):
            tasks.start_soon(lane.run, partial(may_end.wait, 10), 1.0)
        await until(lambda: lane._slots.in_use == lane.size)
        with anyio.move_on_after(0.01):
            await lane.run(pytest.fail, 10.0)
        may_end.set()

    assert not lane._slots.queue.tickets
    await until(lambda: lane._slots.in_use == 0)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_trio_as_the_guest_of_asyncio(mysql_url: str, redis_url: str) -> None:
    """Both loops run in one thread; the facade knows in which of them it is awaited."""
    trio = pytest.importorskip("trio", reason="a requirement of the tests")
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    async def guest() -> Any:
        async with AsyncMRCClient(mysql_url, redis_url) as client:
            with trio.fail_after(10):
                rows = [await client.query_with_cache("SELECT 1 AS a") for _ in range(3)]
                return rows, await client.with_cache(lambda: 1, "one")

    trio.lowlevel.start_guest_run(
        guest,
        run_sync_soon_threadsafe=loop.call_soon_threadsafe,
        done_callback=done.set_result,
        host_uses_signal_set_wakeup_fd=True,
    )
    async with AsyncMRCClient(mysql_url, redis_url) as host:
        assert await host.query_with_cache("SELECT 1 AS a") == [{"a": 1}]

    assert (await asyncio.wait_for(done, 20)).unwrap() == ([[{"a": 1}]] * 3, 1)
