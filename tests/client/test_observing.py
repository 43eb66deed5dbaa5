"""What a client shows of its work: counts, figures by query, traces and events."""

from __future__ import annotations

import logging
import threading
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from mysql_redis_cache import CacheUnavailable, MRCClient, MRCServer, Near
from mysql_redis_cache.database.config import parse_mysql_config
from mysql_redis_cache.observe import (
    Bypass,
    Corrupt,
    Drop,
    Fill,
    Hit,
    Load,
    Loading,
    Miss,
    NearHit,
    PoolTimeout,
    PoolWait,
    RedisDown,
    RedisUp,
    Refresh,
    RefusedFill,
    Stale,
    Wait,
    Write,
)
from tests.client.drivers import until

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis
    from pymysql.connections import Connection

    from tests.support.proxy import Proxy

pytestmark = pytest.mark.anyio

USER = "SELECT name FROM users WHERE id = ?"
COLUMN = "SELECT no_such_column FROM users WHERE id = ?"


async def read(client: Any, number: int = 123, **options: Any) -> Any:
    return await client.query_with_cache(USER, [number], ["UserId"], 100, **options)


def age(redis_client: redis.Redis, client: Any, left: float) -> None:
    """Bring the entry of user 123 to so many seconds before its end in Redis."""
    assert redis_client.pexpire(client.get_key_from_query(USER, [123], ["UserId"]), int(left * 1000))


def listened(client: Any, *kinds: Any, **options: Any) -> list[Any]:
    """Have the events of some kinds listed."""
    heard: list[Any] = []
    client.inner.events.subscribe(heard.append, kinds or None, **options)
    return heard


# Counts


async def test_each_read_is_counted_by_what_answered_it(client: Any, users: Connection) -> None:
    """The ratio is of all that asked the cache; what went past it is no miss."""
    before = client.stats()
    await read(client)
    await read(client)
    await read(client, 124)
    await read(client, cache=False)

    stats = client.stats() - before

    assert (stats.hits, stats.misses, stats.bypasses, stats.loads, stats.fills) == (1, 2, 1, 3, 2)
    assert stats.hit_ratio == pytest.approx(1 / 3)
    assert stats.load_seconds > 0


async def test_what_is_too_old_is_a_miss(client: Any, redis_client: redis.Redis) -> None:
    """Though it is there, in case that the load fails."""
    await client.with_cache(lambda: 1, "v1", ttl=100, stale_if_error=100)
    redis_client.pexpire(client.get_key_from_query("v1"), 50_000)
    before = client.stats()

    assert await client.with_cache(lambda: 2, "v1", ttl=100, stale_if_error=100) == 2

    stats = client.stats() - before
    assert (stats.hits, stats.misses, stats.loads, stats.stale) == (0, 1, 1, 0)


async def test_figures_by_query(client: Any, users: Connection) -> None:
    """With their label, the size of the last answer, and why one was not cached."""
    await read(client, label="user_name")
    await read(client)
    await read(client, cache=False)
    with pytest.raises(pymysql.OperationalError):
        await client.query_with_cache(COLUMN, [1])

    by_text = {each.query: each for each in client.stats().queries}

    figures = by_text[USER]
    assert (figures.label, figures.hits, figures.misses, figures.loads) == ("user_name", 1, 1, 2)
    assert figures.bytes == len('[{"name":"Ada"}]')
    assert figures.refusal == "cache=False"
    assert figures.worst_load_seconds >= figures.mean_load_seconds > 0
    assert (by_text[COLUMN].loads, by_text[COLUMN].load_failures) == (1, 1)


async def test_functions_have_figures_too(client: Any) -> None:
    """Under their signature."""

    for _ in range(2):
        assert await client.with_cache(lambda: 7, "weather", label="the weather") == 7

    (figures,) = client.stats().queries
    assert (figures.query, figures.label, figures.hits, figures.loads) == ("weather", "the weather", 1, 1)


@pytest.mark.parametrize(("label", "error"), [(7, TypeError), ("", ValueError)])
async def test_a_bad_label_is_refused(client: Any, label: Any, error: type[Exception]) -> None:
    """Before anything is sent."""
    with pytest.raises(error, match="label must"):
        await read(client, label=label)

    assert client.stats().misses == 0


async def test_drops_count(client: Any, users: Connection, redis_url: str) -> None:
    """Those of a client, of a transaction and of a server; a dry run is none."""
    await read(client)
    await client.drop_outdated_cache(["UserId"], [123], dry_run=True)
    await client.drop_outdated_cache(["UserId"], [123])
    async with client.transaction() as tx:
        tx.drop_outdated_cache(["UserId"], [1])

    assert client.stats().dropped_entries == 1
    assert client.stats().drops == 2
    assert client.stats().drop_seconds > 0
    with MRCServer(redis_url, name="drops") as server:
        server.drop_many("UserId", [1, 2])
        assert (server.stats().drops, server.stats().drop_failures) == (1, 0)


async def test_failed_drops_count(make_client: Callable[..., Any]) -> None:
    """And are told, with the class of the error."""
    client = make_client(redis="redis://127.0.0.1:1")
    drops = listened(client, Drop)
    with pytest.raises(CacheUnavailable):
        await client.drop_outdated_cache(["UserId"], [123])

    assert (client.stats().drops, client.stats().drop_failures) == (0, 1)
    assert client.stats().drop_timeouts == 0
    assert [(each.names, each.error) for each in drops] == [(("UserId",), "CacheUnavailable")]


@pytest.mark.parametrize(
    ("options", "name"),
    [({}, "default"), ({"namespace": "shop"}, "shop"), ({"namespace": "shop", "name": "web"}, "web")],
)
async def test_a_client_has_a_name(make_client: Callable[..., Any], options: Any, name: str) -> None:
    """Its own, or its namespace's."""
    client = make_client(**options)
    heard = listened(client)
    await client.with_cache(lambda: 1, "v1")

    assert {each.client for each in heard} == {name}


# Traces


async def test_a_trace_tells_what_became_of_reads(client: Any, users: Connection) -> None:
    """Loaded, hit, past the cache, failed; with where the time went."""
    with client.trace() as trace:
        await read(client)
        await read(client)
        await read(client, cache=False)
        with pytest.raises(pymysql.OperationalError):
            await client.query_with_cache(COLUMN, [1])
    await read(client)

    loaded, hit, bypassed, failed = trace.reads
    assert [each.outcome for each in trace.reads] == ["loaded", "hit", "bypassed", "failed"]
    assert [each.reason for each in trace.reads] == [
        "it was not cached",
        "",
        "cache=False",
        "it raised OperationalError",
    ]
    assert hit.key == client.get_key_from_query(USER, [123], ["UserId"])
    assert hit.left is not None
    assert 85 < hit.left < 115
    assert hit.bytes == loaded.bytes == len('[{"name":"Ada"}]')
    assert hit.mysql_seconds == 0 < hit.redis_seconds <= hit.seconds
    assert loaded.mysql_seconds > 0
    assert loaded.seconds >= loaded.mysql_seconds + loaded.redis_seconds
    assert bypassed.redis_seconds == 0
    assert failed.query == COLUMN


async def test_a_trace_sees_halves_and_batches(client: Any, users: Connection) -> None:
    """Each query of a batch is a read, and looking up is one."""
    await read(client)
    with client.trace() as trace:
        await client.query_many_with_cache([(USER, [123], ["UserId"]), (USER, [124], ["UserId"])])
        await client.read_from_cache(USER, [125], ["UserId"])
        await client.read_from_cache(USER, [123], ["UserId"])
        await read(client, refresh=True)

    outcomes = [each.outcome for each in trace.reads]
    assert sorted(outcomes[:2]) == ["hit", "loaded"]
    assert outcomes[2:] == ["missed", "hit", "loaded"]
    assert trace.reads[-1].reason == "a refresh was asked for"


async def test_traces_nest_and_are_apart(client: Any, users: Connection) -> None:
    """An outer one has the inner one's reads as well; another client's are in neither."""
    with client.trace() as outer:
        await read(client)
        with client.trace() as inner:
            await read(client)

    assert len(outer.reads) == 2
    assert len(inner.reads) == 1


async def test_a_trace_is_of_its_own_thread_or_task(client: Any, users: Connection) -> None:
    """Others read meanwhile."""
    traces: list[Any] = []
    together = threading.Barrier(2)

    async def traced(number: int) -> None:
        with client.trace() as trace:
            if client.is_blocking:
                together.wait(10)
            await read(client, number)
        traces.append(trace)

    await client.together([lambda: traced(123), lambda: traced(124)])

    assert [len(trace.reads) for trace in traces] == [1, 1]
    assert traces[0].reads[0].key != traces[1].reads[0].key


async def test_what_is_kept_here_is_near(make_client: Callable[..., Any], users: Connection) -> None:
    """Read from Redis often enough, it is answered without a step."""
    client = make_client(near=Near(ttl=30))
    nears = listened(client, NearHit)

    async def is_near() -> bool:
        with client.trace() as trace:
            await read(client)
        return trace.reads[0].outcome == "near"

    for _ in range(200):
        if await is_near():
            break
    assert await is_near()
    await read(client)
    assert nears
    assert client.stats().near_hits >= len(nears)
    assert client.stats().queries[0].hits >= client.stats().near_hits


async def test_what_is_read_in_a_transaction_is_past_the_cache(client: Any, users: Connection) -> None:
    """And the trace says so."""
    with client.trace() as trace:
        async with client.transaction():
            await read(client)

    assert [(each.outcome, each.reason) for each in trace.reads] == [
        ("bypassed", "it is part of a transaction")
    ]


async def test_a_shared_load_is_told(client: Any) -> None:
    """The leader loads, the others wait; each is told."""
    waits = listened(client, Wait, Miss, Load)
    begun, go = threading.Event(), threading.Event()

    def slow() -> int:
        begun.set()
        assert go.wait(10)
        return 7

    async def late() -> Any:
        await client.happens(begun)
        threading.Timer(0.05, go.set).start()
        return await client.with_cache(slow, "slow")

    answers = await client.together([lambda: client.with_cache(slow, "slow"), late])

    assert answers == [7, 7]
    assert client.stats().shared_loads == 1
    by_kind = {kind: [each for each in waits if type(each) is kind] for kind in (Wait, Miss, Load)}
    assert [each.is_shared for each in by_kind[Wait]] == [True]
    (leader,) = [each.read for each in by_kind[Load]]
    assert {each.is_shared: each.led_by for each in by_kind[Miss]} == {False: None, True: leader}
    assert sorted(each.is_shared for each in by_kind[Miss]) == [False, True]
    assert len(by_kind[Load]) == 1


# Events


async def test_events_of_reads(client: Any, users: Connection, redis_client: redis.Redis) -> None:
    """In order; with names and digest, and no value of a param."""
    heard = listened(client)
    await read(client)
    await read(client)
    key = client.get_key_from_query(USER, [123], ["UserId"])
    redis_client.set(key, b"{nonsense")
    await read(client)
    await read(client, cache=False)

    assert [type(each) for each in heard] == [
        *(Loading, Load, Fill, Miss),
        Hit,
        *(Corrupt, Loading, Load, Fill, Miss),
        *(Loading, Load, Bypass),
    ]
    assert {each.digest for each in heard} == {key[-40:]}
    assert {each.names for each in heard} == {("UserId",)}
    assert {each.query for each in heard} == {USER}
    assert len({each.read for each in heard}) == 4
    texts = [text for each in heard for text in astuple(each) if isinstance(text, str)]
    assert not [text for text in texts if "123" in text.replace(key[-40:], "")]
    assert heard[3].mysql_seconds >= heard[1].seconds > 0
    assert heard[2].bytes == heard[1].bytes == len('[{"name":"Ada"}]')


async def test_loads_are_told_with_their_server(
    client: Any, users: Connection, mysql_url: str, server_flavour: str
) -> None:
    """Or without, if a function is called; a failed one with the number of MySQL's error."""
    where, heard = parse_mysql_config(mysql_url).server(), listened(client, Loading, Load)
    await client.execute("DO 1")  # connects
    await read(client)
    await client.with_cache(lambda: 1, "v1")
    with pytest.raises(pymysql.OperationalError):
        await client.query_with_cache(COLUMN, [1])

    loading, loads = heard[::2], heard[1::2]
    server = where._replace(system=server_flavour)
    assert [each.server for each in loading] == [server, None, server]
    assert [(each.error, each.code) for each in loads] == [
        *[(None, None), (None, None)],
        ("OperationalError", 1054),
    ]


async def test_who_asks_for_loads_and_drops_alone_slows_no_hit(client: Any, users: Connection) -> None:
    """Reads are followed only for those who ask what becomes of them."""
    heard = listened(client, Load, Drop)
    assert not client._core.observer.is_on
    await read(client)
    end = client.inner.events.subscribe(heard.append, [Hit])
    assert client._core.observer.is_on
    end()

    assert not client._core.observer.is_on
    assert [(type(each), each.read) for each in heard] == [(Load, 0)]


async def test_whole_keys_are_told_to_those_who_ask(client: Any, users: Connection) -> None:
    """They have values in front."""
    heard = listened(client, Hit, Miss, keys=True)
    await read(client)

    assert [each.key for each in heard] == [client.get_key_from_query(USER, [123], ["UserId"])]


async def test_a_refused_fill_is_told(client: Any, users: Connection, redis_url: str) -> None:
    """A drop that comes while rows are loaded has them not cached."""
    heard = listened(client, Fill, RefusedFill)

    def load_and_drop() -> int:
        with MRCServer(redis_url) as server:
            server.drop_outdated_cache(["UserId"], [123])
        return 7

    await client.with_cache(load_and_drop, "f", [123], ["UserId"])

    assert [type(each) for each in heard] == [RefusedFill]
    assert client.stats().queries[0].refusal == "a drop came while it was loaded"


async def test_stale_answers_are_told(client: Any, users: Connection, redis_client: redis.Redis) -> None:
    """Those that are being refreshed, and those given because the load failed."""
    heard = listened(client, Stale, Refresh, Fill)
    await read(client, stale_while_revalidate=100)
    age(redis_client, client, 50)
    await read(client, stale_while_revalidate=100)
    await until(lambda: len([each for each in heard if type(each) is Fill]) == 2, "the refresh")

    assert [type(each) for each in heard if type(each) is not Fill] == [Refresh, Stale]
    assert (client.stats().stale, client.stats().refreshes) == (1, 1)

    def fail() -> int:
        raise LookupError("no weather")

    await client.with_cache(lambda: 7, "w", ttl=100, stale_if_error=100)
    redis_client.pexpire(client.get_key_from_query("w"), 50_000)
    assert await client.with_cache(fail, "w", ttl=100, stale_if_error=100) == 7
    assert type(heard[-1]) is Stale
    assert heard[-1].reason == "the load failed"
    assert client.stats().stale == 2


async def test_writes_are_told(client: Any, users: Connection) -> None:
    """Those of the client and of its transactions, with how many rows they changed."""
    heard = listened(client, Write)
    await client.execute("UPDATE users SET name = ? WHERE id = ?", ["Ada L.", 123])
    async with client.transaction() as tx:
        await tx.execute("UPDATE users SET name = ?", ["Ann"])

    assert [(each.query, each.rows) for each in heard] == [
        ("UPDATE users SET name = ? WHERE id = ?", 1),
        ("UPDATE users SET name = ?", 3),
    ]


async def test_redis_down_and_up_are_told(
    make_client: Callable[..., Any], proxy_to: Callable[..., Proxy], redis_url: str, users: Connection
) -> None:
    """Once each, as the log has it."""
    proxy = proxy_to(redis_url)
    client = make_client(redis=proxy.url)
    heard = listened(client, RedisDown, RedisUp)
    await read(client)
    proxy.stop()
    await read(client)
    unavailable = client.stats().unavailable
    while not client.stats().redis_down:
        await read(client)
    proxy.start()

    while client.stats().hits == 0:
        await read(client)
    await until(lambda: len(heard) == 2, "Redis is back")
    assert [type(each) for each in heard] == [RedisDown, RedisUp]
    assert unavailable == 1
    assert client.stats().redis_down == 0


async def test_waits_for_a_connection_are_told(
    make_client: Callable[..., Any], mysql_url: str, users: Connection
) -> None:
    """Those that came to an end, and those in vain."""
    client = make_client(mysql=f"{mysql_url}?maxsize=1&pool_timeout=0.2")
    heard = listened(client, PoolWait, PoolTimeout)
    await client.query("SELECT 1")  # connects

    answers = await client.together(
        [lambda: client.query("SELECT SLEEP(0.05)"), lambda: client.query("SELECT SLEEP(0.05)")]
    )
    assert not [each for each in answers if isinstance(each, Exception)]
    answers = await client.together(
        [lambda: client.query("SELECT SLEEP(1)"), lambda: client.query("SELECT SLEEP(1)")]
    )

    assert [type(each) for each in heard] == [PoolWait, PoolTimeout]
    assert heard[1].seconds >= 0.2
    stats = client.stats()
    assert (stats.pool_waits, stats.pool_timeouts) == (1, 1)
    assert stats.pool_wait_seconds >= 0.2
    await until(lambda: client.stats().pool_in_use == 0, "the statement in vain was not sent")
    assert (stats.pool_size, client.stats().pool_idle) == (1, 1)


async def test_a_hook_that_raises_harms_no_read(
    client: Any, users: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once."""

    def fail(event: object) -> None:
        raise LookupError("the hook's own trouble")

    client.inner.events.subscribe(fail)
    caplog.set_level(logging.ERROR)
    for _ in range(3):
        assert await read(client) == [{"name": "Ada"}]

    assert len([each for each in caplog.records if each.exc_info]) == 1


async def test_a_hook_may_come_with_the_options(
    make_client: Callable[..., Any], users: Connection, redis_url: str
) -> None:
    """It hears everything from the first event on; of a server's drops, too."""
    heard: list[Any] = []
    client = make_client(on_event=heard.append)
    await read(client)
    await read(client)
    with MRCServer(redis_url, on_event=heard.append) as server:
        server.drop_outdated_cache(["UserId"], [123])

    assert [type(each).__name__ for each in heard] == ["Loading", "Load", "Fill", "Miss", "Hit", "Drop"]


@pytest.mark.parametrize("make", [lambda: MRCClient({}, None, on_event=1), lambda: MRCServer({}, on_event=1)])
def test_a_hook_that_cannot_be_called_is_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match="must be a function of one, not int"):
        make()


async def test_reads_that_are_no_hits_are_logged_for_who_debugs(
    client: Any, users: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    """One line for each, with what it came from and why; no value of a param."""
    caplog.set_level(logging.DEBUG, "mysql_redis_cache.reads")
    await read(client)
    await read(client)
    await read(client, cache=False, label="user_name")

    lines = [each.getMessage() for each in caplog.records if each.name == "mysql_redis_cache.reads"]
    assert len(lines) == 2
    digest = client.get_key_from_query(USER, [123], ["UserId"])[-40:]
    assert lines[0].startswith(f"read SHA-1 …{digest}: loaded in ")
    assert lines[0].endswith(" ms, it was not cached")
    assert lines[1].startswith("read user_name: bypassed in ")
    assert lines[1].endswith(" ms, cache=False")


async def test_nobody_listens_any_more(client: Any, users: Connection) -> None:
    """After unsubscribing, reads go unwatched again."""
    heard: list[Any] = []
    unsubscribe = client.inner.events.subscribe(heard.append)
    await read(client)
    unsubscribe()
    count = len(heard)
    await read(client)

    assert count
    assert len(heard) == count
    assert client._core.watch.events.heard == ()


async def test_a_line_sums_up_now_and_then(
    make_client: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """By a thread of its own, which ends with the client; a quiet time has none."""
    caplog.set_level(logging.INFO, "mysql_redis_cache.stats")
    client = make_client(name="web", log_stats=1)
    await client.with_cache(lambda: 1, "v1")
    await client.with_cache(lambda: 1, "v1")

    def lines() -> list[str]:
        return [each.getMessage() for each in caplog.records if each.name == "mysql_redis_cache.stats"]

    def threads() -> list[threading.Thread]:
        return [each for each in threading.enumerate() if each.name == "mysql_redis_cache-stats"]

    await until(lines, "the line")
    assert lines()[0].startswith("web: 2 reads, 50.0 % hits, 1 loads of ")
    assert lines()[0].endswith(" in 1 s")
    await client.aclose()
    await until(lambda: not threads(), "the end of the thread")


@pytest.mark.parametrize(("value", "error"), [(0.5, ValueError), ("60", TypeError), (True, TypeError)])
async def test_bad_intervals_are_refused(
    make_client: Callable[..., Any], value: Any, error: type[Exception]
) -> None:
    """When the client is made."""
    with pytest.raises(error, match="log_stats"):
        make_client(log_stats=value)
