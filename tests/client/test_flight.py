"""One load per cold key in a process, for threads and tasks alike."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import anyio
import anyio.to_thread
import pytest

from mysql_redis_cache import AsyncMRCClient, LoadFailed, MRCClient, PoolTimeout
from tests.client.drivers import until

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis
    from pymysql.connections import Connection


pytestmark = pytest.mark.anyio

CALLERS = 50


class Source:
    """A function that is counted, and ends when all who are to meet it have come."""

    def __init__(self, is_ready: Callable[[], bool], outcome: Any = "loaded") -> None:
        self.calls = 0
        self._is_ready = is_ready
        self._outcome = outcome

    def __call__(self) -> Any:
        self.calls += 1
        deadline = time.monotonic() + 10
        while not self._is_ready() and time.monotonic() < deadline:
            time.sleep(0.002)
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


def followers(client: Any, wanted: int) -> Callable[[], bool]:
    """A condition: so many wait for the flight that is open."""

    def are_there() -> bool:
        flights = list(client._core.flights._open.values())
        return bool(flights) and len(flights[0]._wakers) >= wanted

    return are_there


async def test_callers_of_a_cold_key_share_one_load(client: Any) -> None:
    """Fifty callers, one call of the function, fifty answers of which each is the caller's own."""
    source = Source(followers(client, CALLERS - 1), {"rows": [1]})

    async def read() -> Any:
        return await client.with_cache(source, "v1")

    answers = await client.together([read] * CALLERS)

    assert answers == [{"rows": [1]}] * CALLERS
    assert len({id(answer["rows"]) for answer in answers}) == CALLERS
    assert source.calls == 1
    assert client.stats()["shared_loads"] == CALLERS - 1
    assert len(client._core.flights) == 0


async def test_callers_of_a_cold_query_ask_mysql_once(client: Any, users: Connection, loads: Any) -> None:
    """The same for ``query_with_cache``, alone and in lists."""
    asked = loads(client)
    query = ("SELECT SLEEP(0.2) AS s, ? AS n", [1], ["N"])

    async def read() -> Any:
        return await client.query_with_cache(*query)

    async def read_many() -> Any:
        return (await client.query_many_with_cache([query]))[0]

    answers = await client.together([read, read_many] * (CALLERS // 2))

    assert answers == [[{"s": 0, "n": 1}]] * CALLERS
    assert len(asked) == 1


async def test_two_clients_share_one_load(make_client: Callable[..., Any]) -> None:
    """Clients stand for processes: the lease in Redis lets one of them load."""
    clients = [make_client() for _ in range(2)]
    source = Source(lambda: all(len(client._core.flights) for client in clients), 7)

    async def read(client: Any) -> Any:
        return await client.with_cache(source, "v1")

    answers = await clients[0].together([lambda client=client: read(client) for client in clients * 10])

    assert answers == [7] * 20
    assert source.calls == 1


async def test_a_failure_is_everybody_s_who_waited(client: Any, redis_client: redis.Redis) -> None:
    """Each gets an error of his own of the same type, chained to the leader's; the key is not poisoned."""
    failure = LookupError("no such city")
    source = Source(followers(client, 9), failure)

    async def read() -> Any:
        return await client.with_cache(source, "v1")

    errors = await client.together([read] * 10)

    assert {type(error) for error in errors} == {LookupError}
    assert {str(error) for error in errors} == {"no such city"}
    assert len({id(error) for error in errors}) == 10
    assert [error.__cause__ for error in errors if error is not failure] == [failure] * 9
    assert source.calls == 1
    assert redis_client.keys() == []
    assert await client.with_cache(lambda: 1, "v1") == 1


class Refusal(Exception):
    """An error whose constructor takes other arguments than its ``args``."""

    def __init__(self, *, code: int) -> None:
        super().__init__(f"refused with code {code}")
        self.code = code


async def test_an_error_of_the_system_keeps_its_parts(client: Any) -> None:
    """Number and file name too."""
    source = Source(followers(client, 4), FileNotFoundError(2, "No such file", "rates.csv"))

    async def read() -> Any:
        return await client.with_cache(source, "v1")

    errors = await client.together([read] * 5)

    assert {(type(error), error.errno, error.filename) for error in errors} == {
        (FileNotFoundError, 2, "rates.csv")
    }


class Unrepeatable(Exception):
    """An error that cannot be made a second time."""

    def __new__(cls, *args: object) -> Self:
        if args != ("once",):
            raise RuntimeError("only once")
        return super().__new__(cls, *args)

    def __init__(self, _: str) -> None:
        super().__init__()


async def test_an_error_with_a_constructor_of_its_own_keeps_its_type(client: Any) -> None:
    """Followers can catch it as they would catch the leader's, attributes and all."""
    source = Source(followers(client, 4), Refusal(code=7))

    async def read() -> Any:
        return await client.with_cache(source, "v1")

    errors = await client.together([read] * 5)

    assert [(type(error), error.code, str(error)) for error in errors] == [
        (Refusal, 7, "refused with code 7")
    ] * 5


async def test_an_error_that_cannot_be_repeated_is_load_failed(client: Any) -> None:
    """Then followers are told of which type it was."""
    failure = Unrepeatable("once")
    source = Source(followers(client, 4), failure)

    async def read() -> Any:
        return await client.with_cache(source, "v1")

    errors = await client.together([read] * 5)

    assert sorted(type(error).__name__ for error in errors) == ["LoadFailed"] * 4 + ["Unrepeatable"]
    failed = next(error for error in errors if isinstance(error, LoadFailed))
    assert failed.__cause__ is failure
    assert "Unrepeatable" in str(failed)


async def test_a_pool_timeout_reaches_followers_as_such(
    make_client: Callable[..., Any], mysql_url: str
) -> None:
    """``except TimeoutError`` works for whoever waited, with seconds and size."""
    client = make_client(mysql=f"{mysql_url}?maxsize=1&pool_timeout=0.3")
    with client.get_mysql_pool().connection():

        async def read() -> Any:
            return await client.query_with_cache("SELECT 1 AS a")

        errors = await client.together([read] * 5)

    assert [(type(error), error.seconds, error.size) for error in errors] == [(PoolTimeout, 0.3, 1)] * 5


async def test_a_function_may_read_its_own_key(client: Any, redis_client: redis.Redis) -> None:
    """It is noticed, and runs without flight or lease: no deadlock; one entry, the outer answer."""
    calls = []

    def inner() -> str:
        return "inner"

    if client.is_blocking:

        def outer() -> Any:
            calls.append(1)
            return [client.inner.with_cache(inner, "v1"), "outer"]

    else:

        async def outer() -> Any:
            calls.append(1)
            return [await client.with_cache(inner, "v1"), "outer"]

    with anyio.fail_after(5):
        assert await client.with_cache(outer, "v1") == ["inner", "outer"]
    assert await client.with_cache(outer, "v1") == ["inner", "outer"]
    assert len(calls) == 1


async def test_a_function_may_read_other_keys(client: Any) -> None:
    """Nested loads are cached each under its own key."""
    if client.is_blocking:

        def outer() -> Any:
            return [client.inner.with_cache(lambda: "inner", "v2"), "outer"]

    else:

        async def outer() -> Any:
            return [await client.with_cache(lambda: "inner", "v2"), "outer"]

    assert await client.with_cache(outer, "v1") == ["inner", "outer"]
    assert await client.read_from_cache("v2") == "inner"


async def test_who_waits_too_long_loads_for_himself(make_client: Callable[..., Any]) -> None:
    """``wait_timeout`` bounds the wait for somebody else's load; the answer is not cached then."""
    client = make_client(wait_timeout=0.2)
    began, may_end = threading.Event(), threading.Event()

    def slow() -> str:
        began.set()
        may_end.wait(10)
        return "slow"

    async def lead() -> Any:
        return await client.with_cache(slow, "v1")

    async def follow() -> Any:
        await client.happens(began)
        answer = await client.with_cache(lambda: "own", "v1")
        may_end.set()
        return answer

    assert await client.together([lead, follow]) == ["slow", "own"]
    assert await client.read_from_cache("v1") == "slow"


async def test_a_drop_in_mid_load_is_not_shared_or_filled(client: Any, redis_client: redis.Redis) -> None:
    """The refused fill's rows are the leader's alone; who waited loads anew."""
    values = iter(["old", "new", "newer"])
    dropped = threading.Event()
    waiting = followers(client, 1)

    def load() -> str:
        value = next(values)
        if value == "old":
            deadline = time.monotonic() + 10
            while not waiting() and time.monotonic() < deadline:
                time.sleep(0.002)
            dropping.set()
            dropped.wait(10)
        return value

    dropping = threading.Event()

    async def read() -> Any:
        return await client.with_cache(load, "v1", [1], ["N"])

    async def drop() -> Any:
        await client.happens(dropping)
        await client.drop_outdated_cache(["N"], [1])
        dropped.set()

    first, second, _ = await client.together([read, read, drop])

    assert sorted([first, second]) == ["new", "old"]
    assert await client.read_from_cache("v1", [1], ["N"]) == "new"
    assert client.stats()["refused_fills"] == 1


@pytest.fixture(params=["asyncio", "trio"])
def loop_name(request: pytest.FixtureRequest) -> str:
    """An event loop for the tests that mix threads and tasks."""
    return str(request.param)


def test_threads_and_tasks_of_one_client_share_one_load(
    mysql_url: str, redis_url: str, loop_name: str
) -> None:
    """Threads on the blocking client and tasks on a facade over it wait on the same flight."""
    with MRCClient(mysql_url, redis_url) as client, ThreadPoolExecutor(10) as threads:
        calls = []

        def load() -> str:
            calls.append(1)
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                (flight,) = client._core.flights._open.values()
                if len(flight._wakers) >= 19:
                    break
                time.sleep(0.002)
            return "loaded"

        async def main() -> list[str]:
            answers: list[str] = []
            facade = AsyncMRCClient(client)

            async def read() -> None:
                answers.append(await facade.with_cache(load, "v1"))

            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    tasks.start_soon(read)
            return answers

        futures = [threads.submit(client.with_cache, load, "v1") for _ in range(10)]
        answers = anyio.run(main, backend=loop_name) + [future.result() for future in futures]

    assert answers == ["loaded"] * 20
    assert len(calls) == 1


def test_a_follower_whose_loop_has_ended_does_not_harm_the_others(
    mysql_url: str, redis_url: str, loop_name: str
) -> None:
    """A task that gave up with its event loop is no reason for the leader or another follower to fail."""
    with MRCClient(mysql_url, redis_url) as client, ThreadPoolExecutor(4) as threads:
        may_end, began = threading.Event(), threading.Event()

        def load() -> str:
            began.set()
            may_end.wait(10)
            return "loaded"

        leader = threads.submit(client.with_cache, load, "v1")
        assert began.wait(10)
        (flight,) = client._core.flights._open.values()

        async def give_up() -> None:
            with anyio.move_on_after(5) as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(AsyncMRCClient(client).with_cache, load, "v1")
                    await until(lambda: flight._wakers)
                    scope.cancel()

        anyio.run(give_up, backend=loop_name)
        follower = threads.submit(client.with_cache, load, "v1")
        deadline = time.monotonic() + 10
        while len(flight._wakers) < 2 and time.monotonic() < deadline:
            time.sleep(0.002)
        may_end.set()

        assert leader.result(10) == "loaded"
        assert follower.result(10) == "loaded"
        assert client.stats()["shared_loads"] == 1
