"""Inside a client's own transaction: what is asked of it is part of that; one inside is a savepoint."""

from __future__ import annotations

from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import InvalidationFailed, MRCClient, MRCServer, TransactionEnded

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis
    from pymysql.connections import Connection

    from tests.support.proxy import Proxy

pytestmark = [pytest.mark.anyio, pytest.mark.real]

QUERY = "SELECT name FROM users WHERE id = ?"
RENAME = "UPDATE users SET name = ? WHERE id = ?"
NAMES = ["UserId"]


def names_in(connection: Connection) -> dict[int, str]:
    """All names, past everything."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, name FROM users")
        return dict(cursor.fetchall())


async def cached(client: Any, *users: int) -> None:
    """Have the names of *users* cached."""
    for user in users:
        await client.query_with_cache(QUERY, [user], NAMES)


def are_cached(redis_client: redis.Redis) -> set[int]:
    """The users of whom something is cached."""
    return {int(key.split(b"=")[1].split(b"_")[0]) for key in redis_client.keys("UserId=*")}


async def test_statements_of_the_client_are_part_of_it(client: Any, users: Connection) -> None:
    """They see what it has written, wait for no lock of its own, and are committed with it."""
    async with client.transaction() as tx:
        await tx.execute(RENAME, ["Eve", 123])
        assert (await client.execute(RENAME, ["Flo", 123])).affected_rows == 1
        assert await client.query(QUERY, [123]) == [{"name": "Flo"}]
        assert await client.query_to_promise(QUERY, [123]) == [{"name": "Flo"}]
        assert await client.query_with_cache(QUERY, [123], NAMES) == [{"name": "Flo"}]
        assert names_in(users)[123] == "Ada"
    assert names_in(users)[123] == "Flo"


async def test_they_need_no_other_connection(
    make_client: Callable[..., Any], mysql_url: str, users: Any
) -> None:
    """One will do, however long others would have to be waited for."""
    client = make_client(mysql=f"{mysql_url}?maxsize=1&pool_timeout=5")
    async with client.transaction():
        assert await client.query(QUERY, [123]) == [{"name": "Ada"}]
        async with client.transaction():
            await client.execute(RENAME, ["Eve", 123])
    assert names_in(users)[123] == "Eve"


async def test_they_are_rolled_back_with_it(client: Any, users: Connection) -> None:
    """Nothing is committed by itself."""

    async def work() -> None:
        async with client.transaction():
            await client.execute(RENAME, ["Eve", 123])
            raise LookupError

    with pytest.raises(LookupError):
        await work()
    assert names_in(users)[123] == "Ada"


async def test_drops_of_the_client_wait_for_the_commit(
    client: Any, users: Connection, redis_client: redis.Redis
) -> None:
    """Whichever of them: before it, another reader would cache the old rows again."""
    await cached(client, 123, 124, 125)
    async with client.transaction() as tx:
        await tx.execute(RENAME, ["Eve", 123])
        assert await client.drop_outdated_cache(NAMES, [123]) == 0
        assert await client.drop_outdated_cache(NAMES, [123], dry_run=True) == 1
        assert await client.drop_query(QUERY, [124], NAMES) is False
        assert await client.drop_many("UserId", [125, 126]) == 0
        assert are_cached(redis_client) == {123, 124, 125}
    assert are_cached(redis_client) == set()


@pytest.mark.parametrize("is_committed", [True, False])
async def test_what_is_written_to_the_cache_waits_for_the_commit(
    client: Any, users: Connection, is_committed: bool
) -> None:
    """It may be undone; afterwards everybody reads what MySQL has."""
    await cached(client, 123)
    with suppress(LookupError):
        async with client.transaction():
            await client.execute(RENAME, ["Eve", 123])
            await client.write_to_cache(QUERY, [{"name": "Eve"}], [123], NAMES)
            if not is_committed:
                raise LookupError
    found = await client.query_with_cache(QUERY, [123], NAMES)
    assert found == [{"name": names_in(users)[123]}]
    assert found == [{"name": "Eve" if is_committed else "Ada"}]


async def test_a_value_without_a_form_is_refused_inside_too(client: Any, users: Connection) -> None:
    """As it is outside, though it would not be stored."""
    async with client.transaction():
        with pytest.raises(TypeError, match="no JSON form"):
            await client.write_to_cache(QUERY, object(), [123], NAMES)


@pytest.mark.parametrize("drop", ["drop_all", "drop_query"])
async def test_wide_drops_wait_too(client: Any, redis_client: redis.Redis, drop: str) -> None:
    """Of everything, and of all entries of a query."""
    await cached(client, 123, 124)
    arguments: dict[str, Any] = {"query": QUERY, "any_params": True} if drop == "drop_query" else {}
    async with client.transaction():
        assert await getattr(client, drop)(**arguments) == 0
        assert are_cached(redis_client) == {123, 124}
    assert are_cached(redis_client) == set()


async def test_an_exception_forgets_them(client: Any, users: Any, redis_client: redis.Redis) -> None:
    """What is cached is still true."""
    await cached(client, 123)

    async def work() -> None:
        async with client.transaction():
            await client.drop_outdated_cache(NAMES, [123])
            raise LookupError

    with pytest.raises(LookupError):
        await work()
    assert are_cached(redis_client) == {123}


async def test_another_client_is_not_part_of_it(
    client: Any, make_client: Callable[..., Any], users: Connection, redis_client: redis.Redis
) -> None:
    """Neither its statements nor its drops."""
    other = make_client()
    await cached(client, 123)
    async with client.transaction() as tx:
        await tx.execute(RENAME, ["Eve", 123])
        assert await other.query(QUERY, [123]) == [{"name": "Ada"}]
        assert await other.drop_outdated_cache(NAMES, [123]) == 1
    assert names_in(users)[123] == "Eve"


# One inside another


async def test_one_inside_is_a_savepoint(client: Any, users: Connection, redis_client: redis.Redis) -> None:
    """It is committed, and its drops are performed, with the outer one."""
    await cached(client, 123, 124)
    async with client.transaction() as outer:
        await outer.execute(RENAME, ["Eve", 123])
        async with client.transaction() as inner:
            await inner.execute(RENAME, ["Flo", 124])
            inner.drop_outdated_cache(NAMES, [124])
        outer.drop_outdated_cache(NAMES, [123])
        assert names_in(users)[124] == "Bob"
        assert are_cached(redis_client) == {123, 124}
    assert (names_in(users)[123], names_in(users)[124]) == ("Eve", "Flo")
    assert are_cached(redis_client) == set()


async def test_an_exception_inside_undoes_what_is_inside(
    client: Any, users: Connection, redis_client: redis.Redis
) -> None:
    """And its drops; the outer one goes on, as do others inside it."""
    await cached(client, 123, 124, 125)
    async with client.transaction() as outer:
        await outer.execute(RENAME, ["Eve", 123])
        outer.drop_outdated_cache(NAMES, [123])

        async def inside() -> None:
            async with client.transaction() as inner:
                await inner.execute(RENAME, ["Flo", 124])
                inner.drop_outdated_cache(NAMES, [124])
                async with client.transaction() as innermost:
                    await innermost.execute(RENAME, ["Gus", 125])
                    innermost.drop_outdated_cache(NAMES, [125])
                raise LookupError

        with pytest.raises(LookupError):
            await inside()
        async with client.transaction():
            await client.execute(RENAME, ["Ida", 125])
    assert names_in(users) == {123: "Eve", 124: "Bob", 125: "Ida"}
    assert are_cached(redis_client) == {124, 125}


def test_two_inside_at_one_time_are_refused(mysql_url: str, users: Connection) -> None:
    """As tasks that are gathered would open them: undoing one would undo what the other has done."""
    with MRCClient(mysql_url) as client:
        with client.transaction():
            sibling = copy_context()

            def by_sibling() -> None:
                with client.transaction() as tx:
                    tx.execute(RENAME, ["Flo", 124])

            with suppress(LookupError), client.transaction() as inner:
                inner.execute(RENAME, ["Eve", 123])
                with pytest.raises(RuntimeError, match="open already, in another task or thread"):
                    sibling.run(by_sibling)
                with client.transaction() as inmost:
                    inmost.execute(RENAME, ["Gus", 123])
                raise LookupError
            sibling.run(by_sibling)
        assert (names_in(users)[123], names_in(users)[124]) == ("Ada", "Flo")


async def test_an_exception_outside_undoes_all(
    client: Any, users: Connection, redis_client: redis.Redis
) -> None:
    """Also what ended well inside."""
    await cached(client, 123)

    async def work() -> None:
        async with client.transaction():
            async with client.transaction() as inner:
                await inner.execute(RENAME, ["Eve", 123])
                inner.drop_outdated_cache(NAMES, [123])
            raise LookupError

    with pytest.raises(LookupError):
        await work()
    assert names_in(users)[123] == "Ada"
    assert are_cached(redis_client) == {123}


async def test_what_ended_the_outer_one_inside_is_said(
    client: Any, users: Connection, redis_client: Any
) -> None:
    """A statement that commits by itself: nothing runs alone behind it, and the drops are performed."""
    await cached(client, 123)

    async def work() -> None:
        async with client.transaction():

            async def inside() -> None:
                async with client.transaction() as inner:
                    await inner.execute(RENAME, ["Eve", 123])
                    inner.drop_outdated_cache(NAMES, [123])
                    await inner.execute("CREATE TABLE IF NOT EXISTS made_inside (a INT)")

            with pytest.raises(TransactionEnded):
                await inside()
            await client.execute(RENAME, ["Flo", 124])

    with pytest.raises(TransactionEnded):
        await work()
    with users.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS made_inside")
    assert (names_in(users)[123], names_in(users)[124]) == ("Eve", "Bob")
    assert are_cached(redis_client) == set()


async def test_a_block_that_has_ended_takes_no_more_drops(client: Any) -> None:
    """Nothing would perform them."""
    async with client.transaction() as outer:
        async with client.transaction() as inner:
            pass
        with pytest.raises(RuntimeError, match="the transaction is over"):
            inner.drop_outdated_cache(NAMES, [1])
    with pytest.raises(RuntimeError, match="the transaction is over"):
        outer.drop_outdated_cache(NAMES, [1])


async def test_values_are_taken_as_they_are_when_it_is_asked(client: Any, redis_client: redis.Redis) -> None:
    """The caller may go on with what it has handed over."""
    await client.write_to_cache("f", 1, [b"abc"], ["Blob"])
    value = bytearray(b"abc")
    async with client.transaction() as tx:
        tx.drop_outdated_cache(["Blob"], [value])
        value[:] = b"xyz"
    assert redis_client.keys("Blob=*") == []


# In one line


async def test_execute_with_drops(client: Any, users: Connection, redis_client: redis.Redis) -> None:
    """Commit, then drop: a mapping is a combination, and a list of them several."""
    await cached(client, 123, 124, 125)
    result = await client.execute(RENAME, ["Eve", 123], drops={"UserId": 123})
    assert result.affected_rows == 1
    assert are_cached(redis_client) == {124, 125}

    await client.execute(RENAME, ["Eve", 124], drops=[{"UserId": 124}, {"UserId": 125}])
    assert are_cached(redis_client) == set()


async def test_execute_with_drops_inside_a_transaction(
    client: Any, users: Connection, redis_client: redis.Redis
) -> None:
    """They wait for its COMMIT, whichever way they are asked for."""
    await cached(client, 123, 124)
    async with client.transaction() as tx:
        await client.execute(RENAME, ["Eve", 123], drops={"UserId": 123})
        await tx.execute(RENAME, ["Eve", 124], drops={"UserId": 124})
        assert are_cached(redis_client) == {123, 124}
    assert are_cached(redis_client) == set()


@pytest.mark.parametrize("drops", ["UserId", 7, [("UserId", 7)], {"UserId": []}, {"": 7}, {}, [{}]])
async def test_bad_drops_are_refused_before_the_write(client: Any, users: Connection, drops: Any) -> None:
    """Nothing is sent."""
    with pytest.raises((TypeError, ValueError)):
        await client.execute(RENAME, ["Eve", 123], drops=drops)
    assert names_in(users)[123] == "Ada"


async def test_a_refused_write_drops_nothing(client: Any, users: Any, redis_client: redis.Redis) -> None:
    """It has changed nothing."""
    await cached(client, 123)
    with pytest.raises(Exception, match="Duplicate entry"):
        await client.execute("INSERT INTO users VALUES (123, 'x', 1)", drops={"UserId": 123})
    assert are_cached(redis_client) == {123}


async def test_a_failed_drop_can_be_done_by_another_process(
    make_client: Callable[..., Any], users: Connection, proxy_to: Callable[..., Proxy], redis_url: str
) -> None:
    """What it needs is a text."""
    proxy = proxy_to(redis_url)
    client = make_client(redis=proxy.url, namespace="shop")
    await client.query_with_cache(QUERY, [123], NAMES)
    proxy.stop()
    with pytest.raises(InvalidationFailed) as caught:
        await client.execute(RENAME, ["Eve", 123], drops={"UserId": 123})
    assert names_in(users)[123] == "Eve"
    assert caught.value.committed is True
    assert caught.value.pairs == [(NAMES, [123], True)]

    with MRCServer(redis_url) as other, pytest.raises(ValueError, match="for namespace 'shop'"):
        other.drop_again(caught.value.to_json())
    with MRCServer(redis_url, namespace="shop") as server:
        assert server.drop_again(caught.value.to_json()) == 1
        assert server.drop_again(caught.value.to_json()) == 0
