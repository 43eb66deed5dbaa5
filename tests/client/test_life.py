"""A client's life: nothing opened before its first use, closing, reuse after draining, forks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import pytest

from mysql_redis_cache import AsyncMRCClient, AsyncMRCServer, ClosedError, MRCClient, MRCServer
from mysql_redis_cache.observe import Stats

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymysql.connections import Connection

    from tests.support.proxy import Proxy

pytestmark = pytest.mark.anyio

QUERY = "SELECT name FROM users WHERE id = ?"


def test_construction_opens_nothing(proxy_to: Callable[..., Proxy], mysql_url: str, redis_url: str) -> None:
    """No socket and no thread before the first use; closing what was never used is fine."""
    proxies = [proxy_to(mysql_url), proxy_to(redis_url)]
    before = threading.active_count()
    client, server = MRCClient(proxies[0].url, proxies[1].url), MRCServer(proxies[1].url)
    facade, other = AsyncMRCClient(proxies[0].url, proxies[1].url), AsyncMRCServer(proxies[1].url)

    assert threading.active_count() == before
    assert [proxy.connections for proxy in proxies] == [0, 0]
    for each in (client, server, facade._blocking, other._blocking):
        each.close()


CALLS: dict[str, Callable[[Any], Any]] = {
    "query_with_cache": lambda c: c.query_with_cache("SELECT 1"),
    "with_cache": lambda c: c.with_cache(lambda: 1, "v1"),
    "query_many_with_cache": lambda c: c.query_many_with_cache([("SELECT 1",)]),
    "empty query_many_with_cache": lambda c: c.query_many_with_cache([]),
    "read_from_cache": lambda c: c.read_from_cache("v1"),
    "write_to_cache": lambda c: c.write_to_cache("v1", 1),
    "query": lambda c: c.query("SELECT 1"),
    "execute": lambda c: c.execute("DO 1"),
    "query_to_promise": lambda c: c.query_to_promise("SELECT 1"),
    "drop_outdated_cache": lambda c: c.drop_outdated_cache(["a"], [1]),
    "drop_query": lambda c: c.drop_query("v1"),
    "transaction": lambda c: c.transaction().__aenter__(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_close_is_final(client: Any, call: Callable[[Any], Any]) -> None:
    """Every later call says that the client is closed; closing twice does no harm."""
    await client.query_with_cache("SELECT 1 AS a")
    await client.aclose()
    await client.aclose()

    with pytest.raises(ClosedError, match="make a new one"):
        await call(client)


async def test_close_leaves_what_needs_no_server(client: Any) -> None:
    """Counters and keys."""
    await client.aclose()

    assert client.stats() == Stats(pool_size=10)
    assert len(client.get_key_from_query("v1")) == 40
    with pytest.raises(ClosedError):
        client.get_mysql_pool()


async def test_close_closes_the_connections(
    make_client: Callable[..., Any], proxy_to: Callable[..., Proxy], mysql_url: str, redis_url: str
) -> None:
    """To both servers."""
    proxies = [proxy_to(mysql_url), proxy_to(redis_url)]
    client = make_client(mysql=proxies[0].url, redis=proxies[1].url)
    await client.query_with_cache("SELECT 1 AS a")
    assert [proxy.open_connections for proxy in proxies] == [1, 1]

    await client.aclose()

    done = threading.Event()
    for _ in range(500):
        if not any(proxy.open_connections for proxy in proxies):
            break
        done.wait(0.01)
    assert [proxy.open_connections for proxy in proxies] == [0, 0]


async def test_close_while_calls_run(client: Any) -> None:
    """Calls that have begun end with their answer or with an error of ours; nothing hangs or leaks."""
    began, may_end = threading.Event(), threading.Event()

    def slow() -> int:
        began.set()
        may_end.wait(10)
        return 1

    async def read() -> Any:
        return await client.with_cache(slow, "v1")

    async def close() -> None:
        await client.happens(began)
        await client.aclose()
        may_end.set()

    answer, closed = await client.together([read, close])

    assert answer == 1
    assert closed is None
    assert client._core.database.pool.in_use == 0
    assert len(client._core.flights) == 0


async def test_close_while_queries_run(client: Any, users: Connection) -> None:
    """A query under way gets its answer, and its connection is closed when it is done."""
    began = threading.Event()
    query = client._core.database.query

    def noting(text: str, params: Any = None) -> Any:
        began.set()
        return query(text, params)

    client._core.database.query = noting

    async def read() -> Any:
        return await client.query_with_cache("SELECT SLEEP(0.2) AS s")

    async def close() -> None:
        await client.happens(began)
        await client.aclose()

    answer, closed = await client.together([read, close])

    assert answer == [{"s": 0}] or isinstance(answer, (ClosedError, ConnectionError))
    assert closed is None
    assert client._core.database.pool.in_use == 0


async def test_after_close_redis_connection_a_client_goes_on(
    make_client: Callable[..., Any], proxy_to: Callable[..., Proxy], redis_url: str
) -> None:
    """Its connections are closed, and the next call opens new ones."""
    proxy = proxy_to(redis_url)
    client = make_client(redis=proxy.url)
    await client.write_to_cache("v1", 1)

    await client.close_redis_connection()
    assert await client.read_from_cache("v1") == 1
    await client.close_redis_connection()
    await client.close_redis_connection()
    assert await client.read_from_cache("v1") == 1

    assert proxy.connections == 3


async def test_a_facade_does_not_close_a_ready_client(mysql_url: str, redis_url: str) -> None:
    """It stays its maker's; ``async with MRCClient`` closes what it was made from."""
    with MRCClient(mysql_url, redis_url) as ready:
        async with AsyncMRCClient(ready) as facade:
            await facade.write_to_cache("v1", 1)
        assert await anyio.to_thread.run_sync(ready.read_from_cache, "v1") == 1
        async with ready:
            pass
        with pytest.raises(ClosedError):
            ready.read_from_cache("v1")


async def test_a_facade_of_a_ready_server(redis_url: str) -> None:
    """The same for servers."""
    with MRCServer(redis_url) as ready:
        async with AsyncMRCServer(ready) as facade:
            assert await facade.drop_outdated_cache(["a"], [1]) == 0
        assert ready.drop_outdated_cache(["a"], [1]) == 0
        async with ready as facade:
            await facade.close_redis_connection()
            assert await facade.drop_outdated_cache(["a"], [1]) == 0
    with pytest.raises(ClosedError, match="make a new one"):
        ready.drop_outdated_cache(["a"], [1])
    with pytest.raises(TypeError, match="ready MRCServer"):
        AsyncMRCServer(ready, namespace="shop")


FORK = """
import os, sys, threading, time
from mysql_redis_cache import MRCClient, MRCServer

mysql_url, redis_url, stage = sys.argv[1:]
client, server = MRCClient(mysql_url, redis_url), MRCServer(redis_url)
assert client.query_with_cache("SELECT 1 AS a", [], [], 60) == [{"a": 1}]
assert client.query_with_cache("SELECT ? AS n", [1], ["N"], 60) == [{"n": 1}]
server.drop_outdated_cache(["N"], [1])
busy = threading.Event()

def load():
    busy.set()
    time.sleep(0.5)
    return "parent"

def working(stage):
    if stage == "loading":
        client.with_cache(load, "slow")
    if stage == "querying":
        busy.set()
        for number in range(20):
            client.query_with_cache("SELECT SLEEP(0.005) AS s, ? AS n", [number], ["N"])
            client.query_with_cache("SELECT 1 AS a", [], [], 60)
    if stage == "dropping":
        busy.set()
        for number in range(20):
            server.drop_outdated_cache(["N"], [number])
            client.drop_outdated_cache(["N"], [number])
    if stage == "transaction":
        with client.transaction() as tx:
            tx.query("SELECT SLEEP(0.1)")
            busy.set()
            tx.query("SELECT SLEEP(0.4)")

workers = [threading.Thread(target=working, args=(each,)) for each in stage.split() * 2]
for worker in workers: worker.start()
assert busy.wait(10)
children = []
for child in range(3):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            connection = client.query("SELECT CONNECTION_ID() AS id")[0]["id"]
            for number in range(5):
                assert client.query("SELECT ? AS n", [child * 100 + number]) == [{"n": child * 100 + number}]
                assert client.query_with_cache("SELECT ? AS n", [number], ["N"], 60) == [{"n": number}]
                assert client.query_with_cache("SELECT 1 AS a", [], [], 60) == [{"a": 1}]
            assert client.with_cache(lambda: "child", "slow", [child]) == "child"
            server.drop_outdated_cache(["N"], [child])
            client.drop_outdated_cache(["N"], [child + 10])
            with client.transaction() as tx:
                assert tx.query("SELECT 1 AS a") == [{"a": 1}]
            client.close()
            server.close()
            code = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    children.append(pid)
codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
for worker in workers: worker.join()
assert client.query_with_cache("SELECT 1 AS a", [], [], 60) == [{"a": 1}]
assert client.query("SELECT 2 AS a") == [{"a": 2}]
assert client.get_mysql_pool().in_use == 0
client.close(); server.close()
sys.exit(any(codes))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("stage", ["loading querying", "dropping transaction"])
def test_forked_children_start_afresh(stage: str, mysql_url: str, redis_url: str) -> None:
    """Forked while threads load, query, drop, hold a transaction: everybody gets his own rows."""
    done = subprocess.run(
        # Python 3.12 and later warn of what is tested here.
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, mysql_url, redis_url, stage],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_closing_from_many_threads_at_once(mysql_url: str, redis_url: str) -> None:
    """Close is idempotent also when it meets itself."""
    client = MRCClient(mysql_url, redis_url)
    client.query_with_cache("SELECT 1 AS a")
    gate = threading.Barrier(8)
    failures: list[BaseException] = []

    def close() -> None:
        gate.wait(10)
        try:
            client.close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=close) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []


def test_a_script_that_reads_once_says_that_redis_is_away(mysql_url: str) -> None:
    """On stderr, also though it has not set up logging; its answer is right all the same."""
    script = (
        "import sys\nfrom mysql_redis_cache import MRCClient\n"
        "with MRCClient(sys.argv[1], 'redis://127.0.0.1:1/0') as client:\n"
        "    print(client.query_with_cache('SELECT 7 AS n')[0]['n'])\n"
    )

    ran = subprocess.run(
        [sys.executable, "-c", script, mysql_url], capture_output=True, text=True, timeout=60
    )

    assert (ran.returncode, ran.stdout) == (0, "7\n")
    assert ran.stderr.startswith(
        "mysql_redis_cache.redis: Redis is failing; reads go to MySQL until it is back: "
    )
    assert ran.stderr.count("\n") == 1
