"""``transaction()``: statements, COMMIT, then the drops, unless it was certainly a ROLLBACK."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import CacheUnavailable, DatabaseUnavailable, InvalidationFailed, TransactionEnded
from tests.client.drivers import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import redis
    from pymysql.connections import Connection

    from tests.support.proxy import Proxy

pytestmark = pytest.mark.anyio

QUERY = "SELECT name FROM users WHERE id = ?"
RENAME = "UPDATE users SET name = ? WHERE id = ?"
DDL = "CREATE TABLE made_in_tx (a INT)"


async def name_of(client: Any, user: int = 123) -> str:
    """Read a name through the cache."""
    ((row),) = await client.query_with_cache(QUERY, [user], ["UserId"])
    return str(row["name"])


def name_in(connection: Connection, user: int = 123) -> str:
    """Read a name past everything."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM users WHERE id = %s", (user,))
        ((name,),) = cursor.fetchall()
    return str(name)


def is_cached(redis_client: redis.Redis, user: int = 123) -> bool:
    """Whether an entry of the user is there."""
    return bool(redis_client.keys(f"UserId={user}_*"))


async def rename_in_transaction(
    client: Any,
    name: str,
    *,
    then: Callable[[Any], Awaitable[object]] | None = None,
    fail: BaseException | None = None,
) -> None:
    """Rename user 123, ask for the drop, do something else, and raise *fail*."""
    async with client.transaction() as tx:
        await tx.execute(RENAME, [name, 123])
        tx.drop_outdated_cache(["UserId"], [123])
        if then is not None:
            await then(tx)
        if fail is not None:
            raise fail


@pytest.mark.real
async def test_commit_and_then_the_drops(client: Any, users: Connection, redis_client: redis.Redis) -> None:
    """Until the block ends nothing is committed or dropped; then both."""
    await name_of(client)
    async with client.transaction() as tx:
        result = await tx.execute(RENAME, ["Eve", 123])
        tx.drop_outdated_cache(["UserId"], [123])

        assert result[:2] == (1, 0)
        assert await tx.query(QUERY, [123]) == [{"name": "Eve"}]
        assert name_in(users) == "Ada"
        assert is_cached(redis_client)

    assert name_in(users) == "Eve"
    assert not is_cached(redis_client)
    assert await name_of(client) == "Eve"
    assert client.get_mysql_pool().in_use == 0


@pytest.mark.real
async def test_an_exception_rolls_back_and_drops_nothing(
    client: Any, users: Connection, redis_client: redis.Redis
) -> None:
    """The exception passes through; what is cached is still true."""
    await name_of(client)
    failure = LookupError("changed my mind")

    with pytest.raises(LookupError) as caught:
        await rename_in_transaction(client, "Eve", fail=failure)

    assert caught.value is failure
    assert name_in(users) == "Ada"
    assert is_cached(redis_client)
    assert client.get_mysql_pool().in_use == 0


@pytest.mark.real
async def test_a_statement_s_error_rolls_back(client: Any, users: Connection) -> None:
    """The server's error passes through, unless it is caught: then the transaction goes on."""
    async with client.transaction() as tx:
        await tx.execute(RENAME, ["Eve", 123])
        with pytest.raises(Exception, match="no_such_table"):
            await tx.execute("DELETE FROM no_such_table")
        await tx.execute(RENAME, ["Flo", 124])

    assert (name_in(users), name_in(users, 124)) == ("Eve", "Flo")


@pytest.mark.real
async def test_after_an_implicit_commit_an_exception_still_drops(
    client: Any, users: Connection, redis_client: redis.Redis
) -> None:
    """DDL and the like commit by themselves, so that the block's exception undoes nothing."""
    await name_of(client)

    with pytest.raises(LookupError):
        await rename_in_transaction(
            client, "Eve", then=lambda tx: tx.execute(DDL), fail=LookupError("too late")
        )

    with users.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS made_in_tx")
    assert name_in(users) == "Eve"
    assert await name_of(client) == "Eve"


@pytest.mark.real
async def test_after_an_implicit_commit_the_block_is_over(
    client: Any, users: Connection, redis_client: redis.Redis
) -> None:
    """It cannot end well, nothing runs alone behind it, and the drops are performed."""
    await name_of(client)

    with pytest.raises(TransactionEnded) as caught:
        await rename_in_transaction(client, "Eve", then=lambda tx: tx.execute(DDL))
    with users.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS made_in_tx")

    assert caught.value.committed is True
    assert await name_of(client) == name_in(users) == "Eve"
    with pytest.raises(ValueError, match=r"the statement is refused: it holds COMMIT"):
        await rename_in_transaction(client, "Flo", then=lambda tx: tx.execute("COMMIT"))
    assert name_in(users) == "Eve"


@pytest.mark.real
async def test_an_implicit_commit_through_query_is_noticed_too(
    client: Any, users: Connection, redis_client: redis.Redis
) -> None:
    """``tx.query`` runs any statement; a procedure may commit."""
    with users.cursor() as cursor:
        cursor.execute("DROP PROCEDURE IF EXISTS commits")
        cursor.execute("CREATE PROCEDURE commits() COMMIT")
    await name_of(client)

    with pytest.raises(LookupError):
        await rename_in_transaction(
            client, "Eve", then=lambda tx: tx.query("CALL commits()"), fail=LookupError("too late")
        )

    assert await name_of(client) == name_in(users) == "Eve"


async def test_a_lost_reply_to_commit_still_drops(
    make_client: Callable[..., Any],
    users: Connection,
    redis_client: redis.Redis,
    mysql_url: str,
    proxy_to: Callable[..., Proxy],
) -> None:
    """Whether it took effect is unknown: ``DatabaseUnavailable``, and what may be outdated is gone."""
    proxy = proxy_to(mysql_url)
    client = make_client(mysql=proxy.url)
    await name_of(client)

    async def lose_the_next_reply(_: Any) -> None:
        proxy.cut_after(0)

    with pytest.raises(DatabaseUnavailable):
        await rename_in_transaction(client, "Eve", then=lose_the_next_reply)

    assert not is_cached(redis_client)
    assert await name_of(client) == name_in(users)
    assert client.get_mysql_pool().in_use == 0


async def test_a_connection_lost_before_commit_is_a_rollback(
    make_client: Callable[..., Any], users: Connection, mysql_url: str, proxy_to: Callable[..., Proxy]
) -> None:
    """A statement that got no answer was undone by the server; nothing runs twice."""
    proxy = proxy_to(mysql_url)
    client = make_client(mysql=proxy.url)

    async def lose_the_connection(tx: Any) -> None:
        proxy.cut()
        await tx.execute(RENAME, ["Flo", 124])

    with pytest.raises(DatabaseUnavailable):
        await rename_in_transaction(client, "Eve", then=lose_the_connection)

    await until(lambda: (name_in(users), name_in(users, 124)) == ("Ada", "Bob"), "the rollback")
    assert client.get_mysql_pool().in_use == 0


async def test_a_failing_drop_after_commit_says_so(
    make_client: Callable[..., Any],
    users: Connection,
    redis_client: redis.Redis,
    redis_url: str,
    proxy_to: Callable[..., Proxy],
) -> None:
    """``InvalidationFailed``: committed, these pairs, and ``retry()``; nobody repeats the write."""
    proxy = proxy_to(redis_url)
    client = make_client(redis=proxy.url)
    await name_of(client)
    proxy.stop()

    with pytest.raises(InvalidationFailed, match=r"was committed.*UserId.*do not repeat the write") as caught:
        await rename_in_transaction(client, "hunter2")

    failed = caught.value
    assert (failed.committed, failed.pairs) == (True, [(["UserId"], [123], True)])
    assert (failed.namespace, failed.timeout) == (None, 60)
    assert isinstance(failed.__cause__, CacheUnavailable)
    assert "123" not in str(failed)
    assert name_in(users) == "hunter2"
    with pytest.raises(InvalidationFailed) as again:
        failed.retry()
    assert again.value.pairs == failed.pairs
    proxy.start()
    assert failed.retry() == 1
    assert not is_cached(redis_client)
    assert failed.retry() == 0
    assert client.get_mysql_pool().in_use == 0


async def test_a_failing_drop_after_a_failing_block_hides_neither(
    make_client: Callable[..., Any], users: Connection, redis_url: str, proxy_to: Callable[..., Proxy]
) -> None:
    """Committed by itself, then an exception, then Redis away: the drop's failure, with the exception."""
    proxy = proxy_to(redis_url)
    client = make_client(redis=proxy.url)
    proxy.stop()

    with pytest.raises(InvalidationFailed) as caught:
        await rename_in_transaction(
            client, "Eve", then=lambda tx: tx.execute(DDL), fail=LookupError("too late")
        )

    with users.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS made_in_tx")
    assert caught.value.committed is True
    chain, seen = caught.value, []
    while chain is not None:
        seen.append(type(chain))
        chain = chain.__context__
    assert LookupError in seen


async def test_drops_of_several_kinds(client: Any, redis_client: redis.Redis, users: Connection) -> None:
    """Each drop asked for runs, with all or any of its pairs."""
    for store, user in [(1, 1), (1, 2), (2, 1), (3, 3), (4, 4)]:
        await client.write_to_cache("v1", 1, [store, user], ["StoreId", "UserId"])

    async with client.transaction() as tx:
        tx.drop_outdated_cache(["StoreId", "UserId"], [1, 1])
        tx.drop_outdated_cache(["StoreId", "UserId"], [3, 4], require_all_match=False)

    assert sorted(key[:18] for key in redis_client.keys("StoreId=*")) == [
        b"StoreId=1_UserId=2",
        b"StoreId=2_UserId=1",
    ]


async def test_bad_pairs_raise_at_once(client: Any, users: Connection) -> None:
    """Not after the COMMIT."""
    async with client.transaction() as tx:
        with pytest.raises(ValueError, match="2 names but 1 values"):
            tx.drop_outdated_cache(["a", "b"], [1])


async def test_cached_reads_inside_see_the_transaction(
    client: Any, users: Connection, redis_client: redis.Redis
) -> None:
    """They go to its connection, past the cache: neither stale rows in, nor uncommitted rows out."""
    await name_of(client)
    async with client.transaction() as tx:
        await tx.execute(RENAME, ["Eve", 123])

        assert await name_of(client) == "Eve"
        assert await client.query_many_with_cache([(QUERY, [123], ["UserId"])]) == [[{"name": "Eve"}]]
        assert await client.with_cache(lambda: "fresh", "v1") == "fresh"
        raw = redis_client.get(redis_client.keys("UserId=123_*")[0])
        await tx.execute(RENAME, ["Ada", 123])

    assert raw == b'[{"name":"Ada"}]'
    assert redis_client.get(client.get_key_from_query("v1")) is None
    assert await name_of(client) == "Ada"


async def test_another_client_s_reads_inside_go_their_own_way(
    make_client: Callable[..., Any], users: Connection
) -> None:
    """A transaction is its client's."""
    client, other = make_client(), make_client(redis=None)
    async with client.transaction() as tx:
        await tx.execute(RENAME, ["Eve", 123])

        assert await name_of(other) == "Ada"


async def test_another_thread_or_task_is_not_affected(client: Any, users: Connection) -> None:
    """Who works beside a transaction reads as always."""
    changed, read = threading.Event(), threading.Event()
    seen: list[str] = []

    async def writer() -> None:
        async with client.transaction() as tx:
            await tx.execute(RENAME, ["Eve", 123])
            changed.set()
            await client.happens(read)

    async def reader() -> None:
        await client.happens(changed)
        seen.append(await name_of(client))
        read.set()

    assert await client.together([writer, reader]) == [None, None]
    assert seen == ["Ada"]


async def test_after_the_block_its_connection_is_as_new(
    make_client: Callable[..., Any], users: Connection, mysql_url: str
) -> None:
    """With one connection for all: reads after a commit and after a rollback, in autocommit."""
    client = make_client(mysql=f"{mysql_url}?maxsize=1&pool_timeout=2", redis=None)
    await rename_in_transaction(client, "Eve")
    with pytest.raises(LookupError):
        await rename_in_transaction(client, "Flo", fail=LookupError())

    assert await name_of(client) == "Eve"
    await client.execute(RENAME, ["Gil", 123])
    assert name_in(users) == "Gil"


async def test_a_transaction_of_a_client_without_redis(
    make_client: Callable[..., Any], users: Connection
) -> None:
    """The drops have nothing to drop."""
    await rename_in_transaction(make_client(redis=None), "Eve")

    assert name_in(users) == "Eve"


async def test_using_a_transaction_after_its_end_is_an_error(client: Any, users: Connection) -> None:
    """Its connection belongs to somebody else by then."""
    async with client.transaction() as tx:
        pass

    with pytest.raises(RuntimeError, match="inside its with block"):
        await tx.query("SELECT 1")
    with pytest.raises(RuntimeError):
        tx.drop_outdated_cache(["UserId"], [123])


async def test_a_base_exception_rolls_back(client: Any, users: Connection) -> None:
    """KeyboardInterrupt and its like too."""

    class Interrupt(BaseException):
        pass

    with pytest.raises(Interrupt):
        await rename_in_transaction(client, "Eve", fail=Interrupt())

    assert name_in(users) == "Ada"
    assert client.get_mysql_pool().in_use == 0
