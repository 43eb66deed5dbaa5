"""The snippets that users of the npm and PyPI packages know, as they write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import AsyncMRCClient, MRCClient, MRCServer
from tests.support.urls import mysql_arguments
from tools.server import free_port

if TYPE_CHECKING:
    from pymysql.connections import Connection

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("users")]

QUERY = "SELECT * FROM users WHERE id = ?"
ROWS = [{"id": 123, "name": "Ada", "store_id": 6}]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Both event loops; these snippets name their client themselves."""
    return str(request.param)


async def test_the_first_example(mysql_url: str, redis_url: str) -> None:
    """``async with MRCClient`` gives awaitable methods."""
    mysql_config, redis_config = mysql_url, redis_url

    async with MRCClient(mysql_config, redis_config) as client:
        missed = await client.query_with_cache(QUERY, [123], ["UserId"], 3600)
        hit = await client.query_with_cache(QUERY, [123], ["UserId"], 3600)

    assert missed == hit == ROWS
    assert isinstance(client, AsyncMRCClient)


def test_the_first_example_blocking(mysql_url: str, redis_url: str) -> None:
    """Plain ``with`` gives blocking methods."""
    with MRCClient(mysql_url, redis_url) as client:
        missed = client.query_with_cache(QUERY, [123], ["UserId"], 3600)
        hit = client.query_with_cache(QUERY, [123], ["UserId"], 3600)

    assert missed == hit == ROWS


async def test_the_peers_configuration_dicts(mysql_url: str, redis_url: str) -> None:
    """Dicts as the peers' READMEs have them, with ``db``, pool sizes and redis-py's arguments."""
    server = mysql_arguments(mysql_url)
    mysql_config = {
        "host": server["host"],
        "port": server["port"],
        "user": server["user"],
        "password": server["password"],
        "db": server["database"],
        "minsize": 1,
        "maxsize": 10,
    }
    host, port = redis_url.split("/")[2].split(":")
    redis_config = {
        "host": host,
        "port": int(port),
        "db": int(redis_url.rsplit("/", 1)[1]),
        "decode_responses": False,
        "socket_connect_timeout": 30,
    }

    async with MRCClient(mysql_config, redis_config) as client:
        assert await client.query_with_cache(QUERY, [123], ["UserId"], ttl=3600) == ROWS

    async with MRCServer(redis_config) as server:
        assert await server.drop_outdated_cache(["UserId"], [123]) == 1


async def test_with_cache_and_a_lambda_that_returns_a_coroutine(mysql_url: str, redis_url: str) -> None:
    """The README's weather example."""
    calls = []

    async def fetch_weather(city: str) -> dict[str, Any]:
        calls.append(city)
        return {"city": city, "temperature": 21.5}

    async with MRCClient(mysql_url, redis_url) as client:
        weather = [
            await client.with_cache(
                fn=lambda: fetch_weather("London"),
                query="weather_api_v1",
                params=["London"],
                param_names=["City"],
                ttl=600,
            )
            for _ in range(2)
        ]

    assert weather == [{"city": "London", "temperature": 21.5}] * 2
    assert calls == ["London"]


async def test_the_halves_and_the_key(mysql_url: str, redis_url: str) -> None:
    """``write_to_cache``, ``read_from_cache``, ``query_to_promise`` and ``get_key_from_query``."""
    async with MRCClient(mysql_url, redis_url) as client:
        assert await client.read_from_cache(QUERY, [123], ["UserId"]) is None
        await client.write_to_cache(QUERY, [{"id": 123}], [123], ["UserId"], 60)

        assert await client.read_from_cache(QUERY, [123], ["UserId"]) == [{"id": 123}]
        assert await client.query_to_promise(QUERY, [123]) == ROWS
        assert (
            client.get_key_from_query(QUERY, [123], ["UserId"])
            == "UserId=123_d6f3536ac027efd4916a172a39156f97c989bfd3"
        )


async def test_dropping_one_combination(mysql_url: str, redis_url: str) -> None:
    """All pairs must match, unless any is asked for."""
    async with MRCClient(mysql_url, redis_url) as client, MRCServer(redis_url) as server:
        for store in (456, 457):
            await client.write_to_cache("visits", 1, [123, store], ["UserId", "StoreId"], 60)

        assert await server.drop_outdated_cache(["UserId", "StoreId"], [123, 456]) == 1
        assert (
            await server.drop_outdated_cache(["UserId", "StoreId"], [123, 456], require_all_match=False) == 1
        )


async def test_a_write_and_a_drop(users: Connection, mysql_url: str, redis_url: str) -> None:
    """After a write and a drop, a read is fresh."""
    async with MRCClient(mysql_url, redis_url) as client, MRCServer(redis_url) as server:
        await client.query_with_cache(QUERY, [123], ["UserId"], 3600)
        await client.query_to_promise("UPDATE users SET name = ? WHERE id = ?", ["Eve", 123])
        stale = await client.query_with_cache(QUERY, [123], ["UserId"], 3600)
        await server.drop_outdated_cache(["UserId"], [123])
        fresh = await client.query_with_cache(QUERY, [123], ["UserId"], 3600)

    assert [stale[0]["name"], fresh[0]["name"]] == ["Ada", "Eve"]


async def test_a_database_that_is_down_is_a_connection_error(redis_url: str) -> None:
    """The README's error handling: ``except ConnectionError``."""
    mysql_config = f"mysql://user:a-password@127.0.0.1:{free_port()}/shop"

    async with MRCClient(mysql_config, redis_url) as client:
        with pytest.raises(ConnectionError, match=r"MySQL at .*127.0.0.1") as caught:
            await client.query_with_cache(QUERY, [123], ["UserId"])

    assert "a-password" not in str(caught.value)


async def test_no_redis_configured(mysql_url: str) -> None:
    """``MRCClient(mysql_config)`` asks MySQL each time."""
    async with MRCClient(mysql_url) as client:
        assert await client.query_with_cache(QUERY, [123], ["UserId"]) == ROWS
        assert await client.read_from_cache(QUERY, [123], ["UserId"]) is None


async def test_without_a_context_manager(mysql_url: str, redis_url: str) -> None:
    """A client made once and kept: ``AsyncMRCClient`` with ``close_redis_connection`` and ``aclose``."""
    client = AsyncMRCClient(mysql_url, redis_url)
    try:
        assert await client.query_with_cache(QUERY, [123], ["UserId"]) == ROWS
    finally:
        await client.close_redis_connection()
        await client.aclose()


async def test_the_pool_for_direct_use(mysql_url: str, redis_url: str) -> None:
    """``get_mysql_pool`` lends PyMySQL connections."""
    async with MRCClient(mysql_url, redis_url) as client:
        pool = client.get_mysql_pool()
        with pool.connection() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT name FROM users WHERE id = %s", (123,))
            assert cursor.fetchone() == ("Ada",)
        assert (pool.in_use, pool.size) == (0, 10)
