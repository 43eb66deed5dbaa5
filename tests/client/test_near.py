"""Entries kept in the process: when they are served, and when no more."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from mysql_redis_cache import MRCClient, MRCServer, Near, RowMismatch
from mysql_redis_cache.near import caches
from mysql_redis_cache.observe import Stats
from tests.client.drivers import until
from tests.support.forks import in_child
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis
    from pymysql.connections import Connection

    from mysql_redis_cache.near.listener import Listener
    from tests.support.proxy import Proxy

pytestmark = [pytest.mark.anyio, pytest.mark.real]

QUERY, NAMES = "SELECT name FROM users WHERE id = ?", ["UserId"]
ASKED = (QUERY, [123], NAMES)
# So long that what is seen here is never due to it.
LONG = Near(ttl=60, heartbeat=30)  # so that no pause of the machine ends what is kept


def near_hits(client: Any) -> int:
    return int(client.stats().get("near_hits", 0))


async def read(client: Any, **options: Any) -> Any:
    return await client.query_with_cache(*ASKED, 3600, **options)


async def keep(client: Any, *, asked: tuple[Any, ...] = ASKED) -> None:
    """Read until the process itself answers."""
    before = near_hits(client)
    with anyio.fail_after(15):
        while near_hits(client) == before:
            await client.query_with_cache(*asked, 3600)
            await anyio.sleep(0.002)


def rename(users: Connection, name: str) -> None:
    with users.cursor() as cursor:
        cursor.execute("UPDATE users SET name = %s WHERE id = 123", (name,))


async def test_what_is_read_often_is_answered_by_the_process(
    make_client: Callable[..., Any], users: Connection, proxy_to: Callable[..., Proxy], redis_url: str
) -> None:
    """Without a round trip to anybody, and as equal but separate objects."""
    proxy = proxy_to(redis_url)
    client = make_client(redis=proxy.url, near=LONG)
    await keep(client)
    listening = client._core.nearby.near._listeners
    assert len(listening) == 1
    before, trips = near_hits(client), proxy.connections

    rows = await read(client)
    rows[0]["name"] = "changed by the caller"
    assert await read(client) == [{"name": "Ada"}]
    assert await client.read_from_cache(*ASKED) == [{"name": "Ada"}]
    assert await client.query_many_with_cache([ASKED, ASKED]) == [[{"name": "Ada"}]] * 2
    assert near_hits(client) == before + 4
    assert proxy.connections == trips


async def test_typed_rows_are_made_of_what_is_kept(
    make_client: Callable[..., Any], users: Connection
) -> None:
    """Each reader in its own form; what does not fit is said, and is served on in forms in which it fits."""
    client = make_client(near=LONG)
    await keep(client)
    before = near_hits(client)

    assert await read(client, into=str, one=True) == "Ada"
    with pytest.raises(RowMismatch):
        await read(client, into=int)
    assert await client.query_many_with_cache([ASKED], 3600, into=str) == [["Ada"]]
    assert await read(client) == [{"name": "Ada"}]
    assert near_hits(client) == before + 4


@pytest.mark.parametrize("way", ["drop_all", "drop_query", "drop_many", "execute", "transaction"])
async def test_wide_drops_empty_it_too(make_client: Callable[..., Any], users: Connection, way: str) -> None:
    """Whatever way a drop is asked for here, nothing older is served after it."""
    client = make_client(near=LONG)
    await keep(client)
    rename(users, "Eve")

    if way == "drop_all":
        await client.drop_all()
    elif way == "drop_query":
        await client.drop_query(QUERY, any_params=True)
    elif way == "drop_many":
        await client.drop_many("UserId", [1, 123])
    elif way == "execute":
        await client.execute("DO 1", drops={"UserId": 123})
    else:
        async with client.transaction():
            await client.drop_outdated_cache(NAMES, [123])

    assert await read(client) == [{"name": "Eve"}]


async def test_near_false_asks_redis(
    make_client: Callable[..., Any], users: Connection, redis_client: redis.Redis
) -> None:
    """For this one read, of whatever kind."""
    client = make_client(near=LONG)
    await keep(client)
    before = client.stats()

    await read(client, near=False)
    await client.read_from_cache(*ASKED, near=False)
    await client.query_many_with_cache([ASKED], near=False)
    await client.with_cache(lambda: 0, *ASKED, near=False)
    assert near_hits(client) == before["near_hits"]
    assert client.stats()["hits"] == before["hits"] + 4
    with pytest.raises(TypeError, match="near of a call must be a bool"):
        await read(client, near=1.0)


async def test_a_client_without_it_has_none(client: Any, users: Connection) -> None:
    """It is off unless asked for; ``near=True`` of a call turns nothing on."""
    for _ in range(5):
        await read(client, near=True)

    assert not [name for name, number in client.stats().items() if name.startswith("near") and number]
    assert client._core.nearby is None


@pytest.mark.parametrize(
    "how", ["pair", "query", "server", "write", "refresh", "transaction", "no near cache"]
)
async def test_after_a_drop_or_write_here_nothing_older_is_served(
    make_client: Callable[..., Any], users: Connection, redis_url: str, how: str
) -> None:
    """From the moment it has returned, whichever client or server of this process did it."""
    client = make_client(near=LONG)
    other = client if how != "no near cache" else make_client()
    for turn in range(20):
        await keep(client)
        name = f"name {turn}"
        if how != "transaction":
            rename(users, name)
        if how == "pair":
            await client.drop_outdated_cache(NAMES, [123])
        elif how == "query":
            await client.drop_query(*ASKED)
        elif how == "server":
            with MRCServer(redis_url) as server:
                server.drop_outdated_cache(NAMES, [123])
        elif how == "refresh":
            await read(client, refresh=True)
        elif how == "transaction":
            async with client.transaction() as tx:
                statement = ("UPDATE users SET name = ? WHERE id = 123", [name])
                await tx.execute(*statement)
                tx_drop = tx.drop_outdated_cache(NAMES, [123])
                if tx_drop is not None:
                    await tx_drop
        else:
            await other.write_to_cache(QUERY, [{"name": name}], [123], NAMES)
        assert await read(client) == [{"name": name}]


async def test_what_another_process_drops_is_served_no_more(
    make_client: Callable[..., Any], users: Connection, redis_client: redis.Redis
) -> None:
    """Its deletion is pushed here; the raw client stands for it."""
    client = make_client(near=LONG)
    await keep(client)
    rename(users, "Eve")
    redis_client.unlink(client.get_key_from_query(*ASKED))

    with anyio.fail_after(15):
        while await read(client) != [{"name": "Eve"}]:
            await anyio.sleep(0.001)


CHANGES: dict[str, Callable[[redis.Redis, str], object]] = {
    "set": lambda client, key: client.set(key, b"[]"),
    "unlink": lambda client, key: client.unlink(key),
    "expire": lambda client, key: client.pexpire(key, 5),
    "flush": lambda client, key: client.flushdb(),
    "persist": lambda client, key: client.persist(key),
    "getex": lambda client, key: client.getex(key, ex=5),
    "rename": lambda client, key: client.rename(key, "elsewhere"),
    "rename onto": lambda client, key: client.rename(other(client), key),
    "copy onto": lambda client, key: client.copy(other(client), key, replace=True),
    "restore": lambda client, key: client.restore(key, 0, client.dump(other(client)) or b"", replace=True),
    "script": lambda client, key: client.eval("redis.call('SET', KEYS[1], '[]')", 1, key),
}


def other(client: redis.Redis) -> str:
    """Write another entry; return its key."""
    client.set("other", b"[2]")
    return "other"


@pytest.mark.parametrize("how", CHANGES)
async def test_whatever_changes_an_entry_empties_it_here(
    make_client: Callable[..., Any], users: Connection, redis_client: redis.Redis, how: str
) -> None:
    """Commands of anybody, an end set anew or taken away, a flush of the database."""
    client = make_client(near=LONG)
    key = client.get_key_from_query(*ASKED)
    await keep(client)
    CHANGES[how](redis_client, key)

    await until(lambda: client.stats()["near_entries"] == 0, "the push")


async def test_an_entry_lives_no_longer_than_the_ttl(
    make_client: Callable[..., Any], users: Connection, redis_client: redis.Redis
) -> None:
    """Then Redis is asked again, though nothing has changed there."""
    client = make_client(near=Near(ttl=0.2))
    await keep(client)
    hits = client.stats()["hits"]
    await anyio.sleep(0.25)
    await read(client)

    assert client.stats()["hits"] == hits + 1


async def test_an_entry_in_its_grace_is_not_served_here(
    make_client: Callable[..., Any], users: Connection
) -> None:
    """What is served past its ttl comes from Redis, which knows whether somebody refreshes it."""
    client = make_client(near=LONG, stale_while_revalidate=100)
    await keep(client)
    (kept,) = client._core.nearby.near._shelf._kept.values()
    before = client.stats()
    kept.ends = time.monotonic() + 101
    await read(client)
    assert near_hits(client) == before["near_hits"] + 1
    kept.ends = time.monotonic() + 99
    await read(client)

    assert near_hits(client) == before["near_hits"] + 1
    assert client.stats()["hits"] == before["hits"] + 1


async def test_answers_without_rows_are_not_kept(make_client: Callable[..., Any], users: Connection) -> None:
    """The next insert makes them wrong."""
    client = make_client(near=LONG)
    await keep(client)
    before = near_hits(client)
    for _ in range(10):
        assert await client.query_with_cache(QUERY, [999], NAMES) == []
        await anyio.sleep(0.005)

    absent = client._core.reads.of_query(QUERY, [999], NAMES, 3600)
    assert near_hits(client) == before
    assert client._core.nearby.near.get(absent.raw, time.monotonic()) is None
    assert client.stats()["near_entries"] == 1


async def test_what_does_not_decode_is_asked_for_anew(
    make_client: Callable[..., Any], users: Connection
) -> None:
    """Whoever wrote it; the entry in Redis is overwritten, if it is broken too."""
    client = make_client(near=LONG)
    await keep(client)
    shelf = client._core.nearby.near._shelf
    (kept,) = shelf._kept.values()
    kept.payload = b"{"

    assert await read(client) == [{"name": "Ada"}]


async def test_large_entries_are_served_too(make_client: Callable[..., Any], users: Connection) -> None:
    """The facade decodes them in a thread."""
    client = make_client(near=LONG)
    value = ["x" * 100] * 2000
    asked = ("large", [1], ["Id"])
    await client.write_to_cache("large", value, [1], ["Id"])
    with anyio.fail_after(15):
        while not near_hits(client):
            assert await client.read_from_cache(*asked) == value
            await anyio.sleep(0.005)


async def test_clients_of_one_redis_share_a_near_cache(
    make_client: Callable[..., Any], users: Connection
) -> None:
    """One thread and one connection, however many there are; the last one ends them."""
    first, second = make_client(near=LONG), make_client(near=LONG)
    other = make_client(near=Near(ttl=59))
    await keep(first)
    await keep(second)
    assert first._core.nearby.near is second._core.nearby.near
    assert first._core.nearby.near is not other._core.nearby.near
    assert listening() == 1

    await first.aclose()
    assert near_hits(second)
    await keep(second)
    await second.aclose()
    await until(lambda: listening() == 0, "the end of the thread")


def listening() -> int:
    return sum(thread.name == "mysql_redis_cache-near" for thread in threading.enumerate())


async def test_closed_redis_connections_are_opened_by_a_later_call(
    make_client: Callable[..., Any], users: Connection, redis_client: redis.Redis
) -> None:
    """Nothing is open in between, and nothing is served from here."""
    client = make_client(near=LONG)
    await keep(client)
    await client.close_redis_connection()
    await until(lambda: listening() == 0, "the end of the thread")
    before = near_hits(client)
    await read(client)
    assert near_hits(client) == before

    await keep(client)


async def test_a_million_bytes_and_not_one_more(make_client: Callable[..., Any], users: Connection) -> None:
    """However many keys are read."""
    client = make_client(near=Near(max_bytes=100_000, max_entries=50, ttl=60))
    await client.query_many_with_cache([("SELECT ? AS id", [number], ["Id"]) for number in range(200)])
    for _ in range(3):
        for number in range(200):
            await client.query_with_cache("SELECT ? AS id", [number], ["Id"])
    await until(lambda: client.stats()["near_evictions"] > 0, "an eviction")

    stats = client.stats()
    assert stats["near_entries"] <= 50
    assert stats["near_bytes"] <= 100_000


async def test_a_transaction_reads_past_it(make_client: Callable[..., Any], users: Connection) -> None:
    """As past the cache: it sees what it has written."""
    client = make_client(near=LONG)
    await keep(client)
    async with client.transaction() as tx:
        await tx.execute("UPDATE users SET name = 'Eve' WHERE id = 123")
        assert await read(client) == [{"name": "Eve"}]


def test_a_forked_child_begins_empty(mysql_url: str, redis_url: str, users: Connection) -> None:
    """It keeps what it reads, by a connection of its own; the parent goes on."""
    with MRCClient(mysql_url, redis_url, near=LONG) as client:

        def keep_one() -> int:
            before = near_hits(client)
            assert wait_until(lambda: client.query_with_cache(*ASKED) and near_hits(client) > before)
            return near_hits(client)

        keep_one()

        def work() -> Any:
            entries = client.stats()["near_entries"]
            kept = keep_one()
            client.drop_outdated_cache(NAMES, [123])
            return [entries, kept, client.read_from_cache(*ASKED)]

        assert in_child(work) == [0, 1, None]
        assert wait_until(lambda: client.stats()["near_entries"] == 0)  # the child's drop was pushed here
        keep_one()


def test_a_fork_behind_pythons_back_begins_empty(
    mysql_url: str, redis_url: str, users: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under uWSGI: the next call notices that the process is another one."""
    with MRCClient(mysql_url, redis_url, near=LONG) as client:
        assert wait_until(lambda: client.query_with_cache(*ASKED) and near_hits(client))
        (listener,) = client._core.nearby.near._listeners.values()  # type: ignore[union-attr]
        abandoned = listener._connection
        monkeypatch.setattr("mysql_redis_cache.runtime.process._pid", -1)
        client._core.check_open()

        assert client.stats()["near_entries"] == 0
        assert abandoned._sock is None
        assert wait_until(lambda: client.query_with_cache(*ASKED) and near_hits(client))


@pytest.mark.parametrize("bad", [1, "yes", None])
def test_near_is_a_bool_or_bounds(bad: Any) -> None:
    """And says so before anything is opened."""
    with pytest.raises(TypeError, match="near must be a bool or a Near"):
        MRCClient({}, None, near=bad)


@pytest.mark.parametrize(
    "bad", [{"max_bytes": 0}, {"max_entries": -1}, {"ttl": 0}, {"heartbeat": 0.01}, {"ttl": float("nan")}]
)
def test_bounds_are_positive(bad: dict[str, Any]) -> None:
    """A near cache of nothing is ``near=False``."""
    with pytest.raises(ValueError, match=f"{next(iter(bad))} must be"):
        Near(**bad)


def test_without_redis_there_is_nothing_to_keep() -> None:
    """The option is taken, and does nothing."""
    with MRCClient({}, None, near=True) as client:
        assert client._core.nearby is None
        assert client.stats() == Stats(pool_size=10)


def test_no_thread_to_be_had_is_no_readers_concern(
    mysql_url: str, redis_url: str, users: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis answers."""

    def refuse(listener: Listener) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with MRCClient(mysql_url, redis_url, near=LONG) as client:
        for _ in range(5):
            assert json.dumps(client.query_with_cache(*ASKED)) == '[{"name": "Ada"}]'
            time.sleep(0.001)


@pytest.mark.parametrize("how", ["pair", "query", "server", "follow-up"])
async def test_a_strict_near_cache_serves_nothing_older_after_a_drop_elsewhere(
    make_client: Callable[..., Any], users: Connection, redis_url: str, how: str
) -> None:
    """Of another process, for which one stands that does not know of the near caches here."""
    client, other = make_client(near=Near(ttl=60, strict=True)), make_client()
    for turn in range(10):
        await keep(client)
        name = f"name {turn}"
        rename(users, name)
        with blind():
            if how == "pair":
                await other.drop_outdated_cache(NAMES, [123])
            elif how == "query":
                await other.drop_query(*ASKED)
            elif how == "server":
                with MRCServer(redis_url) as server:
                    server.drop_outdated_cache(NAMES, [123])
            else:
                await other.execute("DO 1", drops={"UserId": 123})
        assert await read(client) == [{"name": name}]


@contextmanager
def blind() -> Iterator[None]:
    """Have drops see to no near cache of this process."""
    known = dict(caches._all)
    caches._all.clear()
    try:
        yield
    finally:
        caches._all.update(known)


def test_strict_is_a_bool_with_a_heartbeat_that_drops_can_wait_for() -> None:
    """They wait that long for a process that was killed."""
    with pytest.raises(ValueError, match=r"strict=True takes a heartbeat of 5 s at most, not 5\.1"):
        Near(strict=True, heartbeat=5.1)
    with pytest.raises(TypeError, match="strict must be a bool, not int"):
        Near(strict=1)  # type: ignore[arg-type]
