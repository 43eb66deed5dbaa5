"""query_timeout: a statement is bounded as a whole, stopped on the server, and its rows are of no use."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from mysql_redis_cache import MRCClient, QueryTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis
    from pymysql.connections import Connection

    from tests.support.proxy import Proxy

pytestmark = pytest.mark.real

SLOW = "SELECT SLEEP(30) AS slept, 'query_timeout test' AS mark"


def limited(url: str, seconds: float = 0.3) -> str:
    return f"{url}?query_timeout={seconds}&maxsize=2"


def running(admin: Connection, mark: str) -> int:
    """How many sessions are running a statement with *mark* in it, other than this question."""
    with admin.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM information_schema.processlist "
            "WHERE info LIKE %s AND id <> CONNECTION_ID()",
            (f"%{mark}%",),
        )
        ((count,),) = cursor.fetchall()
    return int(count)


def test_a_slow_statement_is_stopped_on_the_server(
    mysql_url: str, mysql_admin: Connection, redis_url: str
) -> None:
    """It raises in time, nothing goes on running, nothing is cached, and the pool is whole."""
    with MRCClient(limited(mysql_url), redis_url) as client:
        began = time.monotonic()
        with pytest.raises(QueryTimeout) as raised:
            client.query_with_cache(SLOW, [], [], 60)
        took = time.monotonic() - began
        until = time.monotonic() + 5
        while running(mysql_admin, "SLEEP(30)") and time.monotonic() < until:
            time.sleep(0.02)

        print(f"raised after {took:.3f} s of 0.3 s")
        assert 0.3 <= took < 3
        assert raised.value.seconds == 0.3
        assert running(mysql_admin, "SLEEP(30)") == 0
        assert client.read_from_cache(SLOW, default="nothing") == "nothing"
        assert client.get_mysql_pool().in_use == 0
        assert client.query("SELECT 7 AS n") == [{"n": 7}]


def test_a_quick_statement_is_not_disturbed(mysql_url: str) -> None:
    """Below the limit it makes no difference, whatever the size of the reply."""
    with MRCClient(limited(mysql_url, 30)) as client:
        text = "x" * 300_000
        for _ in range(3):
            assert client.query("SELECT ? AS t UNION ALL SELECT ?", [text, "y"]) == [{"t": text}, {"t": "y"}]


@pytest.mark.parametrize(("size", "pause"), [(1, 0.005), (40, 0.02)])
def test_a_dripping_reply_counts_as_a_whole(
    mysql_url: str, proxy_to: Callable[..., Proxy], size: int, pause: float
) -> None:
    """Each byte comes in time, but all of them do not."""
    proxy = proxy_to(mysql_url)
    with MRCClient(limited(proxy.url)) as client:
        client.query("SELECT 1")
        proxy.drip(size, pause)
        began = time.monotonic()
        with pytest.raises(QueryTimeout):
            client.query("SELECT REPEAT('x', 100000) AS t")
        assert time.monotonic() - began < 10
        proxy.drip(0, 0)
        assert client.query("SELECT 7 AS n") == [{"n": 7}]


def test_a_late_reply_is_given_to_nobody(mysql_url: str, proxy_to: Callable[..., Proxy]) -> None:
    """What arrives after the time is over is not the answer to the next statement."""
    proxy = proxy_to(mysql_url)
    with MRCClient(f"{proxy.url}?query_timeout=0.2&maxsize=1") as client:
        for number in range(2):
            proxy.delay(0.15)  # each way, and so too late by a tenth of a second
            with pytest.raises(QueryTimeout):
                client.query("SELECT 'late' AS n")
            proxy.delay(0)
            assert client.query("SELECT ? AS n", [number]) == [{"n": number}]


def test_a_timed_out_statement_of_a_transaction_rolls_it_back(
    mysql_url: str, mysql_admin: Connection
) -> None:
    """The connection is gone, and with it what was not committed; later statements of the block fail."""
    with mysql_admin.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS timeout_rows (id INT PRIMARY KEY)")
    with MRCClient(limited(mysql_url)) as client:
        with pytest.raises(ConnectionError), client.transaction() as tx:  # noqa: PT012 - the block's end
            tx.execute("INSERT INTO timeout_rows VALUES (1)")
            with pytest.raises(QueryTimeout):
                tx.query(SLOW)
            tx.query("SELECT 1")
        assert client.query("SELECT id FROM timeout_rows") == []


def test_stale_if_error_covers_a_timeout(
    mysql_url: str, mysql_admin: Connection, redis_url: str, redis_client: redis.Redis
) -> None:
    """A query that has become slow is answered with its last rows."""
    with mysql_admin.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS timeout_pace (seconds DOUBLE)")
        cursor.execute("DELETE FROM timeout_pace")
        cursor.execute("INSERT INTO timeout_pace VALUES (0)")
        query = "SELECT SLEEP(seconds) AS slept FROM timeout_pace"
        with MRCClient(limited(mysql_url), redis_url, stale_if_error=60) as client:
            assert client.query_with_cache(query, [], [], 1) == [{"slept": 0}]
            cursor.execute("UPDATE timeout_pace SET seconds = 30")
            redis_client.expire(client.get_key_from_query(query), 59)  # its ttl is over, its grace is not
            assert client.query_with_cache(query, [], [], 1) == [{"slept": 0}]
