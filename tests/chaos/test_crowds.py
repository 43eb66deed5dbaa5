"""Crowds of threads and loops on few connections, closing in their midst: nothing hangs or leaks."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from mysql_redis_cache import (
    AsyncMRCClient,
    CacheUnavailable,
    ClosedError,
    DatabaseUnavailable,
    MRCClient,
    PoolTimeout,
)
from tests.support.pools import living
from tests.support.urls import patient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

THREADS = int(os.environ.get("MRC_CHAOS_THREADS", "2000"))
QUERY = "SELECT ? AS id, REPEAT('x', 100) AS pad"
# What a call that has begun may end with when its client is closed under it.
ENDINGS = (ClosedError, CacheUnavailable, DatabaseUnavailable)


def truth(number: int) -> list[dict[str, Any]]:
    return [{"id": number, "pad": "x" * 100}]


def read(client: MRCClient, number: int) -> bool:
    return bool(client.query_with_cache(QUERY, [number], ["Id"], 60) == truth(number))


async def read_in_task(facade: AsyncMRCClient, number: int) -> bool:
    return bool(await facade.query_with_cache(QUERY, [number], ["Id"], 60) == truth(number))


def open_sockets() -> int:
    links = []
    for each in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(each.readlink()))
        except OSError:  # that of the folder itself
            continue
    return sum(link.startswith("socket:") for link in links)


def threads_named(*starts: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(starts)]


def other_threads() -> list[str]:
    """Those of the tests and of anyio; the library's, like trio's, go when they have been idle a while."""
    idle = threads_named("mysql_redis_cache-", "Trio thread")
    return [thread.name for thread in threading.enumerate() if thread.name not in idle]


@contextmanager
def nothing_left() -> Iterator[None]:
    """A moment after the block there are as few sockets and threads as before it."""
    gc.collect()
    sockets, threads = open_sockets(), other_threads()
    most = len(threads_named("mysql_redis_cache-")) + 40  # eight loops, each with a few
    yield
    until = time.monotonic() + 20
    while (open_sockets() > sockets or len(other_threads()) > len(threads)) and time.monotonic() < until:
        gc.collect()
        time.sleep(0.02)
    assert open_sockets() <= sockets
    assert len(other_threads()) <= len(threads), other_threads()
    assert len(threads_named("mysql_redis_cache-")) <= most


def crowd(size: int, work: Callable[[int], object]) -> Counter[object]:
    """Have so many threads work at once; count what each returned, or the class of what it raised."""
    outcomes: Counter[object] = Counter()
    gate = threading.Event()

    def run(number: int) -> None:
        gate.wait(60)
        try:
            outcome = work(number)
        except Exception as error:
            outcome = type(error)
        outcomes[outcome] += 1

    before = threading.stack_size(256 * 1024)
    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(size)]
    for thread in threads:
        thread.start()
    threading.stack_size(before)
    gate.set()
    until = time.monotonic() + 100
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    assert not any(thread.is_alive() for thread in threads), "some hang"
    return outcomes


@pytest.mark.parametrize(
    ("keys", "way"),
    [(1, patient), (50, patient), (THREADS, str)],
    ids=["one cold key", "few keys", "a key for each, and little patience with Redis"],
)
def test_thousands_of_threads_on_few_connections(
    keys: int, way: Callable[[str], str], mysql_url: str, redis_url: str
) -> None:
    """Four MySQL and three Redis connections for all: everybody gets the right row, and nobody an error."""
    with nothing_left():
        redis = way(f"{redis_url}?max_connections=3")
        with MRCClient(f"{mysql_url}?maxsize=4&pool_timeout=90", redis, wait_timeout=90) as client:
            began = time.monotonic()
            outcomes = crowd(THREADS, lambda number: read(client, number % keys))
            print(f"{THREADS} threads, {keys} keys: {time.monotonic() - began:.1f} s, {client.stats()}")

            assert outcomes == {True: THREADS}
            check_at_rest(client)
            if way is patient:
                assert client.stats().get("cache_failures", 0) == 0
                assert client.stats()["fills"] == keys


def connections_of(client: MRCClient) -> Any:
    core: Any = client._core
    return core.cache.entries._link._connections


def check_at_rest(client: MRCClient) -> None:
    """Nothing is lent, and nobody is waited for."""
    connections = connections_of(client)
    assert len(living(connections)) == len(connections._idle) <= connections._limit
    assert client.get_mysql_pool().in_use == 0
    assert len(client._core.flights) == 0


def test_a_crowd_that_waits_too_long_is_told_so(mysql_url: str, redis_url: str) -> None:
    """With little patience some get PoolTimeout and nothing else, and the pool is whole after it."""
    mysql = f"{mysql_url}?maxsize=2&pool_timeout=0.5"
    with nothing_left(), MRCClient(mysql, redis_url) as client:
        outcomes = crowd(
            100, lambda number: client.query("SELECT SLEEP(0.1), ? AS id", [number])[0]["id"] == number
        )

        assert set(outcomes) == {True, PoolTimeout}
        assert client.get_mysql_pool().in_use == 0
        assert read(client, 1)


def test_a_read_without_a_redis_connection_goes_to_mysql(mysql_url: str, redis_url: str) -> None:
    """It waits for one as for an answer; that all are in use is not Redis failing, so it is asked again."""
    with MRCClient(mysql_url, f"{redis_url}?max_connections=2&socket_timeout=0.5") as client:
        cache: Any = client._core.cache
        connections, guard = connections_of(client), cache._guard
        assert read(client, 1)
        lent = [connections.lend() for _ in range(2)]
        for _ in range(5):
            assert read(client, 1)
        assert client.stats()["cache_failures"] == 5
        for connection in lent:
            connections.take_back(connection)
        hits = client.stats().get("hits", 0)

        assert guard.breaker.is_closed
        assert read(client, 1)
        assert client.stats()["hits"] == hits + 1


def test_one_loop_after_another(mysql_url: str, redis_url: str) -> None:
    """``asyncio.run`` again and again with one facade, and trio in between."""

    async def calls(facade: AsyncMRCClient, number: int) -> list[bool]:
        answers: list[bool] = []

        async def call(each: int) -> None:
            answers.append(await read_in_task(facade, each))

        async with anyio.create_task_group() as tasks:
            for each in range(number, number + 5):
                tasks.start_soon(call, each)
        return answers

    with nothing_left(), MRCClient(mysql_url, patient(redis_url)) as client:
        facade = AsyncMRCClient(client)
        for number in range(50):
            assert asyncio.run(calls(facade, number)) == [True] * 5
            if number % 10 == 0:
                assert anyio.run(calls, facade, number, backend="trio") == [True] * 5
        gc.collect()

        assert len(facade._driver._loops) <= 1  # the last one, perhaps
        check_at_rest(client)


def test_loops_at_once(mysql_url: str, redis_url: str) -> None:
    """Eight threads with a loop each, asyncio and trio, on one facade and the same keys."""
    with nothing_left(), MRCClient(f"{mysql_url}?maxsize=3", patient(redis_url)) as client:
        facade, gate = AsyncMRCClient(client), threading.Barrier(8)

        async def calls(seed: int) -> int:
            chance, right = random.Random(seed), [0]

            async def call() -> None:
                for _ in range(10):
                    is_right = await read_in_task(facade, chance.randrange(30))
                    right[0] += is_right

            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(call)
            return right[0]

        def loop(number: int) -> int:
            gate.wait(30)
            return anyio.run(calls, number, backend=["asyncio", "trio"][number % 2])

        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(loop, range(8))) == [50] * 8
        check_at_rest(client)


def slow_calls(client: Any) -> list[Callable[[int], Any]]:
    """Calls of a client or a facade that are under way for a while, or wait for those that are."""
    return [
        lambda number: client.query("SELECT SLEEP(0.3), ? AS id", [number]),
        lambda number: client.query_with_cache("SELECT SLEEP(0.3), ? AS id", [number], ["Id"], 60),
        lambda number: client.query_with_cache("SELECT SLEEP(0.3)", [], [], 60),
        lambda number: client.query_many_with_cache(
            [("SELECT SLEEP(0.3), ? AS id", [number]), ("SELECT 1",)]
        ),
        lambda number: client.drop_outdated_cache(["Id"], [number]),
    ]


def close_in_the_midst(client: MRCClient, began: threading.Semaphore, calls: int) -> float:
    """Close *client* once all calls have begun, and again; return how long the first close took."""
    for _ in range(calls):
        assert began.acquire(timeout=30)
    time.sleep(0.05)  # into the queries; closing earlier would do no harm
    started = time.monotonic()
    client.close()
    took = time.monotonic() - started
    client.close()
    return took


def is_an_ending(outcome: object) -> bool:
    return isinstance(outcome, type) and issubclass(outcome, ENDINGS)


def test_closing_while_threads_call(mysql_url: str, redis_url: str) -> None:
    """Each call ends with its answer or says that the client was closed; close() does not wait for them."""
    with nothing_left():
        client = MRCClient(f"{mysql_url}?maxsize=5", patient(redis_url))
        read(client, 1)
        began, took = threading.Semaphore(0), []
        calls = slow_calls(client)

        def call(number: int) -> str:
            if number == 50:
                took.append(close_in_the_midst(client, began, 50))
                return "closed"
            began.release()
            calls[number % len(calls)](number)
            return "answered"

        outcomes = crowd(51, call)
        print(outcomes, took)

        assert outcomes.pop("closed") == 1
        assert outcomes.pop("answered") >= 5  # those that had a connection
        assert all(is_an_ending(outcome) for outcome in outcomes)
        assert took[0] < 5
        with pytest.raises(ClosedError):
            read(client, 1)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_closing_while_tasks_call(backend: str, mysql_url: str, redis_url: str) -> None:
    """The same for tasks of the facade, closed from a thread or by ``aclose``."""
    outcomes: Counter[object] = Counter()
    took: list[float] = []

    async def call(facade: AsyncMRCClient, began: threading.Semaphore, number: int) -> None:
        calls = slow_calls(facade)
        began.release()
        try:
            await calls[number % len(calls)](number)
            outcomes["answered"] += 1
        except Exception as error:
            outcomes[type(error)] += 1

    async def run(client: MRCClient) -> None:
        facade, began = AsyncMRCClient(client, owned=True), threading.Semaphore(0)
        await read_in_task(facade, 1)
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                for number in range(50):
                    tasks.start_soon(call, facade, began, number)
                close = partial(close_in_the_midst, client, began, 50)
                took.append(await anyio.to_thread.run_sync(close, limiter=anyio.CapacityLimiter(1)))
                await facade.aclose()
        with pytest.raises(ClosedError):
            await read_in_task(facade, 1)
        if backend == "asyncio":
            assert len(asyncio.all_tasks()) == 1

    with nothing_left():
        client = MRCClient(f"{mysql_url}?maxsize=5", patient(redis_url))
        anyio.run(run, client, backend=backend)
        print(outcomes, took)

    assert sum(outcomes.values()) == 50
    assert outcomes.pop("answered") >= 5
    assert all(is_an_ending(outcome) for outcome in outcomes)
    assert took[0] < 5
