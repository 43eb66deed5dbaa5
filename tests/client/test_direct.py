"""Straight to MySQL, drops, namespaces, no cache at all, and counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from mysql_redis_cache import CacheUnavailable, MRCServer, WriteResult
from mysql_redis_cache.observe import Stats

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis
    from pymysql.connections import Connection

    from tests.support.proxy import Proxy

pytestmark = pytest.mark.anyio

QUERY = "SELECT name FROM users WHERE id = ?"
RENAME = "UPDATE users SET name = ? WHERE id = ?"


# Straight to MySQL


async def test_query_is_not_cached(client: Any, users: Connection, redis_client: redis.Redis) -> None:
    """Each call asks MySQL, and Redis is left alone."""
    assert await client.query(QUERY, [123]) == [{"name": "Ada"}]
    await client.execute(RENAME, ["Eve", 123])
    assert await client.query(QUERY, [123]) == [{"name": "Eve"}]
    assert redis_client.keys() == []


@pytest.mark.real
async def test_execute_is_committed_when_it_returns(client: Any, users: Connection) -> None:
    """``WriteResult``: rows changed and the AUTO_INCREMENT value."""
    await client.execute("DROP TABLE IF EXISTS numbers")
    await client.execute("CREATE TABLE numbers (id INT AUTO_INCREMENT PRIMARY KEY, n INT)")
    result = await client.execute("INSERT INTO numbers (n) VALUES (?), (?)", [7, 8])

    assert (result.affected_rows, result.insert_id) == (2, 1)
    assert (await client.execute(RENAME, ["Eve", 123]))[:2] == (1, 0)
    with users.cursor() as cursor:
        cursor.execute("SELECT name FROM users WHERE id = 123")
        assert cursor.fetchone() == ("Eve",)


@pytest.mark.real
async def test_query_to_promise_is_either(client: Any, users: Connection) -> None:
    """Rows of what reads, a ``WriteResult`` of what writes, npm's shape of a CALL."""
    with users.cursor() as cursor:
        cursor.execute("DROP PROCEDURE IF EXISTS two")
        cursor.execute("CREATE PROCEDURE two() BEGIN SELECT 1 AS a; SELECT 2 AS b; END")

    assert await client.query_to_promise(QUERY, [123]) == [{"name": "Ada"}]
    renamed = await client.query_to_promise(RENAME, ["Eve", 123])
    assert (type(renamed), renamed[:2]) == (WriteResult, (1, 0))
    called = await client.query_to_promise("CALL two()")
    assert called[:2] == [[{"a": 1}], [{"b": 2}]]


@pytest.mark.parametrize("text", ["UPDATE users SET name = 'Eve'", "DO 1", "SELECT 1 INTO @a"])
async def test_query_refuses_what_gives_no_rows(client: Any, users: Connection, text: str) -> None:
    """Nothing is done under a name that says reading; in a transaction neither."""
    with pytest.raises(ValueError, match=r"query\(\) returns rows, .*; use execute\(\)"):
        await client.query(text)
    async with client.transaction() as tx:
        with pytest.raises(ValueError, match=r"use execute\(\)"):
            await tx.query(text)
    assert await client.query(QUERY, [123]) == [{"name": "Ada"}]


@pytest.mark.parametrize("text", ["SELECT name FROM users", "SHOW TABLES", "SELECT 1 FROM users FOR UPDATE"])
async def test_execute_refuses_what_gives_rows_alone(client: Any, users: Connection, text: str) -> None:
    """They would be thrown away, without a word; in a transaction too."""
    with pytest.raises(ValueError, match=r"execute\(\) returns no rows, .*; use query\(\)"):
        await client.execute(text)
    async with client.transaction() as tx:
        with pytest.raises(ValueError, match=r"use query\(\)"):
            await tx.execute(text)
        assert await tx.query(text)


@pytest.mark.real
async def test_what_writes_and_gives_rows_is_taken_by_both(
    client: Any, users: Connection, server_flavour: str
) -> None:
    """As rows, or as how many there were; committed either way."""
    for text in ("CHECK TABLE users", "ANALYZE TABLE users"):
        (row,) = await client.query(text)
        assert row["Msg_text"] == "OK"
        assert (await client.execute(text)).affected_rows == 1
    if server_flavour == "mysql":
        return
    assert await client.query("DELETE FROM users WHERE id = 123 RETURNING name") == [{"name": "Ada"}]
    assert (await client.execute("DELETE FROM users WHERE id < 999 RETURNING name")).affected_rows == 2
    assert await client.query("SELECT * FROM users") == []


@pytest.mark.real
async def test_reads_that_are_not_cached_give_their_rows_to_query(
    client: Any, users: Connection, server_flavour: str
) -> None:
    """As the refusal says."""
    texts = ["CHECKSUM TABLE users", "HELP 'contents'", "CHECK TABLE users"]
    if server_flavour == "mariadb":
        texts += ["ANALYZE FORMAT=JSON SELECT 1", "SET STATEMENT max_statement_time=9 FOR SELECT 1 AS a"]
    for text in texts:
        with pytest.raises(ValueError, match=r"use query\(\)"):
            await client.query_with_cache(text)
        assert isinstance(await client.query(text), list)


async def test_the_server_s_error_is_pymysql_s(client: Any, users: Connection) -> None:
    """Unchanged, from each way in; the connection is as good as before."""
    for call in (client.query, client.query_with_cache, client.query_to_promise):
        with pytest.raises(pymysql.ProgrammingError) as caught:
            await call("SELECT * FROM no_such_table")
        assert caught.value.args[0] == 1146
    with pytest.raises(pymysql.ProgrammingError) as caught:
        await client.execute("DELETE FROM no_such_table")
    assert caught.value.args[0] == 1146
    assert client.get_mysql_pool().in_use == 0


async def test_the_pool_lends_connections(client: Any) -> None:
    """Plain PyMySQL connections in autocommit, given back at the end of the block."""
    pool = client.get_mysql_pool()
    with pool.connection(timeout=1) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@autocommit")
        assert cursor.fetchone() == (1,)
        assert pool.in_use == 1
    assert (pool.in_use, pool.size) == (0, 10)


# Drops


async def test_a_client_drops_as_a_server_does(client: Any, redis_client: redis.Redis) -> None:
    """All pairs by default, any if asked for; ``dry_run`` counts and deletes nothing."""
    for user in (1, 2, 12):
        await client.write_to_cache("v1", 1, [user, 6], ["UserId", "StoreId"])
    redis_client.set("session:UserId=1", "somebody else's")

    assert await client.drop_outdated_cache(["UserId", "StoreId"], [1, 6], dry_run=True) == 1
    assert await client.drop_outdated_cache(["UserId", "StoreId"], [1, 7]) == 0
    assert await client.drop_outdated_cache(["UserId", "StoreId"], [1, 6]) == 1
    assert await client.drop_outdated_cache(["UserId", "StoreId"], [2, 7], False) == 1
    assert await client.drop_outdated_cache(["StoreId"], [6], timeout=30) == 1
    assert redis_client.keys("*UserId*") == [b"session:UserId=1"]


async def test_drop_query_drops_the_one_entry(client: Any) -> None:
    """The only way for an entry without named params."""
    await client.write_to_cache("v1", 1, [1])
    await client.write_to_cache("v1", 2, [2])

    assert await client.drop_query("v1", [1]) is True
    assert await client.drop_query("v1", [1]) is False
    assert [await client.read_from_cache("v1", [number]) for number in (1, 2)] == [None, 2]


async def test_a_drop_that_cannot_reach_redis_raises(
    make_client: Callable[..., Any], proxy_to: Callable[..., Proxy], redis_url: str
) -> None:
    """Never silently; and so does a direct write, while reads go on."""
    proxy = proxy_to(redis_url)
    client = make_client(redis=proxy.url)
    proxy.stop()

    with pytest.raises(CacheUnavailable):
        await client.drop_outdated_cache(["UserId"], [123])
    with pytest.raises(ConnectionError):
        await client.drop_query("v1")
    with pytest.raises(CacheUnavailable):
        await client.write_to_cache("v1", 1)
    assert await client.read_from_cache("v1", default="none") == "none"
    assert await client.query_with_cache("SELECT 1 AS a") == [{"a": 1}]
    assert await client.query_many_with_cache([("SELECT 1 AS a",), ("SELECT 2 AS a",)]) == [
        [{"a": 1}],
        [{"a": 2}],
    ]


# Namespaces


async def test_namespaces_are_apart(make_client: Callable[..., Any], redis_client: redis.Redis) -> None:
    """Clients of different namespaces share neither entries nor drops."""
    shop, blog, bare = make_client(namespace="shop"), make_client(namespace="blog"), make_client()
    for each, value in ((shop, 1), (blog, 2), (bare, 3)):
        await each.write_to_cache("v1", value, [7], ["Id"])

    assert [await each.read_from_cache("v1", [7], ["Id"]) for each in (shop, blog, bare)] == [1, 2, 3]
    assert shop.get_key_from_query("v1", [7], ["Id"]).startswith("shop:Id=7_")
    assert await shop.drop_outdated_cache(["Id"], [7]) == 1
    assert [await each.read_from_cache("v1", [7], ["Id"]) for each in (shop, blog, bare)] == [None, 2, 3]
    assert await blog.drop_query("v1", [7], ["Id"])
    assert await bare.read_from_cache("v1", [7], ["Id"]) == 3


async def test_a_server_drops_in_its_namespace(make_client: Callable[..., Any], redis_url: str) -> None:
    """As a client of the same namespace."""
    shop, blog = make_client(namespace="shop"), make_client(namespace="blog")
    for each in (shop, blog):
        await each.write_to_cache("v1", 1, [7], ["Id"])

    with MRCServer(redis_url, namespace="shop") as server:
        assert server.drop_outdated_cache(["Id"], [7]) == 1
    assert await blog.read_from_cache("v1", [7], ["Id"]) == 1


async def test_a_transaction_drops_in_its_client_s_namespace(
    make_client: Callable[..., Any], users: Connection
) -> None:
    """And not beside it."""
    shop, blog = make_client(namespace="shop"), make_client(namespace="blog")
    for each in (shop, blog):
        await each.write_to_cache("v1", 1, [7], ["Id"])

    async with shop.transaction() as tx:
        tx.drop_outdated_cache(["Id"], [7])

    assert [await each.read_from_cache("v1", [7], ["Id"]) for each in (shop, blog)] == [None, 1]


# No cache


async def test_without_redis_everything_works_uncached(
    make_client: Callable[..., Any], users: Connection, loads: Any
) -> None:
    """``redis_config=None``: each read asks MySQL, drops and writes have nothing to do."""
    client = make_client(redis=None)
    asked = loads(client)

    assert [await client.query_with_cache(QUERY, [123], ["UserId"]) for _ in range(2)] == [
        [{"name": "Ada"}]
    ] * 2
    assert len(asked) == 2
    assert await client.with_cache(lambda: (1,), "v1") == [1]
    assert await client.write_to_cache("v1", 1) is None
    assert await client.read_from_cache("v1", default="none") == "none"
    assert await client.drop_outdated_cache(["UserId"], [123]) == 0
    assert await client.drop_query("v1") is False
    assert await client.query_with_cache(QUERY, [123], refresh=True) == [{"name": "Ada"}]
    assert await client.close_redis_connection() is None
    with pytest.raises(ValueError, match="2 names but 1 values"):
        await client.drop_outdated_cache(["a", "b"], [1])


# Counters


async def test_stats_count(client: Any) -> None:
    """Hits, misses and fills by name; the snapshot is the caller's own."""
    assert client.stats() == Stats(pool_size=10)
    await client.with_cache(lambda: 1, "v1")
    await client.with_cache(lambda: 1, "v1")
    await client.with_cache(lambda: 1, "v2")

    stats = client.stats()
    assert {name: stats[name] for name in ("hits", "misses", "fills")} == {"hits": 1, "misses": 2, "fills": 2}
    assert client.stats()["hits"] == stats["hits"]  # a snapshot stands


async def test_a_value_without_a_json_form_is_refused_without_redis_too(
    make_client: Callable[..., Any],
) -> None:
    """Else the mistake would show only where there is one."""
    with pytest.raises(TypeError, match="set"):
        await make_client(redis=None).write_to_cache("v1", {1, 2})
