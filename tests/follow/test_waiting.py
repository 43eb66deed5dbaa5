"""Who has written reads afterwards what was written: ``wait_for``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from mysql_redis_cache import (
    AsyncMRCClient,
    AsyncMRCServer,
    CacheUnavailable,
    ClosedError,
    FollowTimeout,
    MRCClient,
    MRCServer,
)
from tests.support.following import Cached, following, rules_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mysql_redis_cache.follow import Follower
    from tests.support.binlogs import LoggedServer

pytestmark = pytest.mark.real

NEVER = "11111111-1111-1111-1111-111111111111:7"
TABLE = ("CREATE TABLE t (id INT PRIMARY KEY, k INT, v INT)", "INSERT INTO t VALUES (1, 1, 0), (2, 2, 0)")


@pytest.fixture
def followed(cached: Cached, redis_url: str) -> Iterator[Follower]:
    """A follower of a table, and an entry of each row."""
    cached.server.run(*TABLE)
    rules = rules_for(cached.server.schema, {"t": {"k": "k"}})
    with following(cached.server.url, redis_url, rules) as follower:
        yield follower


def written(cached: Cached, value: int) -> str:
    """Write behind the cache's back; return the GTID."""
    gtid = cached.client.execute("UPDATE t SET v = ? WHERE id = 1", [value]).gtid
    assert gtid is not None
    return gtid


def test_a_read_after_the_wait_sees_the_write(cached: Cached, followed: Follower, redis_url: str) -> None:
    """Each time, and whoever waits: the client, a server, or of a transaction."""
    with MRCServer(redis_url) as server:
        for value, waiter in enumerate([cached.client, server] * 10, 1):
            cached.read("t", k=1)
            waiter.wait_for(written(cached, value))
            assert [row["v"] for row in cached.read("t", k=1)] == [value]
    with cached.client.transaction() as tx:
        tx.execute("UPDATE t SET v = 100 WHERE id = 1")
    cached.client.wait_for(tx.gtid, 10)
    assert [row["v"] for row in cached.read("t", k=1)] == [100]


def test_a_write_that_no_rule_is_about_is_waited_for_too(cached: Cached, followed: Follower) -> None:
    """Though there is nothing to drop."""
    gtid = cached.client.execute("CREATE TABLE others (id INT)").gtid
    cached.client.wait_for(gtid, 10)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_coroutines_wait_in_the_event_loop(
    cached: Cached, followed: Follower, redis_url: str, backend: str
) -> None:
    """Many at once, and the loop goes on meanwhile."""

    async def main() -> None:
        async with (
            AsyncMRCClient(cached.server.url, redis_url) as client,
            AsyncMRCServer(redis_url) as server,
        ):
            async with client.transaction() as tx:
                await tx.execute("UPDATE t SET v = v + 1 WHERE id = 2")
            async with anyio.create_task_group() as tasks:
                for waiter in [client, server] * 30:
                    tasks.start_soon(waiter.wait_for, tx.gtid)
            with pytest.raises(FollowTimeout):
                await server.wait_for(NEVER, 0.05)

    cached.read("t", k=2)
    anyio.run(main, backend=backend)
    assert not cached.is_cached("t", k=2)


def test_a_wait_has_an_end(cached: Cached, redis_url: str) -> None:
    """Without a follower the error says that there is none; with one that stands still, that it is late."""
    cached.server.run(*TABLE)
    rules = rules_for(cached.server.schema, {"t": {"k": "k"}})
    gtid = written(cached, 1)
    began = time.monotonic()
    with pytest.raises(FollowTimeout, match="the follower 'default' is not known to this Redis") as raised:
        cached.client.wait_for(gtid, 0.1)
    assert 0.1 <= time.monotonic() - began < 2
    assert (raised.value.seconds, raised.value.name, raised.value.is_known) == (0.1, "default", False)

    with following(cached.server.url, redis_url, rules, name="other"):
        cached.client.wait_for(gtid, name="other")
    gtid = written(cached, 2)
    with pytest.raises(FollowTimeout, match="'other' has not dropped what the write made outdated"):
        cached.client.wait_for(gtid, 0, name="other")


@pytest.mark.parametrize(
    ("gtid", "error", "said"),
    [
        (None, ValueError, "it changed nothing, or the server keeps no binary log"),
        ("", ValueError, "is no GTID"),
        ("7", ValueError, "is no GTID"),
        (7, TypeError, "must be a str, not int"),
    ],
)
def test_what_is_no_gtid_is_refused(gtid: Any, error: type[Exception], said: str) -> None:
    """Before anything is sent."""
    with MRCServer("redis://127.0.0.1:1/0") as server, pytest.raises(error, match=said):
        server.wait_for(gtid)


def test_a_namespace_has_followers_of_its_own(cached: Cached, followed: Follower, redis_url: str) -> None:
    """Those of another are not asked."""
    with MRCServer(redis_url, namespace="shop") as server, pytest.raises(FollowTimeout):
        server.wait_for(written(cached, 1), 0.05)


def test_without_redis(server: LoggedServer) -> None:
    """A client without a cache waits for nothing; one whose Redis is away, and one that is closed, raise."""
    with MRCClient(server.url) as client:
        client.wait_for(NEVER)
    with pytest.raises(ClosedError):
        client.wait_for(NEVER)
    with MRCServer("redis://127.0.0.1:1/0") as away, pytest.raises(CacheUnavailable):
        away.wait_for(NEVER)
