"""Reads that asyncio's loop does itself, without a thread: what may go wrong on the way."""

from __future__ import annotations

import asyncio
import gc
import select
import signal
import threading
import time
from typing import TYPE_CHECKING, Any
from weakref import ref

import anyio
import pytest

from mysql_redis_cache import AsyncMRCClient
from mysql_redis_cache.aio import direct
from mysql_redis_cache.aio.workers import HITS
from mysql_redis_cache.store import Exchange
from tests.client.drivers import until
from tests.support.pools import living
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import redis

    from tests.support.proxy import Proxy

pytestmark = pytest.mark.anyio

QUERY = "SELECT ? AS n"


@pytest.fixture
def anyio_backend() -> str:
    """The only loop that tells when a socket can be read, as far as is known here."""
    return "asyncio"


@pytest.fixture
def proxy(redis_url: str, proxy_to: Callable[..., Proxy]) -> Proxy:
    """On the way to Redis."""
    return proxy_to(redis_url)


@pytest.fixture
async def client(mysql_url: str, proxy: Proxy) -> AsyncIterator[AsyncMRCClient]:
    """A facade that has read twenty entries, and a connection to read them over."""
    async with AsyncMRCClient(mysql_url, f"{proxy.url}?socket_timeout=0.3") as client:
        for number in range(20):
            await read(client, number)
        yield client


async def read(client: AsyncMRCClient, number: int = 1) -> None:
    assert await client.query_with_cache(QUERY, [number], ["N"]) == [{"n": number}]


async def read_all(client: AsyncMRCClient, numbers: range = range(20)) -> None:
    async with anyio.create_task_group() as tasks:
        for number in numbers:
            tasks.start_soon(read, client, number)


def loads(client: AsyncMRCClient) -> int:
    return client.stats().loads


def idle(client: AsyncMRCClient) -> int:
    core: Any = client._core
    return len(core.links[0]._connections._idle)


def has_heard_the_end(client: AsyncMRCClient) -> bool:
    """Whether the ends of all idle connections have come through the proxy."""
    core: Any = client._core
    sockets = [connection._sock for connection in core.links[0]._connections._idle]
    return len(select.select(sockets, [], [], 0)[0]) == len(sockets)


async def test_hits_need_no_thread_and_one_round_trip(client: AsyncMRCClient, proxy: Proxy) -> None:
    """As many as ask at one moment; and afterwards the connection is the pool's again."""
    before, trips = loads(client), proxy.round_trips
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HITS, "run", pytest.fail)
        await read_all(client)
        assert proxy.round_trips == trips + 1
        await read(client)
        await client.read_from_cache(QUERY, [1], ["N"])

    assert loads(client) == before
    await until(lambda: idle(client) == 1, "giving back the connection")
    assert client.stats().hits >= 22


async def test_an_entry_that_is_asked_for_its_age_needs_no_thread_either(
    mysql_url: str, redis_url: str
) -> None:
    """Nor does one that is not there, but to be loaded."""
    async with AsyncMRCClient(mysql_url, redis_url, stale_while_revalidate=5) as client:
        await read(client)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(HITS, "run", pytest.fail)
            await read(client)
            assert await client.read_from_cache(QUERY, [99], ["N"], default="none") == "none"


async def test_what_decodes_no_more_is_loaded(client: AsyncMRCClient, redis_client: redis.Redis) -> None:
    """No JSON, and a key of another type, among others that are right."""
    redis_client.set(client.get_key_from_query(QUERY, [3], ["N"]), b"{")
    other = client.get_key_from_query(QUERY, [4], ["N"])
    redis_client.delete(other)
    redis_client.rpush(other, 1)
    await read_all(client)
    redis_client.delete(other)
    redis_client.rpush(other, 1)
    await read(client, 4)  # alone it is another command

    assert client.stats().corrupt_entries == 1


async def test_a_frozen_server_costs_one_timeout(client: AsyncMRCClient, proxy: Proxy) -> None:
    """Everybody is answered by MySQL, and the connection is not used again."""
    await until(lambda: idle(client) >= 1, "giving back the connection")
    before = idle(client)
    proxy.pause("replies")
    began = time.monotonic()
    await read_all(client, range(5))
    took = time.monotonic() - began
    proxy.resume()

    assert 0.3 <= took < 3
    assert client.stats().cache_failures >= 1
    assert idle(client) == before - 1


async def test_a_reply_that_trickles_in_is_given_up(client: AsyncMRCClient, proxy: Proxy) -> None:
    """Each byte comes in time, the whole never would."""
    proxy.drip(1, 0.25)
    began = time.monotonic()
    await read(client)
    proxy.drip(1 << 20, 0)

    assert time.monotonic() - began < 5


async def test_a_loop_that_was_held_up_takes_what_has_come(client: AsyncMRCClient) -> None:
    """It was the caller's code that took so long, not Redis."""
    before, failures = loads(client), client.stats().cache_failures
    task = asyncio.ensure_future(read(client))
    for _ in range(3):
        await asyncio.sleep(0)
    time.sleep(0.5)
    await task

    assert (loads(client), client.stats().cache_failures) == (before, failures)


async def test_a_connection_killed_while_idle_is_replaced(
    client: AsyncMRCClient, redis_client: redis.Redis
) -> None:
    """Nobody has to go to MySQL for it."""
    before = loads(client)
    for _ in range(3):
        redis_client.execute_command("CLIENT", "KILL", "SKIPME", "yes", "TYPE", "normal")
        await until(lambda: has_heard_the_end(client))
        await read_all(client)

    assert loads(client) == before


async def test_a_connection_lost_on_the_way_fails_nobody(client: AsyncMRCClient, proxy: Proxy) -> None:
    """They are answered by MySQL, as they are in blocking code."""
    proxy.pause("replies")
    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(read, client, number)
        await anyio.sleep(0.05)
        proxy.cut()
        proxy.resume()

    await read_all(client)


async def test_cancelled_callers_harm_nobody(client: AsyncMRCClient, proxy: Proxy) -> None:
    """Not those of the same batch, nor of the next over the same connection."""
    proxy.pause("replies")
    cancelled = [asyncio.ensure_future(read(client, number)) for number in range(5)]
    others = [asyncio.ensure_future(read(client, number)) for number in range(5, 8)]
    await asyncio.sleep(0.02)
    for task in cancelled:
        task.cancel()
    proxy.resume()
    await asyncio.wait([*cancelled, *others])

    assert all(task.cancelled() for task in cancelled)
    assert [task.result() for task in others] == [None] * 3
    await read_all(client)
    await until(lambda: idle(client) >= 1, "giving back the connection")


async def test_a_batch_does_not_wait_for_one_that_is_slow(
    client: AsyncMRCClient, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes over another connection, for a bounded number of them."""
    monkeypatch.setattr(direct, "MAX_OUT", 2)
    await until(lambda: idle(client) >= 1, "giving back the connection")
    trips = proxy.round_trips
    proxy.pause("replies")
    tasks = []
    for number in range(3):
        tasks.append(asyncio.ensure_future(read(client, number)))
        await asyncio.sleep(0.02)
    here = client._driver._loops.here().reads
    assert isinstance(here, direct.Direct)
    assert here._out == 2
    proxy.resume()
    await asyncio.wait(tasks)

    assert [task.result() for task in tasks] == [None] * 3
    assert proxy.round_trips - trips >= 2
    assert here._out == 0
    assert not here._waiting


async def test_the_first_read_has_a_thread_open_the_connection(mysql_url: str, redis_url: str) -> None:
    """And so have those that come meanwhile; no more than one at a time."""
    async with AsyncMRCClient(mysql_url, redis_url) as client:
        await read_all(client)
        await read_all(client)

        assert idle(client) <= 2 + 20  # those that filled have connections, too


async def test_a_loop_that_cannot_watch_sockets_has_threads(client: AsyncMRCClient) -> None:
    """Not all that have the method do what it says."""

    def add_reader(*_: object) -> None:
        raise NotImplementedError

    before = loads(client)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.get_running_loop(), "add_reader", add_reader)
        for _ in range(3):
            await read_all(client)

    assert loads(client) == before


@pytest.mark.parametrize("large", [["x" * 100] * 5000, [b"x" * 1000] * 30], ids=["text", "binary"])
async def test_large_values_go_to_threads(client: AsyncMRCClient, large: list[object]) -> None:
    """Also when that is not known beforehand, and in one batch with small ones; small again, they do not."""
    loop_thread, decoded_in = threading.get_ident(), set[int]()
    await client.write_to_cache("large", large, [1], ["N"])
    cache: Any = client._core.cache
    original = cache.decode_many

    def noting(reads: Any, *args: Any, **options: Any) -> Any:
        if any(each.query == "large" for each in reads):
            decoded_in.add(threading.get_ident())
        return original(reads, *args, **options)

    async def read_large() -> None:
        assert await client.read_from_cache("large", [1], ["N"]) == large

    here: Any = client._driver._loops.here().reads
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "decode_many", noting)
        patch.setattr(here._threads, "_decode", noting)
        for _ in range(2):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read_large)
                tasks.start_soon(read_all, client)
        assert decoded_in
        assert loop_thread not in decoded_in

        await client.write_to_cache("large", "small", [1], ["N"])
        for _ in range(2):
            assert await client.read_from_cache("large", [1], ["N"]) == "small"
        assert loop_thread in decoded_in


async def test_what_strikes_while_decoding_is_nobodys_who_reads(client: AsyncMRCClient) -> None:
    """A thread decodes instead; the loop says what it was."""
    cache: Any = client._core.cache
    said: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context["exception"]))
    await read_all(client)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "decode_many", lambda *_: 1 / 0)
        results = await asyncio.gather(*(read(client, n) for n in range(3)), return_exceptions=True)
    asyncio.get_running_loop().set_exception_handler(None)

    assert results == [None] * 3
    assert [type(each) for each in said] == [ZeroDivisionError]


class _Struck(BaseException):
    """Raised by a signal handler; asyncio lets KeyboardInterrupt and SystemExit through, others it logs."""


@pytest.mark.parametrize("where", ["begin", "receive", "decode_many"])
async def test_a_signal_handler_that_raises_leaves_nobody_waiting(client: AsyncMRCClient, where: str) -> None:
    """Whichever callback it strikes: its reads fail or are answered, and later ones are."""

    def strike(*_: Any, **__: Any) -> Any:
        patch.undo()
        signal.raise_signal(signal.SIGUSR1)

    def handle(*_: Any) -> None:
        raise _Struck

    loop, said = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: said.append(context))
    old = signal.signal(signal.SIGUSR1, handle)
    patch = pytest.MonkeyPatch()
    try:
        patch.setattr(client._core.cache, where, strike)
        with anyio.fail_after(5):
            await asyncio.gather(*(read(client, n) for n in range(3)), return_exceptions=True)
        assert said
        await read_all(client)
    finally:
        patch.undo()
        signal.signal(signal.SIGUSR1, old)
        loop.set_exception_handler(None)
    here: Any = client._driver._loops.here().reads
    await until(lambda: here._out == 0, "the end of what was out")


async def test_a_facade_closed_meanwhile_keeps_no_connection(mysql_url: str, proxy: Proxy) -> None:
    """What was lent to the loop is closed when it comes back."""
    async with AsyncMRCClient(mysql_url, proxy.url) as client:
        await read(client)
        proxy.pause("replies")
        task = asyncio.ensure_future(client.read_from_cache(QUERY, [1], ["N"]))
        await asyncio.sleep(0.02)
    proxy.resume()
    await task
    core: Any = client._core

    await until(lambda: not core.links[0]._connections._idle, "closing the connection")
    assert not living(core.links[0]._connections)


def test_a_loop_that_ends_in_the_middle_harms_no_other(mysql_url: str, redis_url: str) -> None:
    """Its connection is dropped, and the next loop reads as ever."""
    client = AsyncMRCClient(mysql_url, redis_url)

    async def begin() -> None:
        await read(client)
        await client._driver._loops.here().reads.get(client._core.reads.of_query(QUERY, [1], ["N"], 60))
        asyncio.ensure_future(read(client))  # noqa: RUF006 - it is to be left
        await asyncio.sleep(0)

    for _ in range(3):
        asyncio.run(begin())

    async def end() -> None:
        await read_all(client)
        await client.aclose()

    asyncio.run(end())


def test_loops_that_end_while_redis_is_silent_leave_nothing(mysql_url: str, proxy: Proxy) -> None:
    """Neither they nor their connections, which are closed without Python's collector."""
    client = AsyncMRCClient(mysql_url, proxy.url)
    ended: list[ref[asyncio.AbstractEventLoop]] = []

    async def begin() -> None:
        ended.append(ref(asyncio.get_running_loop()))
        for _ in range(2):  # the first are on their way, the others wait for them to come back
            asyncio.ensure_future(read(client))  # noqa: RUF006 - it is to be left
            await asyncio.sleep(0.005)

    asyncio.run(read(client))
    core: Any = client._core
    proxy.pause("replies")
    gc.disable()
    try:
        for _ in range(5):
            asyncio.run(begin())
        assert wait_until(lambda: not living(core.links[0]._connections))
    finally:
        gc.enable()
    proxy.resume()

    def left() -> int:
        gc.collect()
        return sum(loop() is not None for loop in ended[:-1])

    assert wait_until(lambda: not left())

    async def end() -> None:
        await read_all(client)
        await client.aclose()

    asyncio.run(end())


async def test_a_line_that_is_struck_while_it_asks_again_is_closed(client: AsyncMRCClient) -> None:
    """Its connection owes a reply, which nobody else must get."""
    core: Any = client._core
    ask, struck = Exchange.ask, []

    def strike(self: Exchange, request: bytes, count: int) -> bool:
        sent = ask(self, request, count)
        struck.append(self)
        if len(struck) == 2:
            raise RuntimeError("by a signal handler")
        return sent

    said: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context["exception"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(direct, "PATIENCE", 60)  # however slow the first, nobody overtakes it
        patch.setattr(Exchange, "ask", strike)
        first = asyncio.ensure_future(read(client, 1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.gather(first, *(read(client, n) for n in range(2, 9)))
    asyncio.get_running_loop().set_exception_handler(None)

    assert [str(each) for each in said] == ["by a signal handler"]
    assert struck[0] is struck[1]
    await until(lambda: client._driver._loops.here().reads._out == 0, "the end of what was out")
    assert struck[1]._connection not in living(core.links[0]._connections)
    await read_all(client)


async def test_a_busy_line_ends_when_connections_are_drained(client: AsyncMRCClient) -> None:
    """As after a failover: what goes on over it would be asked of the old master."""
    core: Any = client._core
    ends = time.monotonic() + 0.4

    async def read_on(number: int) -> None:
        while time.monotonic() < ends:
            await read(client, number)

    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(read_on, number)
        await asyncio.sleep(0.1)
        before = living(core.links[0]._connections)
        assert before
        core.links[0].drain()
        await asyncio.sleep(0.1)
        assert not before & living(core.links[0]._connections)


async def test_a_loop_that_cannot_watch_one_more_socket_has_threads_ask(
    client: AsyncMRCClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for ever, and nothing counts as under way that is not."""

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(asyncio.get_running_loop(), "add_reader", refuse)
    with anyio.fail_after(5):
        for _ in range(6):
            await read_all(client)
    here: Any = client._driver._loops.here().reads
    await until(lambda: here._out == 0, "the end of what was out")
