"""``client.disabled()``: no cache for a block, in this thread or task alone."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import MRCClient

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis
    from pymysql.connections import Connection

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("users")]

QUERY = "SELECT id, name FROM users WHERE id = ?"
READ = (QUERY, [123], ["UserId"])
ADA = [{"id": 123, "name": "Ada"}]
EVE = [{"id": 123, "name": "Eve"}]


@pytest.fixture
def renamed(users: Connection) -> Callable[[], None]:
    """Rename the user behind the cache's back."""

    def rename() -> None:
        with users.cursor() as cursor:
            cursor.execute("UPDATE users SET name = 'Eve' WHERE id = 123")

    return rename


async def test_reads_go_past_the_cache(client: Any, renamed: Callable[[], None]) -> None:
    """In each form; what is cached stays as it is, and is there again after the block."""
    await client.query_with_cache(*READ)
    renamed()

    with client.disabled():
        assert await client.query_with_cache(*READ) == EVE
        assert await client.query_with_cache(*READ, refresh=True) == EVE
        assert await client.query_many_with_cache([READ]) == [EVE]
        listed = await client.get_many(QUERY.replace("= ?", "IN (?)"), [123], key="id", name="UserId")
        assert listed == {123: EVE[0]}
        assert await client.read_from_cache(*READ, default="nothing") == "nothing"
    assert await client.query_with_cache(*READ) == ADA


async def test_nothing_is_stored(client: Any, redis_client: redis.Redis) -> None:
    """Neither entry nor lease."""
    with client.disabled():
        await client.query_with_cache(*READ)
        assert await client.with_cache(lambda: 1, "one") == 1
    assert redis_client.keys("*") == []


async def test_a_write_deletes_what_it_was_to_replace(client: Any) -> None:
    """Nobody else may go on reading the older value."""
    await client.write_to_cache("sum", 1)
    with client.disabled():
        await client.write_to_cache("sum", 2)
    assert await client.read_from_cache("sum", default="nothing") == "nothing"


async def test_drops_are_performed(client: Any) -> None:
    """A write in the block makes entries outdated for everybody."""
    await client.query_with_cache(*READ)
    with client.disabled():
        assert await client.drop_outdated_cache(["UserId"], [123]) == 1


async def test_blocks_may_be_nested_and_end_by_an_error(client: Any, loads: Any) -> None:
    """The outermost counts."""
    asked = loads(client)
    with suppress(LookupError), client.disabled():
        with client.disabled():
            await client.query_with_cache(*READ)
        await client.query_with_cache(*READ)
        raise LookupError
    await client.query_with_cache(*READ)
    await client.query_with_cache(*READ)
    assert len(asked) == 3


def test_other_threads_and_other_clients_are_not_concerned(mysql_url: str, redis_url: str) -> None:
    """A request that wants no cache does not switch it off for the others."""
    with MRCClient(mysql_url, redis_url) as client, MRCClient(mysql_url, redis_url) as other:
        client.query_with_cache(*READ)
        with client.disabled():
            thread = threading.Thread(target=client.query_with_cache, args=READ)
            thread.start()
            thread.join()
            other.query_with_cache(*READ)
            client.query_with_cache(*READ)
        assert client.stats()["hits"] == 1
        assert other.stats()["hits"] == 1


def test_a_client_without_redis(mysql_url: str) -> None:
    """Has nothing to switch off."""
    with MRCClient(mysql_url) as client, client.disabled():
        assert client.query_with_cache(*READ) == ADA
