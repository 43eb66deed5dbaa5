"""The master that Sentinel names: found, lost, and found again elsewhere."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING

import pytest
import redis
from redis.sentinel import Sentinel

from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.server import MRCServer
from mysql_redis_cache.store import Server, link
from mysql_redis_cache.store.entries import Entries
from tests.support.cluster import eventually
from tests.support.forks import in_child
from tests.support.populating import entry, fill_users
from tests.support.sentinels import SERVICE, PrivateSentinel, PrivateSentinels
from tools.private_servers import free_port
from tools.programs import find_redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tools.private_servers import PrivateRedis

# The servers have to reach each other on their own ports, which containers do not have here.
pytestmark = pytest.mark.skipif(find_redis() is None, reason="Sentinel needs redis-server on the PATH")


@pytest.fixture(scope="module")
def watched() -> Iterator[PrivateSentinels]:
    with PrivateSentinels() as made:
        yield made


@pytest.fixture
def way(watched: PrivateSentinels) -> Iterator[Server]:
    with watched.client() as client:
        made = link(client)
    assert isinstance(made, Server)
    with closing(made), redis.Redis(port=watched.master.port) as admin:
        admin.flushall()
        yield made


def address(way: Server) -> int:
    """The port of the server that answers."""
    config = way.call(b"CONFIG", b"GET", b"port")
    return int(config[1])


def hold(way: Server, count: int) -> None:
    """Have so many connections open, idle."""
    with ExitStack() as held:
        for _ in range(count):
            held.enter_context(way.pinned())
    assert len(way._connections._idle) == count


def recovered(way: Server) -> bool:
    with suppress(CacheUnavailable):
        return bool(way.call(b"SET", b"key", b"x"))
    return False


def test_the_master_is_asked_for_and_used(way: Server, watched: PrivateSentinels) -> None:
    """Entries live on the master, and drops find them there."""
    entries = Entries(way, 10)
    name = entries.name(entry(1).decode(), ("UserId=1",), "", 60, indexed=True)
    assert name is not None
    assert entries.acquire(name, b"token", -1.0) is True
    assert entries.fill(name, b"token", b"[]", 60) is True

    assert address(way) == watched.master.port
    with watched.client() as client, MRCServer(client, index=True, wait_replicas=2) as server:
        assert server.drop_outdated_cache(["UserId"], [1]) == 1


def test_a_failover_in_order_is_followed(way: Server, watched: PrivateSentinels) -> None:
    """As soon as the old master has become a replica, no idle connection to it is used again."""
    before = watched.master
    hold(way, 3)
    after = watched.fail_over()
    revive(before, watched)
    eventually(lambda: recovered(way), "recovery")

    assert address(way) == after.port
    assert {connection.port for connection in way._connections._idle} == {after.port}


def test_a_master_that_dies_is_replaced(way: Server, watched: PrivateSentinels) -> None:
    """Until then calls fail in bounded time; drops raise, or keep trying until they succeed."""
    before = watched.master
    with redis.Redis(port=before.port) as admin:
        fill_users(admin, range(1, 3))
        assert admin.wait(2, 5000) == 2
    with watched.client() as client, MRCServer(client) as server:
        hold(way, 2)
        before.kill()
        began = time.monotonic()
        for _ in range(3):
            with pytest.raises(CacheUnavailable):
                way.call(b"GET", b"key")
        assert time.monotonic() - began < 3
        with pytest.raises(CacheUnavailable):
            server.drop_outdated_cache(["UserId"], [1])

        assert server.drop_outdated_cache(["UserId"], [1], retry_for=20) == 1
    after = watched.await_master_other_than(before)
    eventually(lambda: recovered(way), "recovery")
    assert way.get_many([entry(1, 0), entry(2, 0)]) == [None, b"[]"]
    assert address(way) == after.port
    revive(before, watched)


def test_a_frozen_master_is_left_for_good(way: Server, watched: PrivateSentinels) -> None:
    """When it thaws it thinks itself the master for a while: what it still holds must not be read."""
    before = watched.master
    way.call(b"SET", b"key", b"old")
    hold(way, 3)
    before.suspend()
    try:
        began = time.monotonic()
        with pytest.raises(CacheUnavailable):
            way.call(b"GET", b"key")
        assert time.monotonic() - began < 1
        watched.await_master_other_than(before)
        eventually(lambda: recovered(way), "recovery")
        way.call(b"SET", b"key", b"new")
    finally:
        before.resume()

    for _ in range(20):
        assert way.call(b"GET", b"key") == b"new"
    assert before.port not in {connection.port for connection in way._connections._idle}
    revive(before, watched)


def revive(server: PrivateRedis, watched: PrivateSentinels) -> None:
    """Start what was killed, and have it follow the master, as the sentinels would in ten seconds."""
    server.start()
    with redis.Redis(port=server.port) as client:
        client.replicaof("127.0.0.1", watched.master.port)
        eventually(lambda: client.info("replication").get("master_link_status") == "up", "the return")


@pytest.mark.parametrize("how", ["dead", "silent"])
def test_a_sentinel_that_does_not_answer_costs_little(how: str, watched: PrivateSentinels) -> None:
    """redis-py alone would ask it ten times; another one is asked soon, and first the next time."""
    first = watched.sentinels[0]
    addresses = [("127.0.0.1", free_port() if how == "dead" else first.port)]
    addresses.append(("127.0.0.1", watched.sentinels[1].port))
    made = link(Sentinel(addresses).master_for(SERVICE))
    if how == "silent":
        first.suspend()
    try:
        with closing(made):
            began = time.monotonic()
            assert made.call(b"PING") == b"PONG"
            assert time.monotonic() - began < 1
            made.drain()
            began = time.monotonic()
            assert made.call(b"PING") == b"PONG"
            assert time.monotonic() - began < 0.2
    finally:
        first.resume()


def test_no_sentinel_at_all_is_an_outage() -> None:
    """At once, and the message says who was looked for."""
    made = link(Sentinel([("127.0.0.1", free_port()), ("127.0.0.1", free_port())]).master_for(SERVICE))
    with closing(made), pytest.raises(CacheUnavailable, match=f"No master found for '{SERVICE}'"):
        made.call(b"PING")


def test_a_child_asks_for_itself(way: Server) -> None:
    """It has connections, and sentinels, of its own."""
    own = way.call(b"CLIENT", b"ID")
    told = in_child(lambda: [way.call(b"CLIENT", b"ID"), way.call(b"CLIENT", b"ID")])

    assert told[0] == told[1] != own
    assert way.call(b"CLIENT", b"ID") == own


def test_a_master_that_is_announced_by_name_is_reached_by_it(
    private_redis: Callable[..., PrivateRedis],
) -> None:
    """As where certificates hold names: nothing of it is resolved on the way."""
    master = private_redis()
    with PrivateSentinel(master.port, "localhost") as sentinel:
        client = Sentinel([("localhost", sentinel.port)]).master_for(SERVICE)
        with closing(link(client)) as made, MRCServer(client) as server:
            assert made.call(b"SET", entry(1), b"[]") == b"OK"
            with made.pinned() as pinned:
                assert (pinned._connection.host, pinned._connection.port) == ("localhost", master.port)
            assert server.drop_outdated_cache(["UserId"], [1]) == 1


def test_a_ready_clients_number_of_connections_counts(watched: PrivateSentinels) -> None:
    """As it is for a client of one server."""
    with watched.client(max_connections=7) as client, closing(link(client)) as made:
        assert isinstance(made, Server)
        assert made._connections._limit == 7
