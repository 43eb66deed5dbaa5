"""What is only in the facade: parity, loops, limiters, context, and an event loop that is never blocked."""

from __future__ import annotations

import inspect
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from mysql_redis_cache import AsyncMRCClient, AsyncMRCServer, MRCClient, MRCServer
from mysql_redis_cache.aio import AsyncTransaction
from mysql_redis_cache.aio.workers import HITS
from mysql_redis_cache.calls import Transaction
from mysql_redis_cache.options import ClientOptions, ServerOptions
from mysql_redis_cache.values import codec
from tests.client.drivers import AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

asked_by: ContextVar[str] = ContextVar("asked_by", default="nobody")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Both event loops."""
    return str(request.param)


def methods(cls: type) -> dict[str, Callable[..., Any]]:
    """The public methods of a class."""
    return {name: each for name, each in inspect.getmembers(cls, callable) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("blocking", "facade"),
    [(MRCClient, AsyncMRCClient), (MRCServer, AsyncMRCServer)],
    ids=lambda c: c.__name__,
)
def test_the_facade_has_the_same_methods(blocking: type, facade: type) -> None:
    """The same names and parameters; ``aclose`` for ``close``; a coroutine function unless it does no I/O."""
    here = methods(blocking) | {"aclose": methods(blocking)["close"]}
    there = methods(facade)
    del here["close"]

    assert sorted(there) == sorted(here)
    for name, method in there.items():
        own, twin = (inspect.signature(each).parameters for each in (method, here[name]))
        assert list(own.values()) == list(twin.values()), name
        assert inspect.iscoroutinefunction(method) is (name not in AT_ONCE | {"transaction"}), name


@pytest.mark.parametrize(("blocking", "options"), [(MRCClient, ClientOptions), (MRCServer, ServerOptions)])
def test_the_facade_takes_the_same_options(blocking: type, options: type) -> None:
    """What editors offer for the facade is what the blocking face takes, type for type."""
    keywords = {
        name: parameter.annotation
        for name, parameter in inspect.signature(blocking).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }

    assert {name: each.__forward_arg__ for name, each in options.__annotations__.items()} == keywords


def test_transactions_have_the_same_methods() -> None:
    """Of those that users call."""
    for name, method in methods(AsyncTransaction).items():
        twin = methods(Transaction)[name]
        assert inspect.signature(method).parameters == inspect.signature(twin).parameters, name


async def test_one_thread_is_enough(mysql_url: str, redis_url: str) -> None:
    """A limiter of one, a thousand callers of one key, and a load that reads through the cache itself."""
    limiter, calls = anyio.CapacityLimiter(1), []
    answers: list[str] = []

    async def inner() -> str:
        return "inner"

    async with AsyncMRCClient(mysql_url, redis_url, limiter=limiter) as client:

        async def outer() -> str:
            calls.append(1)
            await anyio.sleep(0.05)
            return str(await client.with_cache(inner, "inner")) + str(await client.with_cache(inner, "outer"))

        async def read() -> None:
            answers.append(await client.with_cache(outer, "outer"))

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for _ in range(1000):
                    tasks.start_soon(read)

    assert answers == ["innerinner"] * 1000
    assert len(calls) == 1
    assert limiter.borrowed_tokens == 0


async def test_followers_hold_no_thread(mysql_url: str, redis_url: str) -> None:
    """A hundred who wait for one load, on a limiter of four, do not delay another key's hit."""
    async with AsyncMRCClient(mysql_url, redis_url, limiter=anyio.CapacityLimiter(4)) as client:
        await client.write_to_cache("hot", 1)
        may_end = anyio.Event()

        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(client.with_cache, may_end.wait, "cold")
            await anyio.sleep(0.05)
            with anyio.fail_after(2):
                assert await client.with_cache(pytest.fail, "hot") == 1
            may_end.set()


async def test_a_coroutine_function_runs_in_the_caller_s_task(mysql_url: str, redis_url: str) -> None:
    """With its context variables; a plain function in a thread sees them too."""
    token = asked_by.set("somebody")
    async with AsyncMRCClient(mysql_url, redis_url) as client:

        async def coroutine() -> list[Any]:
            return [asked_by.get(), threading.get_ident()]

        assert await client.with_cache(coroutine, "v1") == ["somebody", threading.get_ident()]
        assert await client.with_cache(asked_by.get, "v2") == "somebody"
    asked_by.reset(token)


async def test_a_task_that_outlives_a_transaction_reads_as_always(mysql_url: str, redis_url: str) -> None:
    """It has inherited a transaction that is over."""
    is_over, answers = anyio.Event(), []
    async with AsyncMRCClient(mysql_url, redis_url) as client, anyio.create_task_group() as tasks:

        async def later() -> None:
            await is_over.wait()
            answers.append(await client.query_with_cache("SELECT 1 AS a"))

        async with client.transaction():
            tasks.start_soon(later)
            await anyio.sleep(0)
        is_over.set()
    assert answers == [[{"a": 1}]]


@pytest.fixture(params=["asyncio", "trio"])
def loop_name(request: pytest.FixtureRequest) -> str:
    """An event loop for the tests that run it themselves."""
    return str(request.param)


def test_one_facade_in_many_loops(mysql_url: str, redis_url: str, loop_name: str) -> None:
    """One after another, and several at once in threads."""
    with MRCClient(mysql_url, redis_url) as client:
        facade, failures = AsyncMRCClient(client), []

        async def main() -> None:
            async with anyio.create_task_group() as tasks:
                for number in range(10):
                    tasks.start_soon(facade.query_with_cache, "SELECT ? AS n", [number], ["N"])

        def run() -> None:
            try:
                for _ in range(5):
                    anyio.run(main, backend=loop_name)
            except BaseException as error:
                failures.append(error)

        run()
        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

        assert failures == []
        assert client.get_mysql_pool().in_use == 0


async def test_a_cached_read_in_a_transaction_does_not_queue_for_a_connection(
    mysql_url: str, redis_url: str
) -> None:
    """With one connection, held by the transaction, others wait for it; the transaction itself must not."""
    config = f"{mysql_url}?maxsize=1&pool_timeout=20"
    async with (
        AsyncMRCClient(config, redis_url) as client,
        anyio.create_task_group() as tasks,
        client.transaction(),
    ):
        tasks.start_soon(client.query, "SELECT 1 AS a")
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(10):
            assert await client.query_with_cache("SELECT 2 AS b") == [{"b": 2}]


async def test_large_values_are_decoded_in_threads(mysql_url: str, redis_url: str) -> None:
    """Also those a follower gets from the flight it joined: JSON of a megabyte never holds up the loop."""
    loop_thread, decoded_in = threading.get_ident(), set[int]()
    value = [{"n": number, "text": "x" * 80} for number in range(10_000)]
    async with AsyncMRCClient(mysql_url, redis_url) as client:

        async def load() -> Any:
            await anyio.sleep(0.2)
            return value

        async def read() -> None:
            assert await client.with_cache(load, "large", ttl=60) == value

        original = codec._decode_large

        def watched(payload: bytes, *between: Any, **options: Any) -> object:
            decoded_in.add(threading.get_ident())
            return original(payload, *between, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(codec, "_decode_large", watched)
            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(read)
            await read()

    assert decoded_in
    assert loop_thread not in decoded_in


async def test_reads_need_no_thread_to_learn_that_redis_is_away(mysql_url: str) -> None:
    """While the breaker is open they go straight to MySQL."""
    async with AsyncMRCClient(mysql_url, "redis://127.0.0.1:1") as client:
        for number in range(3):
            assert await client.query_with_cache("SELECT ? AS n", [number], ["N"]) == [{"n": number}]
        cache: Any = client._core.cache
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cache, "fetch_many", pytest.fail)
            patch.setattr(HITS, "run", pytest.fail)
            assert await client.query_with_cache("SELECT 9 AS n") == [{"n": 9}]
            assert await client.read_from_cache("SELECT 9 AS n", default="none") == "none"
