"""``recording``: what was asked of the cache, and which drops were forgotten."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from mysql_redis_cache import AsyncMRCClient, CacheUnavailable, MRCServer
from mysql_redis_cache.testing import Seen, fresh_client, recording, unavailable
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymysql.connections import Connection

    from mysql_redis_cache import MRCClient

USER = "SELECT id, name FROM recorded WHERE id = ?"
READ = (USER, [1], ["UserId"])
UPDATE = "UPDATE recorded SET name = 'Eve' WHERE id = ?"


@pytest.fixture
def client(mysql_url: str, redis_url: str, mysql_admin: Connection) -> Iterator[MRCClient]:
    with mysql_admin.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS recorded (id INT PRIMARY KEY, name VARCHAR(20))")
        cursor.execute("REPLACE INTO recorded VALUES (1, 'Ada'), (2, 'Bob')")
    with fresh_client(mysql_url, redis_url) as client:
        yield client


def test_hits_and_loads(client: MRCClient) -> None:
    """Each read is one of them; what goes past the cache is neither."""
    with recording(client) as seen:
        client.query_with_cache(*READ)
        client.query_with_cache(*READ)
        client.get_many(USER.replace("= ?", "IN (?)"), [1, 2], key="id", name="UserId")
        client.with_cache(lambda: 1, "one", refresh=True)
        client.query_with_cache(*READ, cache=False)
        with client.disabled():
            client.query_with_cache(*READ)
    client.query_with_cache(*READ)

    assert seen.hits == [USER, USER]
    assert seen.loads == [USER, USER, "one"]
    assert seen.uncached == [USER, USER]
    assert seen.reads[0] == Seen(USER, "load")
    seen.assert_reads(hits=2, loads=3)
    with pytest.raises(AssertionError, match=r"expected 0 loads, not 3; read was:\n  load +SELECT id, name"):
        seen.assert_reads(loads=0)
    seen.clear()
    with pytest.raises(AssertionError, match="expected 1 hits, not 0; read was: nothing"):
        seen.assert_reads(hits=1)


def test_a_shared_load_is_one_load(client: MRCClient) -> None:
    """Who waits for somebody else's load has made none."""
    loading, may_end = threading.Event(), threading.Event()

    def load() -> int:
        loading.set()
        may_end.wait(10)
        return 1

    def ask() -> None:
        assert loading.wait(10)
        client.with_cache(load, "one")

    def watch() -> None:
        assert loading.wait(10)
        flight, _ = client._core.flights.join(client.get_key_from_query("one").encode())
        assert wait_until(lambda: flight._wakers)
        may_end.set()

    with recording(client) as seen:
        threads = [threading.Thread(target=each) for each in (ask, watch)]
        for thread in threads:
            thread.start()
        client.with_cache(load, "one")
        for thread in threads:
            thread.join()
    assert sorted(how for _, how in seen.reads) == ["load", "shared"]


def test_a_load_that_fails(client: MRCClient) -> None:
    """It was a load, and its error comes through."""
    with recording(client) as seen, pytest.raises(ZeroDivisionError):
        client.with_cache(lambda: 1 / 0, "one")
    assert seen.loads == ["one"]


def test_the_facade_is_recorded(client: MRCClient) -> None:
    """Whichever face is given, both are."""

    async def main() -> None:
        facade = AsyncMRCClient(client)
        with recording(facade) as seen:
            await facade.query_with_cache(*READ)
            client.query_with_cache(*READ)
            await facade.execute(UPDATE, [1], drops={"UserId": 1})
        seen.assert_reads(hits=1, loads=1)
        seen.assert_dropped(UserId=1)
        assert seen.writes == [UPDATE]

    anyio.run(main)


def test_drops(client: MRCClient, redis_url: str) -> None:
    """All that were performed, by clients and servers; a dry run and one that failed were not."""
    with MRCServer(redis_url) as server, recording(client, server) as seen:
        client.drop_outdated_cache(["UserId", "Store"], [1, 6])
        server.drop_many("UserId", [2, 3])
        client.drop_query(*READ)
        client.drop_all(dry_run=True)
        with unavailable(client), suppress(CacheUnavailable):
            client.drop_all()
    assert [sorted(drop) for drop in seen.drops] == [
        ["key_names", "key_values", "require_all_match"],
        ["key_names", "key_values", "require_all_match"],
        ["key"],
    ]
    seen.assert_dropped(UserId=2)
    seen.assert_dropped(UserId=3, Store=1)
    seen.assert_dropped(UserId=1, Store="6")
    with pytest.raises(
        AssertionError, match="no drop was for UserId with these values; dropped was:"
    ) as said:
        seen.assert_dropped(UserId=1)
    assert str(said.value).endswith("\n  UserId and Store\n  UserId\n  one entry")


FORGOTTEN: list[tuple[str, Any, list[str]]] = [
    ("nothing", lambda client: None, ["recorded"]),
    ("the tag", lambda client: client.drop_outdated_cache(["Table"], ["recorded"]), []),
    ("another table", lambda client: client.drop_outdated_cache(["Table"], ["orders"]), ["recorded"]),
    ("one of many", lambda client: client.drop_many("Table", ["orders", "recorded"]), []),
    ("some", lambda client: client.drop_outdated_cache(["Table", "A"], ["recorded", 1]), ["recorded"]),
    ("a user", lambda client: client.drop_outdated_cache(["UserId"], [1]), ["recorded"]),
    ("one entry", lambda client: client.drop_query(*READ), ["recorded"]),
    ("a query", lambda client: client.drop_query(USER, any_params=True), ["recorded"]),
    ("everything", lambda client: client.drop_all(), []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("drop", "left"), [each[1:] for each in FORGOTTEN], ids=[each[0] for each in FORGOTTEN]
)
def test_forgotten_drops(client: MRCClient, drop: Any, left: list[str]) -> None:
    """A write is covered by a later drop of its table's tag."""
    with recording(client) as seen:
        drop(client)  # too early
        client.execute(UPDATE, [1])
        drop(client)
    assert seen.forgotten == left
    if left:
        with pytest.raises(AssertionError, match="no drop covered it: recorded; by\n  UPDATE recorded"):
            seen.assert_nothing_forgotten()
    else:
        seen.assert_nothing_forgotten()


@pytest.mark.parametrize(
    ("write", "tables"),
    [
        ("UPDATE recorded a JOIN recorded b USING (id) SET a.name = 'x'", ["recorded"]),
        ("UPDATE recorded LEFT JOIN (SELECT 1 AS id) d USING (id) SET name = 'x'", ["recorded"]),
        ("DELETE a FROM recorded AS a JOIN (SELECT 9 AS id) d USING (id)", ["recorded"]),
    ],
)
def test_forgotten_drops_of_joined_tables(client: MRCClient, write: str, tables: list[str]) -> None:
    """Whatever joins them, and whatever else is read in it."""
    with recording(client) as seen:
        client.execute(write)
    assert seen.forgotten == tables


def test_a_drop_before_the_write_does_not_count(client: MRCClient) -> None:
    """It would have dropped what was loaded again before the write."""
    with recording(client) as seen:
        client.drop_all()
        client.execute(UPDATE, [1])
    assert seen.forgotten == ["recorded"]


def test_names_that_stand_for_a_table(client: MRCClient) -> None:
    """Where entries of a table are found by names of their own."""
    with recording(client, names={"recorded": "UserId"}) as seen:
        client.execute(UPDATE, [1], drops={"UserId": 1})
        seen.assert_nothing_forgotten()
        client.execute("DELETE FROM recorded WHERE id = 2")
        assert seen.forgotten == ["recorded"]


def test_transactions(client: MRCClient) -> None:
    """Writes count once they are committed, and drops follow them; what is undone does not count."""
    with recording(client, names={"recorded": ["UserId"]}) as seen:
        with client.transaction() as tx:
            tx.execute(UPDATE, [1])
            tx.drop_outdated_cache(["UserId"], [1])
        seen.assert_nothing_forgotten()
        with suppress(LookupError), client.transaction() as tx:
            tx.execute(UPDATE, [2])
            raise LookupError
        with client.transaction(), suppress(LookupError), client.transaction():
            client.execute(UPDATE, [2])
            raise LookupError
        seen.assert_nothing_forgotten()
        with client.transaction() as tx:
            tx.execute(UPDATE, [1])
    assert seen.forgotten == ["recorded"]
    assert seen.writes == [UPDATE, UPDATE]


def test_a_savepoint_that_is_undone_takes_no_other_s_writes_along(client: MRCClient) -> None:
    """Savepoints of one depth have one name; what an earlier one did is committed, and may be forgotten."""
    with recording(client) as seen, client.transaction():
        with client.transaction():
            client.execute(UPDATE, [1])
        with suppress(LookupError), client.transaction():
            client.execute("DELETE FROM recorded WHERE id = 2")
            raise LookupError
    assert seen.writes == [UPDATE]
    assert seen.forgotten == ["recorded"]


def test_a_failed_write_is_none(client: MRCClient) -> None:
    """The server refused it."""
    with recording(client) as seen, suppress(Exception):
        client.execute("INSERT INTO recorded VALUES (1, 'twice')")
    assert seen.writes == []


def test_nothing_is_left_behind(client: MRCClient) -> None:
    """After the block the client is as it was; recordings may be nested."""
    before = [dict(vars(part)) for part in (client._core, client._core.database, client._core.drops)]
    with recording(client) as outer:
        with recording(client) as inner:
            client.query_with_cache(*READ)
        client.query_with_cache(*READ)
    assert (len(outer.reads), len(inner.reads)) == (2, 1)
    after = [vars(part) for part in (client._core, client._core.database, client._core.drops)]
    assert [sorted(each) for each in before] == [sorted(each) for each in after]
