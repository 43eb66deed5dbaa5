"""Refresh and bypass, grace and early refresh, sizes: what a read gives, and what it leaves behind."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.client.drivers import until

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis
    from pymysql.connections import Connection

    from tests.support.proxy import Proxy

pytestmark = pytest.mark.anyio

QUERY = "SELECT name FROM users WHERE id = ?"


class Source:
    """A function to be cached: gives 1, 2, 3 and so on, or fails while told to."""

    def __init__(self) -> None:
        self.given = 0
        self.fails = False

    def __call__(self) -> int:
        if self.fails:
            raise LookupError("the source is down")
        self.given += 1
        return self.given


def rename(connection: Connection, name: str) -> None:
    """Change the row of user 123 behind the cache's back."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE users SET name = %s WHERE id = 123", (name,))


async def name_of(client: Any, **options: Any) -> str:
    """Read the name of user 123 through the cache, for 100 s."""
    ((row),) = await client.query_with_cache(QUERY, [123], ["UserId"], 100, **options)
    return str(row["name"])


def age(redis_client: redis.Redis, client: Any, left: float) -> None:
    """Bring the entry of user 123 to so many seconds before its end in Redis."""
    assert redis_client.pexpire(client.get_key_from_query(QUERY, [123], ["UserId"]), int(left * 1000))


# Refresh and bypass


async def test_refresh_loads_and_fills_whatever_is_cached(client: Any) -> None:
    """``refresh=True`` gives the new value to this caller and to the next."""
    source = Source()
    await client.with_cache(source, "v1")

    assert await client.with_cache(source, "v1", refresh=True) == 2
    assert await client.with_cache(source, "v1") == 2


async def test_refresh_heals_a_failure_only_by_loading(client: Any) -> None:
    """A failing refresh raises, and leaves the entry."""
    source = Source()
    await client.with_cache(source, "v1")
    source.fails = True

    with pytest.raises(LookupError):
        await client.with_cache(source, "v1", refresh=True)

    assert await client.with_cache(source, "v1") == 1


async def test_cache_false_neither_reads_nor_fills(
    make_client: Callable[..., Any], proxy_to: Callable[..., Proxy], redis_url: str
) -> None:
    """``cache=False`` has nothing to do with Redis."""
    proxy = proxy_to(redis_url)
    client, source = make_client(redis=proxy.url), Source()

    assert [await client.with_cache(source, "v1", cache=False) for _ in range(2)] == [1, 2]
    assert await client.query_many_with_cache([("SELECT 1 AS a",)], cache=False) == [[{"a": 1}]]
    assert proxy.connections == 0


async def test_many_refreshed(client: Any, users: Connection) -> None:
    """``query_many_with_cache`` knows ``refresh`` and ``cache`` too."""
    queries = [(QUERY, [123], ["UserId"])]
    await client.query_many_with_cache(queries)
    rename(users, "Eve")

    assert await client.query_many_with_cache(queries, cache=False) == [[{"name": "Eve"}]]
    assert await client.query_many_with_cache(queries) == [[{"name": "Ada"}]]
    assert await client.query_many_with_cache(queries, refresh=True) == [[{"name": "Eve"}]]
    assert await client.query_many_with_cache(queries) == [[{"name": "Eve"}]]


# Grace


@pytest.mark.parametrize("window", [50, 50.0, timedelta(seconds=50)], ids=repr)
async def test_grace_is_added_to_the_ttl(
    make_client: Callable[..., Any], redis_client: redis.Redis, window: Any
) -> None:
    """An entry stays for ttl ± 10 % and the longer window."""
    client = make_client(stale_while_revalidate=window)
    await client.with_cache(Source(), "v1", ttl=100, stale_if_error=70)
    await client.with_cache(Source(), "v2", ttl=100)

    left = [redis_client.ttl(client.get_key_from_query(query)) for query in ("v1", "v2")]
    assert 159 <= left[0] <= 180
    assert 139 <= left[1] <= 160


async def test_stale_while_revalidate_serves_at_once_and_refreshes_behind(
    make_client: Callable[..., Any], users: Connection, redis_client: redis.Redis
) -> None:
    """Inside its grace an entry is served as it is, and replaced soon."""
    client = make_client(stale_while_revalidate=50)
    await name_of(client)
    rename(users, "Eve")
    age(redis_client, client, 40)

    assert await name_of(client) == "Ada"

    await until(lambda: b"Eve" in redis_client.get(redis_client.keys("UserId=*")[0]), "the refresh")
    assert await name_of(client) == "Eve"


async def test_a_stale_entry_is_refreshed_once_over_clients(
    make_client: Callable[..., Any], users: Connection, redis_client: redis.Redis
) -> None:
    """Two clients that find one aged entry ask MySQL once; who loses the lease does nothing."""
    clients = [make_client(stale_while_revalidate=50) for _ in range(2)]
    await name_of(clients[0])
    rename(users, "Eve")
    age(redis_client, clients[0], 40)
    asked: list[str] = []
    may_load = threading.Event()
    for client in clients:
        query = client._core.database.query

        def held(text: str, params: Any, query: Any = query) -> Any:
            asked.append(text)
            may_load.wait(10)
            return query(text, params)

        client._core.database.query = held

    answers = [await name_of(client) for client in clients * 5]
    await until(lambda: asked, "the refresh")
    answers += [await name_of(client) for client in clients * 5]
    may_load.set()

    assert set(answers) == {"Ada"}
    await until(lambda: b"Eve" in redis_client.get(redis_client.keys("UserId=*")[0]), "the refresh")
    assert len(asked) == 1


async def test_before_its_grace_an_entry_is_fresh(
    make_client: Callable[..., Any], users: Connection, redis_client: redis.Redis, loads: Any
) -> None:
    """Nothing is refreshed before the ttl is over."""
    client = make_client(stale_while_revalidate=50)
    await name_of(client)
    asked = loads(client)
    age(redis_client, client, 60)

    assert await name_of(client) == "Ada"
    assert asked == []


async def test_after_the_smaller_window_an_entry_is_loaded_anew(
    client: Any, users: Connection, redis_client: redis.Redis
) -> None:
    """With 10 s to serve stale and 50 s for errors, 30 s past the ttl is too old to serve."""
    windows = {"stale_while_revalidate": 10, "stale_if_error": 50}
    await name_of(client, **windows)
    rename(users, "Eve")
    age(redis_client, client, 20)

    assert await name_of(client, **windows) == "Eve"


async def test_stale_if_error_serves_when_the_load_fails(client: Any, redis_client: redis.Redis) -> None:
    """Past its ttl an entry is loaded anew, and served if that fails."""
    source = Source()
    await client.with_cache(source, "v1", ttl=100, stale_if_error=50)
    redis_client.pexpire(client.get_key_from_query("v1"), 40_000)
    source.fails = True

    assert await client.with_cache(source, "v1", ttl=100, stale_if_error=50) == 1

    source.fails = False
    assert await client.with_cache(source, "v1", ttl=100, stale_if_error=50) == 2


async def test_without_stale_if_error_a_failure_raises(client: Any, redis_client: redis.Redis) -> None:
    """The window is the call's: who did not ask for stale entries does not get one."""
    source = Source()
    await client.with_cache(source, "v1", ttl=100, stale_if_error=50)
    redis_client.delete(client.get_key_from_query("v1"))
    source.fails = True

    with pytest.raises(LookupError):
        await client.with_cache(source, "v1", ttl=100, stale_if_error=50)


async def test_a_call_s_window_is_that_call_s(make_client: Callable[..., Any], users: Connection) -> None:
    """``stale_if_error=0`` of a call overrides the client's."""
    client = make_client(stale_if_error=50)

    await name_of(client, stale_if_error=0, stale_while_revalidate=None)

    assert client._core.options.policy.stale_if_error == 50


async def test_a_drop_kills_entries_in_grace(
    make_client: Callable[..., Any], users: Connection, redis_client: redis.Redis
) -> None:
    """After a drop nobody is served an old entry, whatever windows he has."""
    client = make_client(stale_while_revalidate=50, stale_if_error=50)
    await name_of(client)
    rename(users, "Eve")
    age(redis_client, client, 40)

    assert await client.drop_outdated_cache(["UserId"], [123]) == 1
    assert await name_of(client) == "Eve"


async def test_a_drop_stops_a_refresh_behind_from_filling(
    make_client: Callable[..., Any], users: Connection, redis_client: redis.Redis
) -> None:
    """A refresh that loaded before the drop leaves nothing."""
    client = make_client(stale_while_revalidate=50)
    await name_of(client)
    age(redis_client, client, 40)
    loaded, may_fill = threading.Event(), threading.Event()
    query = client._core.database.query

    def held(text: str, params: Any) -> Any:
        rows = query(text, params)
        loaded.set()
        may_fill.wait(10)
        return rows

    client._core.database.query = held
    assert await name_of(client) == "Ada"
    await until(loaded.is_set, "the refresh")
    client._core.database.query = query
    rename(users, "Eve")
    await client.drop_outdated_cache(["UserId"], [123])
    may_fill.set()

    assert await name_of(client) == "Eve"
    await until(lambda: client.stats().get("refused_fills"), "the refused fill")
    assert await name_of(client) == "Eve"


# Early refresh


@pytest.mark.parametrize(("chance", "refreshed"), [(1e-9, True), (0.999, False)], ids=["now", "later"])
async def test_early_refresh_is_a_matter_of_chance(
    make_client: Callable[..., Any],
    users: Connection,
    redis_client: redis.Redis,
    loads: Any,
    monkeypatch: pytest.MonkeyPatch,
    chance: float,
    refreshed: bool,
) -> None:
    """XFetch: with a load time of 1 s and 10 s left, -ln(1e-9) = 20.7 s says now, -ln(0.999) later."""
    client = make_client(early_refresh=1)
    await name_of(client)
    asked = loads(client)
    for _ in range(100):  # a moving average
        client._core.load_times.blend(QUERY, 1.0)
    age(redis_client, client, 10)
    rename(users, "Eve")
    monkeypatch.setattr("mysql_redis_cache.readthrough.core.random.random", lambda: chance)

    assert await name_of(client) == "Ada"

    if refreshed:
        await until(lambda: redis_client.ttl(redis_client.keys("UserId=*")[0]) > 50, "the refresh")
        assert await name_of(client) == "Eve"
    assert len(asked) == refreshed


# Size


async def test_larger_results_are_returned_but_not_cached(
    make_client: Callable[..., Any], redis_client: redis.Redis
) -> None:
    """``max_entry_bytes`` counts the JSON; what is over is counted, and holds no lease."""
    client = make_client(max_entry_bytes=10)
    answers = [await client.with_cache(lambda: "x" * 8, "v1"), await client.with_cache(lambda: "x" * 9, "v2")]

    assert answers == ["x" * 8, "x" * 9]
    assert redis_client.keys() == [client.get_key_from_query("v1").encode()]
    assert client.stats()["oversized_entries"] == 1


async def test_larger_results_of_queries(
    make_client: Callable[..., Any], users: Connection, redis_client: redis.Redis
) -> None:
    """The same for rows, alone and in a list."""
    client = make_client(max_entry_bytes=10)
    query = (QUERY, [123], ["UserId"])

    assert await client.query_with_cache(*query) == [{"name": "Ada"}]
    assert await client.query_many_with_cache([query, (QUERY, [-1], ["UserId"])]) == [[{"name": "Ada"}], []]
    assert redis_client.keys("UserId=*") == [client.get_key_from_query(QUERY, [-1], ["UserId"]).encode()]


async def test_write_to_cache_deletes_what_it_cannot_replace(make_client: Callable[..., Any]) -> None:
    """A value too large to be cached makes the one cached before outdated all the same."""
    client = make_client(max_entry_bytes=4)
    await client.write_to_cache("v1", 12)

    await client.write_to_cache("v1", "long")

    assert await client.read_from_cache("v1") is None
    assert client.stats()["oversized_entries"] == 1
