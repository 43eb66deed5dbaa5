"""What was loaded or written and cannot be kept leaves nothing older behind; replicas are waited for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import redis

from mysql_redis_cache import CacheUnavailable, DropTimeout
from mysql_redis_cache.drops import dropping
from tests.client.drivers import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.proxy import Proxy
    from tools.private_servers import PrivateRedis

pytestmark = pytest.mark.anyio

OLD, LARGE = "old", "n" * 200
PARAMS, NAMES = [1], ["Id"]


class Source:
    """Gives the value that it holds."""

    def __init__(self) -> None:
        self.value = OLD

    def __call__(self) -> str:
        return self.value


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def full(private_redis: Callable[..., PrivateRedis]) -> Iterator[tuple[PrivateRedis, redis.Redis]]:
    """A Redis that can be filled up, and a way to do so: ``config_set("maxmemory", 1)``."""
    server = private_redis("--maxmemory-policy", "noeviction")
    with redis.Redis.from_url(server.url) as admin:
        yield server, admin


async def get(client: Any, source: Source, **options: Any) -> Any:
    return await client.with_cache(source, "sig", PARAMS, NAMES, **options)


@pytest.mark.parametrize("index", [False, True])
async def test_a_refresh_that_is_too_large_deletes_the_old_entry(
    index: bool, make_client: Callable[..., Any], source: Source, redis_client: redis.Redis
) -> None:
    """The caller has seen the new value, so no later read may give the old one."""
    client = make_client(max_entry_bytes=100, index=index)
    await get(client, source)
    source.value = LARGE

    assert await get(client, source, refresh=True) == LARGE
    assert redis_client.keys("Id=*") == []
    assert redis_client.keys("*:lease") == []
    assert await get(client, source) == LARGE


async def test_so_does_one_of_many(make_client: Callable[..., Any], redis_client: redis.Redis) -> None:
    """Each by itself."""
    client = make_client(max_entry_bytes=20)
    small, large = ("SELECT 1 AS a", [], []), ("SELECT REPEAT('x', ?) AS a", [100], ["Id"])
    key = client.get_key_from_query(*large)
    redis_client.set(key, "[]")
    await client.query_many_with_cache([small, large], refresh=True)

    assert not redis_client.exists(key)
    assert redis_client.exists(client.get_key_from_query(*small))


@pytest.mark.parametrize("left", [50, 150], ids=["past its ttl", "early"])
async def test_a_refresh_behind_the_readers_back_that_is_too_large_deletes_the_old_entry(
    left: int, make_client: Callable[..., Any], source: Source, redis_client: redis.Redis, monkeypatch: Any
) -> None:
    """The next read loads, instead of the old value being served to the end of its grace."""
    early = left > 100
    client = make_client(
        max_entry_bytes=100, **({"early_refresh": 1} if early else {"stale_while_revalidate": 100})
    )
    await get(client, source, ttl=100)
    if early:
        client._core.load_times.blend("sig", 1e6)
    (key,) = redis_client.keys("Id=*")
    redis_client.expire(key, left)
    source.value = LARGE

    assert await get(client, source, ttl=100) == OLD
    await until(lambda: not redis_client.exists(key), "the end of the old entry")
    assert await get(client, source, ttl=100) == LARGE


async def test_a_load_over_an_entry_in_its_grace_that_is_too_large_deletes_it(
    make_client: Callable[..., Any], source: Source, redis_client: redis.Redis
) -> None:
    """Otherwise a failing load would give what is older than what was seen already."""
    client = make_client(max_entry_bytes=100, stale_if_error=100)
    await get(client, source, ttl=100)
    (key,) = redis_client.keys("Id=*")
    redis_client.expire(key, 50)
    source.value = LARGE

    assert await get(client, source, ttl=100) == LARGE
    assert not redis_client.exists(key)


@pytest.mark.parametrize("filled", ["before the refresh", "during the load"])
@pytest.mark.parametrize("index", [False, True])
async def test_a_full_redis_keeps_no_old_entry_of_a_refresh(
    filled: str,
    index: bool,
    make_client: Callable[..., Any],
    source: Source,
    full: tuple[PrivateRedis, redis.Redis],
) -> None:
    """It refuses the lease, or the new value; deleting it does not refuse."""
    server, admin = full
    client = make_client(redis=server.url, index=index)
    await get(client, source)
    (key,) = admin.keys("Id=*")

    def load() -> str:
        admin.config_set("maxmemory", 1)
        return "new"

    if filled.startswith("before"):
        admin.config_set("maxmemory", 1)
    assert await client.with_cache(load, "sig", PARAMS, NAMES, refresh=True) == "new"
    assert not admin.exists(key)


@pytest.mark.parametrize("index", [False, True])
async def test_a_full_redis_keeps_no_old_entry_of_a_write(
    index: bool, make_client: Callable[..., Any], source: Source, full: tuple[PrivateRedis, redis.Redis]
) -> None:
    """The write raises, and what it was to replace is gone."""
    server, admin = full
    client = make_client(redis=server.url, index=index)
    await get(client, source)
    admin.config_set("maxmemory", 1)

    with pytest.raises(CacheUnavailable, match="maxmemory"):
        await client.write_to_cache("sig", "new", PARAMS, NAMES)
    assert admin.keys("Id=*") == []


async def test_a_refresh_without_redis_deletes_the_old_entry_later(
    make_client: Callable[..., Any],
    source: Source,
    redis_url: str,
    redis_client: redis.Redis,
    proxy_to: Callable[..., Proxy],
) -> None:
    """As soon as Redis answers this client again."""
    proxy = proxy_to(redis_url)
    client = make_client(redis=proxy.url)
    await get(client, source)
    (key,) = redis_client.keys("Id=*")
    proxy.stop()
    source.value = "new"
    for _ in range(3):
        assert await get(client, source, refresh=True) == "new"
    proxy.start()

    give_up = time.monotonic() + 15
    while redis_client.exists(key):
        assert time.monotonic() < give_up
        await client.read_from_cache("another")
    assert await get(client, source) == "new"


async def test_a_refresh_that_lost_its_lease_deletes_the_old_entry(
    client: Any, source: Source, redis_client: redis.Redis
) -> None:
    """Its rows are refused, and the entry that they were to replace is not kept for that."""
    await get(client, source)
    (key,) = redis_client.keys("Id=*")

    def load() -> str:
        redis_client.delete(*redis_client.keys("*:lease"))
        return "new"

    assert await client.with_cache(load, "sig", PARAMS, NAMES, refresh=True) == "new"
    assert not redis_client.exists(key)


# Replicas


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for replicas that are not there."""
    monkeypatch.setattr(dropping, "KEY_TIMEOUT", 0.3)


async def test_dropping_one_query_waits_for_replicas(
    make_client: Callable[..., Any], redis_client: redis.Redis
) -> None:
    """There is none, so it does not claim success; the second time there is nothing to delete, nor then."""
    client = make_client(wait_replicas=1)
    await client.query_with_cache("SELECT 1 AS a")
    for dropped in (1, 0):
        began = time.monotonic()
        with pytest.raises(DropTimeout, match=r"within 0.3 s \(waiting for 1 replica") as caught:
            await client.drop_query("SELECT 1 AS a", timeout=0.3)
        assert caught.value.dropped == dropped
        assert time.monotonic() - began < 3
    assert redis_client.keys("*a017*") == []


@pytest.mark.usefixtures("impatient")
async def test_a_write_that_is_too_large_waits_for_replicas(make_client: Callable[..., Any]) -> None:
    """It is a deletion of what is cached."""
    client = make_client(wait_replicas=1, max_entry_bytes=10)
    await client.write_to_cache("sig", 1)
    with pytest.raises(DropTimeout, match="waiting for 1 replica"):
        await client.write_to_cache("sig", LARGE)


async def test_with_its_replica_one_query_is_dropped(
    make_client: Callable[..., Any], private_redis: Callable[..., PrivateRedis]
) -> None:
    """When it returns the replica has the deletion."""
    primary = private_redis("--repl-diskless-sync-delay", "0")
    replica = private_redis("--replicaof", "127.0.0.1", str(primary.port))
    client = make_client(redis=primary.url, wait_replicas=1)
    with redis.Redis.from_url(replica.url) as copy:
        await until(lambda: copy.info("replication")["master_link_status"] == "up", "the replica")
        for number in range(20):
            await client.write_to_cache("sig", 1, [number], NAMES)
            assert await client.drop_query("sig", [number], NAMES) is True
            assert copy.keys("Id=*") == []
