"""MySQL away, frozen, full or hanging up: hits go on, misses fail soon and clearly, the pool mends itself."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from mysql_redis_cache import DatabaseUnavailable, MRCClient, PoolTimeout
from tests.support.proxy import Proxy
from tests.support.tormented import administrator, statements
from tests.support.urls import mysql_arguments
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis
    from pymysql.connections import Connection

    from tools.private_servers import PrivateMySQL

QUERY = "SELECT id, name FROM users WHERE id = ?"
ANN = [{"id": 1, "name": "ann"}]
SOON = 8.0  # generous, for a busy machine
LIMITS = "connect_timeout=1&read_timeout=1&write_timeout=1&pool_timeout=2"


@pytest.fixture
def server(mysql_to_torment: PrivateMySQL) -> PrivateMySQL:
    """A MySQL to torment; each test leaves it running."""
    return mysql_to_torment


@pytest.fixture
def admin(server: PrivateMySQL) -> Iterator[Connection]:
    """A connection behind the library's back."""
    with closing(administrator(server)) as connection:
        yield connection


def url(server: PrivateMySQL, more: str = "maxsize=3") -> str:
    return f"{server.url}torment?{LIMITS}&{more}"


def others(admin: Connection) -> list[int]:
    """The ids of all other sessions."""
    rows = statements(
        admin,
        "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND user = 'mrc' "
        "AND command <> 'Killed'",
    )
    return [number for (number,) in rows]


def count_of_writes(admin: Connection) -> int:
    ((count,),) = statements(admin, "SELECT COUNT(*) FROM writes")
    return int(count)


def test_killed_idle_connections_are_noticed(server: PrivateMySQL, admin: Connection) -> None:
    """Reads and writes go on as if nothing had happened, each once."""
    with MRCClient(url(server)) as client:
        before = count_of_writes(admin)
        for _ in range(5):
            client.query(QUERY, [1])
            for number in others(admin):
                statements(admin, f"KILL {number}")
            assert wait_until(lambda: not others(admin))
            assert client.query(QUERY, [1]) == ANN
            for number in others(admin):
                statements(admin, f"KILL {number}")
            assert wait_until(lambda: not others(admin))
            assert client.execute("INSERT INTO writes VALUES ()").affected_rows == 1
        assert count_of_writes(admin) == before + 5
        assert client.get_mysql_pool().in_use == 0


def test_a_lost_read_is_repeated_once(server: PrivateMySQL) -> None:
    """A connection that breaks before anything came back costs a reader nothing but time."""
    with Proxy(server.url) as proxy, MRCClient(proxy.url + f"torment?{LIMITS}") as client:
        client.query(QUERY, [1])
        proxy.cut_after(0)
        assert client.query(QUERY, [1]) == ANN


def test_a_read_lost_twice_fails(server: PrivateMySQL) -> None:
    """There is no second repetition."""
    with Proxy(server.url) as proxy, MRCClient(proxy.url + f"torment?{LIMITS}") as client:
        client.query(QUERY, [1])
        before = proxy.connections
        proxy.corrupt(lambda data: b"")  # the greeting too: the fresh connection gets nowhere
        proxy.cut_after(0)
        with pytest.raises(DatabaseUnavailable) as raised:
            client.query(QUERY, [1])
        assert isinstance(raised.value.__cause__, pymysql.Error)
        assert isinstance(raised.value, ConnectionError)
        assert proxy.connections == before + 1
        proxy.corrupt(None)
        assert client.query(QUERY, [1]) == ANN


def test_a_lost_write_is_never_repeated(server: PrivateMySQL, admin: Connection) -> None:
    """The server has done it once; whether it has, the caller cannot be told."""
    with Proxy(server.url) as proxy, MRCClient(proxy.url + f"torment?{LIMITS}") as client:
        before = count_of_writes(admin)
        for _ in range(5):
            client.query(QUERY, [1])
            proxy.cut_after(0)
            with pytest.raises(DatabaseUnavailable):
                client.execute("INSERT INTO writes VALUES ()")
        assert count_of_writes(admin) == before + 5
        assert client.execute("INSERT INTO writes VALUES ()").affected_rows == 1


@pytest.mark.parametrize("size", [1, 4, 5, 20, 60, 300, 1000, 2000])
def test_a_reply_cut_in_the_middle_gives_no_rows(server: PrivateMySQL, size: int) -> None:
    """Whatever the byte, a reader gets all rows or an error, never some."""
    text = "SELECT id, name, REPEAT('x', 1000) AS pad FROM users ORDER BY id"
    with Proxy(server.url) as proxy, MRCClient(proxy.url + f"torment?{LIMITS}") as client:
        whole = client.query(text)
        proxy.cut_after(size)
        try:
            rows = client.query(text)
        except DatabaseUnavailable:
            rows = whole
        assert rows == whole
        assert client.query(text) == whole


@pytest.mark.parametrize("place", [0, 3, 4, 9, 30, 90, 150])
def test_a_corrupted_reply_ends_its_connection_alone(server: PrivateMySQL, place: int) -> None:
    """A flipped byte is an error or another value, and the next reply is whole again."""

    def flip(data: bytes) -> bytes:
        return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :] if len(data) > place else data

    with Proxy(server.url) as proxy, MRCClient(proxy.url + f"torment?{LIMITS}") as client:
        client.query(QUERY, [1])
        proxy.corrupt(flip)
        with suppress(DatabaseUnavailable, pymysql.Error, UnicodeError, ValueError):
            client.query(QUERY, [1])
        proxy.corrupt(None)
        for _ in range(3):
            assert client.query(QUERY, [1]) == ANN
        assert client.get_mysql_pool().in_use == 0


@contextmanager
def stopped(server: PrivateMySQL) -> Iterator[None]:
    server.kill()
    try:
        yield
    finally:
        server.start()


@contextmanager
def restarting(server: PrivateMySQL) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def frozen(server: PrivateMySQL) -> Iterator[None]:
    server.suspend()
    try:
        yield
    finally:
        server.resume()


@pytest.mark.parametrize("outage", [stopped, frozen])
def test_hits_and_stale_entries_outlive_mysql(
    server: PrivateMySQL, redis_url: str, redis_client: redis.Redis, outage: Any
) -> None:
    """MySQL killed or frozen: hits go on, stale_if_error serves last rows, misses raise soon."""
    with MRCClient(url(server), redis_url) as client:
        client.query_with_cache(QUERY, [1], ["UserId"], 60)
        client.query_with_cache(QUERY, [2], ["UserId"], 1, stale_if_error=60)
        # Its ttl is over, its grace is not.
        assert redis_client.expire(client.get_key_from_query(QUERY, [2], ["UserId"]), 59)
        with outage(server):
            assert client.query_with_cache(QUERY, [1], ["UserId"], 60) == ANN
            stale = client.query_with_cache(QUERY, [2], ["UserId"], 1, stale_if_error=60)
            assert stale == [{"id": 2, "name": "bob"}]
            began = time.monotonic()
            with pytest.raises(DatabaseUnavailable):
                client.query_with_cache(QUERY, [3], ["UserId"], 60)
            print(f"a miss raised after {time.monotonic() - began:.2f} s")
            assert time.monotonic() - began < SOON
            assert client.drop_outdated_cache(["UserId"], [2]) == 1
        assert client.query_with_cache(QUERY, [2], ["UserId"], 60) == [{"id": 2, "name": "bob"}]
        assert client.get_mysql_pool().in_use == 0


@pytest.mark.parametrize("outage", [stopped, restarting, frozen])
def test_forty_threads_survive_an_outage(server: PrivateMySQL, outage: Any) -> None:
    """Everybody gets rows or a clear error in bounded time, and the whole pool is usable afterwards."""
    wrong: list[object] = []
    slowest = [0.0]
    stop = threading.Event()

    def loop(client: MRCClient, number: int) -> None:
        while not stop.is_set():
            began = time.monotonic()
            try:
                rows = client.query("SELECT ? AS n", [number])
                if rows != [{"n": number}]:
                    wrong.append(rows)
            except (DatabaseUnavailable, PoolTimeout):
                stop.wait(0.02)
            except BaseException as error:
                wrong.append(error)
            slowest[0] = max(slowest[0], time.monotonic() - began)

    with MRCClient(url(server, "maxsize=4")) as client:
        with ThreadPoolExecutor(40) as threads:
            for number in range(40):
                threads.submit(loop, client, number)
            try:
                time.sleep(0.3)
                with outage(server):
                    time.sleep(0.8)
                recovered = wait_until(lambda: _answers(client), 20)
            finally:
                stop.set()
        print(f"slowest call {slowest[0]:.2f} s")
        assert recovered
        assert not wrong
        assert slowest[0] < SOON * 2
        assert client.get_mysql_pool().in_use == 0
        borrowed = [client.get_mysql_pool().connection() for _ in range(4)]
        for lease in borrowed:
            lease.__enter__()
        for lease in borrowed:
            lease.__exit__(None, None, None)


def _answers(client: MRCClient) -> bool:
    try:
        return client.query("SELECT 1 AS n") == [{"n": 1}]
    except (DatabaseUnavailable, PoolTimeout):
        return False


def test_too_many_connections(server: PrivateMySQL, admin: Connection) -> None:
    """A full server is an outage that says so; room that is made is used."""
    with MRCClient(url(server)) as client:
        hogs = []
        try:
            while True:
                hogs.append(pymysql.connect(**mysql_arguments(server.url)))
        except pymysql.OperationalError:
            pass
        # MariaDB keeps one more place for an account with every right, and so may have let the last one in.
        with pytest.raises(DatabaseUnavailable, match="1040"):
            client.query(QUERY, [1])
        for hog in hogs:
            hog.close()
        assert wait_until(lambda: len(others(admin)) == 0)
        assert client.query(QUERY, [1]) == ANN


def test_without_redis_the_pool_bounds_the_load(server: PrivateMySQL, admin: Connection) -> None:
    """Redis away: equal reads share one load, and never more run than the pool has connections."""
    most = [0]
    done = threading.Event()

    def watch() -> None:
        with closing(pymysql.connect(**mysql_arguments(server.url), autocommit=True)) as connection:
            while not done.is_set():
                rows = statements(
                    connection,
                    "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%bounded load%' "
                    "AND id <> CONNECTION_ID()",
                )
                most[0] = max(most[0], rows[0][0])

    watcher = threading.Thread(target=watch)
    watcher.start()
    slow = "SELECT ? AS n, SLEEP(0.05) AS s /* bounded load */"
    dead = "redis://127.0.0.1:1/0"
    try:
        with MRCClient(url(server), dead) as client, ThreadPoolExecutor(60) as threads:
            began = time.monotonic()
            answers = list(
                threads.map(lambda place: client.query_with_cache(slow, [place % 20], ["N"], 60), range(300))
            )
            took = time.monotonic() - began
            shared = client.stats().get("shared_loads", 0)
    finally:
        done.set()
        watcher.join()
    print(f"300 reads of 20 keys in {took:.2f} s: {shared} shared a load, at most {most[0]} ran at once")
    assert [rows[0]["n"] for rows in answers] == [place % 20 for place in range(300)]
    assert most[0] <= 3
    assert shared > 50


def test_without_redis_waiting_for_the_pool_ends_in_a_clear_error(server: PrivateMySQL) -> None:
    """More load than the pool can take is refused within pool_timeout."""
    slow = "SELECT ? AS n, SLEEP(1) AS s"
    with (
        MRCClient(f"{server.url}torment?maxsize=2&pool_timeout=0.3", "redis://127.0.0.1:1/0") as client,
        ThreadPoolExecutor(12) as threads,
    ):
        futures = [threads.submit(client.query_with_cache, slow, [n], ["N"], 60) for n in range(12)]
        errors = [future.exception(20) for future in futures]
    refused = [error for error in errors if error is not None]
    assert len(refused) == 10
    assert all(isinstance(error, PoolTimeout) and "maxsize" in str(error) for error in refused)
