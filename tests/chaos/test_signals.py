"""Signal handlers that use the library themselves, and functions that are struck by what handlers raise."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import AsyncMRCClient, ClosedError, MRCClient, MRCServer
from tests.support.alarms import Interrupted, alarms, strike
from tests.support.urls import with_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tools.private_servers import PrivateRedis

SECONDS = 2.0


@contextmanager
def handling(handler: Callable[[], object], every: float) -> Iterator[list[int]]:
    """Call *handler* from a signal again and again, never inside itself; give how often it ran to its end."""
    ended, busy = [0], [False]

    def handle(*_: object) -> None:
        if busy[0]:
            return
        busy[0] = True
        handler()
        busy[0] = False
        ended[0] += 1

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, every, every)
    try:
        yield ended
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("index", [False, True])
def test_a_signal_handler_may_do_all_that_the_program_does(
    mysql_url: str, redis_url: str, index: bool
) -> None:
    """Wherever it strikes, also inside a read, a drop or a transaction: nobody waits for himself."""
    numbers = iter(range(10**9))
    with (
        MRCClient(mysql_url, redis_url, index=index) as client,
        MRCServer(redis_url, index=index) as server,
    ):

        def work(name: str) -> None:
            number = next(numbers)
            assert client.with_cache(lambda: number, name, [number], ["Id"]) == number
            assert client.with_cache(pytest.fail, name, [number], ["Id"]) == number
            assert client.query_with_cache("SELECT ? AS a", [number], ["Id"]) == [{"a": number}]
            client.write_to_cache(name, number, [number], ["Id"])
            if number % 5 == 0:
                assert server.drop_outdated_cache(["Id"], [number]) == 2

        with handling(lambda: work("handler"), every=0.0013) as ended:
            until = time.monotonic() + SECONDS
            done = 0
            while time.monotonic() < until:
                work("main")
                done += 1
        assert done > 20
        assert ended[0] > 20


def test_a_signal_handler_may_read_the_key_that_is_being_loaded(mysql_url: str, redis_url: str) -> None:
    """Its loader cannot go on meanwhile, so it is not waited for."""
    answers: list[Any] = []
    with MRCClient(with_options(mysql_url, maxsize=2), redis_url, wait_timeout=30) as client:

        def read() -> None:
            began = time.monotonic()
            answers.append(client.query_with_cache("SELECT 1 AS a, SLEEP(0.05) AS b"))
            assert time.monotonic() - began < 5

        with handling(read, every=0.01) as ended:
            for _ in range(10):
                client.query_with_cache("SELECT 1 AS a, SLEEP(0.05) AS b", refresh=True)
        assert ended[0] >= 1
    assert all(answer == [{"a": 1, "b": 0}] for answer in answers)


def test_a_signal_handler_may_close(mysql_url: str, redis_url: str) -> None:
    """As on SIGTERM: what is under way ends, with an answer or ``ClosedError``, and never stands still."""

    def read_for_ever(client: MRCClient) -> None:
        while True:
            client.query_with_cache("SELECT ? AS a", [time.monotonic_ns()])

    for at in range(40):
        client = MRCClient(mysql_url, redis_url)
        before = signal.signal(signal.SIGALRM, lambda *_, client=client: client.close())
        signal.setitimer(signal.ITIMER_REAL, 0.0002 + at * 0.0002)
        try:
            with pytest.raises(ClosedError):
                read_for_ever(client)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def outcome_of(call: Callable[[], object]) -> object:
    try:
        return call()
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("way", ["signal", "other thread"])
def test_a_function_that_is_struck_strikes_nobody_else(mysql_url: str, redis_url: str, way: str) -> None:
    """Who leads raises what struck it; those who waited for its load start over."""
    begun, calls = threading.Event(), []

    def slow() -> int:
        calls.append(1)
        if len(calls) == 1:
            begun.set()
            until = time.monotonic() + 10
            while time.monotonic() < until:
                sum(range(100))  # Python code, which an exception of another thread can strike
        return 7

    with MRCClient(mysql_url, redis_url) as client, ThreadPoolExecutor(4) as threads, alarms() as alarm:

        def follow() -> object:
            assert begun.wait(10)
            return outcome_of(lambda: client.with_cache(slow, "slow"))

        followers = [threads.submit(follow) for _ in range(3)]
        leader = threading.main_thread()

        def strike_the_leader() -> None:
            assert begun.wait(10)
            flight = client._core.flights._open[client.get_key_from_query("slow").encode()]
            while len(flight._wakers) < 3:
                time.sleep(0.001)
            strike(leader)

        if way == "signal":
            alarm(0.5)
        else:
            threads.submit(strike_the_leader)
        assert outcome_of(lambda: client.with_cache(slow, "slow")) is Interrupted
        alarm(0)

        assert [follower.result(20) for follower in followers] == [7, 7, 7]
        assert len(calls) == 2


def test_a_stall_of_redis_is_no_outage(mysql_url: str, private_redis: Callable[..., PrivateRedis]) -> None:
    """What was under way goes to MySQL once; then everybody is served from the cache again."""
    server, held = private_redis(), threading.Event()
    with MRCClient(mysql_url, server.url) as client:
        for number in range(50):
            client.query_with_cache("SELECT ? AS a", [number], ["I"])
        until = time.monotonic() + 3

        def read(start: int) -> int:
            reads = 0
            while time.monotonic() < until:
                client.query_with_cache("SELECT ? AS a", [(start + reads) % 50], ["I"])
                reads += 1
                held.wait(0.003)
            return reads

        with ThreadPoolExecutor(20) as threads:
            readers = [threads.submit(read, start) for start in range(20)]
            time.sleep(0.5)
            server.suspend()
            time.sleep(0.3)
            server.resume()
            reads = sum(reader.result() for reader in readers)

        assert reads - client.stats()["hits"] < reads / 10
        assert client.query_with_cache("SELECT ? AS a", [0], ["I"]) == [{"a": 0}]


def test_nobody_pays_for_probes(mysql_url: str, private_redis: Callable[..., PrivateRedis]) -> None:
    """A silent Redis costs the first reads a quarter of a second each; later ones ask behind their backs."""
    server = private_redis()
    with MRCClient(mysql_url, server.url) as client:
        for _ in range(2):
            client.query_with_cache("SELECT 1 AS a")
        server.suspend()
        breaker, slow, quick = client._core.cache._guard.breaker, 0, 0  # type: ignore[union-attr]
        until = time.monotonic() + 3
        while time.monotonic() < until:
            began, was_closed = time.monotonic(), breaker.is_closed
            client.query_with_cache("SELECT 1 AS a")
            if not was_closed:
                is_slow = time.monotonic() - began > 0.2
                slow, quick = slow + is_slow, quick + (not is_slow)
            time.sleep(0.002)
        server.resume()

        assert slow <= 1  # of the machine's own doing
        assert quick > 50
        hits = client.stats()["hits"]
        until = time.monotonic() + 10
        while client.stats()["hits"] == hits and time.monotonic() < until:
            client.query_with_cache("SELECT 1 AS a")
        assert client.stats()["hits"] > hits


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_coroutine_function_that_fails_is_shared(
    mysql_url: str, redis_url: str, anyio_backend: str
) -> None:
    """A failure of its own is everybody's: one load for all, whatever it raises."""
    import anyio

    calls: list[int] = []
    outcomes: list[object] = []

    async def fail() -> None:
        calls.append(1)
        await anyio.sleep(0.1)
        raise LookupError

    async with AsyncMRCClient(mysql_url, redis_url) as client, anyio.create_task_group() as tasks:

        async def ask() -> None:
            try:
                await client.with_cache(fail, "failing")
            except LookupError as error:
                outcomes.append(error)

        for _ in range(5):
            tasks.start_soon(ask)

    assert (len(calls), len(outcomes)) == (1, 5)
