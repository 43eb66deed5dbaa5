"""Over somebody else's connection: their transactions, their COMMITs, and the values of ours."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import anyio
import pymysql
import pytest

from mysql_redis_cache import AsyncMRCClient, InvalidationFailed, MRCClient
from mysql_redis_cache.drops import Drops
from tests.support.external import PlainConnection
from tests.support.urls import mysql_arguments
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis
    from pymysql.connections import Connection

QUERY = "SELECT name FROM users WHERE id = ?"
RENAME = "UPDATE users SET name = ? WHERE id = ?"
ADA, EVE = [{"name": "Ada"}], [{"name": "Eve"}]


@pytest.fixture
def connection(mysql_url: str, users: Connection) -> Iterator[PlainConnection]:
    """The framework's."""
    with closing(pymysql.connect(**mysql_arguments(mysql_url), autocommit=True)) as driver:
        yield PlainConnection(driver)


@pytest.fixture
def client(connection: PlainConnection, redis_url: str) -> Iterator[MRCClient]:
    """A client over it."""
    with MRCClient(connection, redis_url) as client:
        yield client


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many matchers each drop has had."""
    sizes: list[int] = []
    perform = Drops.perform

    def counting(self: Drops, wanted: Any, *arguments: Any, **options: Any) -> int:
        sizes.append(len(wanted))
        return perform(self, wanted, *arguments, **options)

    monkeypatch.setattr(Drops, "perform", counting)
    return sizes


def test_a_miss_is_one_statement_and_a_hit_is_none(client: MRCClient, connection: PlainConnection) -> None:
    """Sent as the framework sends its own; connections are its to close."""
    assert [client.query_with_cache(QUERY, [123], ["UserId"]) for _ in range(2)] == [ADA, ADA]
    assert connection.sent == ["SELECT name FROM users WHERE id = 123"]
    client.close()
    assert connection.driver.open


def test_a_transaction_is_theirs(
    client: MRCClient, connection: PlainConnection, redis_client: redis.Redis, sizes: list[int]
) -> None:
    """Reads go there, past the cache; drops wait for its end, and are one."""
    client.query_with_cache(QUERY, [123], ["UserId"])
    with connection.transaction():
        assert client.execute(RENAME, ["Eve", 123], drops={"UserId": 123})[:2] == (1, 0)
        assert client.query_with_cache(QUERY, [123], ["UserId"]) == EVE
        assert client.query(QUERY, [123]) == client.query_to_promise(QUERY, [123]) == EVE
        assert client.drop_outdated_cache(["StoreId"], [6]) == 0
        assert (len(redis_client.keys()), sizes) == (1, [])
    assert sizes == [2]
    assert client.query_with_cache(QUERY, [123], ["UserId"]) == EVE


def test_a_transaction_that_is_rolled_back_drops_nothing(
    client: MRCClient, connection: PlainConnection, sizes: list[int]
) -> None:
    """And leaves nothing for the next one."""
    with suppress(ZeroDivisionError), client.transaction() as tx:
        tx.execute(RENAME, ["Eve", 123])
        tx.drop_outdated_cache(["UserId"], [123])
        raise ZeroDivisionError
    with client.transaction() as tx:
        assert tx.query(QUERY, [123]) == ADA
        with pytest.raises(ValueError, match=r"use execute\(\)"):
            tx.query(RENAME, ["Eve", 123])
        with pytest.raises(ValueError, match=r"use query\(\)"):
            tx.execute(QUERY, [123])
    assert sizes == []


def test_transactions_of_two_clients_drop_for_each(
    client: MRCClient, connection: PlainConnection, redis_url: str, sizes: list[int]
) -> None:
    """In their own namespaces."""
    with MRCClient(connection, redis_url, namespace="other") as other:
        client.write_to_cache("v1", 1, [7], ["Id"])
        other.write_to_cache("v1", 1, [7], ["Id"])
        with connection.transaction():
            client.drop_outdated_cache(["Id"], [7])
            other.drop_outdated_cache(["Id"], [7])
        assert sizes == [1, 1]
        assert client.read_from_cache("v1", [7], ["Id"]) is None
        assert other.read_from_cache("v1", [7], ["Id"]) is None


def test_a_failure_after_the_commit_is_told(
    client: MRCClient,
    connection: PlainConnection,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not raised into somebody else's COMMIT, also if hearing of it fails."""
    with MRCClient(connection, "redis://127.0.0.1:1/0") as away:
        with connection.transaction():
            away.drop_outdated_cache(["Id"], [7])
            away.drop_outdated_cache(["Id"], [8])
        (failure,) = connection.failures
        assert [names for names, *_ in failure.pairs] == [["Id"], ["Id"]]
        monkeypatch.setattr(connection, "tell", lambda failure: 1 / 0)
        with connection.transaction():
            away.drop_outdated_cache(["Id"], [7])
    assert [record.levelno for record in caplog.records if record.exc_info] == [logging.ERROR] * 3
    client.write_to_cache("v1", 1, [8], ["Id"])
    assert client.drop_again(failure.to_json()) == 1
    with pytest.raises(InvalidationFailed):
        failure.retry()


def test_drops_that_something_strikes_go_on(
    client: MRCClient, connection: PlainConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the midst of them passes; a thread finishes."""
    client.write_to_cache("v1", 1, [7], ["Id"])
    perform, strikes = Drops.perform, [KeyboardInterrupt]

    def struck(self: Drops, *arguments: Any, **options: Any) -> int:
        if strikes:
            raise strikes.pop()
        return perform(self, *arguments, **options)

    monkeypatch.setattr(Drops, "perform", struck)
    with pytest.raises(KeyboardInterrupt), connection.transaction():
        client.drop_outdated_cache(["Id"], [7])
    assert wait_until(lambda: client.read_from_cache("v1", [7], ["Id"]) is None)


def test_what_backslashes_mean_is_asked_where_there_are_any(
    client: MRCClient, connection: PlainConnection
) -> None:
    """And an apostrophe is written so that it is right either way."""
    texts = ["O'Brien", "a\\'b", "\\"]
    for mode in ("", "NO_BACKSLASH_ESCAPES"):
        client.query_to_promise("SET sql_mode = ?", [mode])
        connection.sent.clear()
        assert [client.query("SELECT ? AS v", [text]) for text in texts] == [[{"v": text}] for text in texts]
        assert [text.startswith("SELECT @@") for text in connection.sent] == [False, True, False, True, False]


def test_a_connection_in_another_character_set_is_refused(mysql_url: str, redis_url: str) -> None:
    """Its texts would be others, and quotes could be broken out of."""
    latin = mysql_arguments(mysql_url) | {"charset": "latin1"}
    with closing(pymysql.connect(**latin)) as driver:
        client = MRCClient(PlainConnection(driver), redis_url)
        with client, pytest.raises(ValueError, match="character set is latin1; set it to utf8mb4"):
            client.query_with_cache("SELECT 1")


def test_a_connection_of_another_driver_is_refused(redis_url: str) -> None:
    """By name."""
    client = MRCClient(PlainConnection(sqlite3.connect(":memory:")), redis_url)
    with client, pytest.raises(TypeError, match=r"PyMySQL or mysqlclient, not sqlite3\.Connection"):
        client.query_with_cache("SELECT 1")


class LateConnection(PlainConnection):
    """One whose thread turns out to be in a transaction, which the event loop cannot know."""

    async def in_thread(self, call: Callable[[], Any]) -> Any:
        await anyio.sleep(0)
        self.in_transaction = True
        try:
            return call()
        finally:
            self.in_transaction = False


@pytest.mark.anyio
async def test_what_is_loaded_in_a_transaction_is_neither_cached_nor_shared(
    connection: PlainConnection, redis_url: str, redis_client: redis.Redis
) -> None:
    """Queries, lists of them, coroutine functions and plain ones."""
    late = LateConnection(connection.driver)

    async def answer() -> int:
        await anyio.sleep(0)
        return 42

    async with AsyncMRCClient(late, redis_url) as client:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(client.query_with_cache, QUERY, [123], ["UserId"])
        assert late.sent == ["SELECT name FROM users WHERE id = 123"] * 3
        assert await client.query_many_with_cache([(QUERY, [123]), (QUERY, [124])], one=True)
        assert await client.with_cache(answer, "v1") == 42
        assert await client.with_cache(lambda: 43, "v2") == 43
        assert client.stats().get("shared_loads", 0) == 0
        assert redis_client.keys() == []
        with pytest.raises(TypeError, match="begin in blocking code"):
            async with client.transaction():
                pass
        with pytest.raises(RuntimeError, match="has no pool"):
            client.get_mysql_pool()
