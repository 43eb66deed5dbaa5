"""Redis away, frozen, slow, full or locked: reads are answered from MySQL, drops raise, and both soon."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import redis

from mysql_redis_cache import CacheUnavailable, MRCClient, MRCServer
from mysql_redis_cache.readthrough.breaker import Breaker
from tests.support.forks import in_child
from tests.support.urls import patient
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymysql.connections import Connection

    from tests.support.proxy import Proxy
    from tools.private_servers import PrivateRedis

QUERY = "SELECT id, name FROM outage_users WHERE id = ?"
# Generous, for a busy machine; the figures that count are in docs/explanation/outages.md.
SOON = 3.0


@pytest.fixture(autouse=True)
def users(mysql_admin: Connection) -> None:
    """A table to ask."""
    with mysql_admin.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS outage_users (id INT PRIMARY KEY, name VARCHAR(20))")
        cursor.execute("REPLACE INTO outage_users VALUES (1, 'ann'), (2, 'bob')")


@pytest.fixture
def server(private_redis: Callable[..., PrivateRedis]) -> PrivateRedis:
    """A Redis to torment."""
    return private_redis()


@pytest.fixture
def client(mysql_url: str, server: PrivateRedis) -> Iterator[MRCClient]:
    """A client of that Redis."""
    with MRCClient(mysql_url, server.url) as client:
        yield client


def read(client: MRCClient, number: int = 1) -> Any:
    return client.query_with_cache(QUERY, [number], ["UserId"], 60)


ANN = [{"id": 1, "name": "ann"}]


def kill(server: PrivateRedis) -> None:
    server.kill()


def freeze(server: PrivateRedis) -> None:
    server.suspend()


@pytest.mark.parametrize("strike", [kill, freeze])
@pytest.mark.parametrize("retry_for", [0.0, 0.5])
def test_a_drop_raises_soon(
    server: PrivateRedis, strike: Callable[[PrivateRedis], None], retry_for: float
) -> None:
    """A drop that could not reach Redis is never silent, nor longer under way than it was allowed."""
    strike(server)
    with MRCServer(f"{server.url}?socket_timeout=0.3&socket_connect_timeout=0.3") as dropper:
        began = time.monotonic()
        with pytest.raises(CacheUnavailable):
            dropper.drop_outdated_cache(["UserId"], [1], retry_for=retry_for)
        took = time.monotonic() - began
    print(f"{strike.__name__}, retry_for={retry_for:g}: raised after {took:.2f} s")
    assert max(0, retry_for - 0.2) < took < retry_for + SOON


def test_retry_for_outlasts_a_short_outage(client: MRCClient, server: PrivateRedis) -> None:
    """With retry_for the drop happens once Redis is back."""
    read(client)
    server.suspend()
    waker = threading.Timer(0.7, server.resume)
    waker.start()
    assert client.drop_outdated_cache(["UserId"], [1], retry_for=10) == 1
    waker.join()


def test_retry_for_outlasts_a_restart_during_a_drop(
    server: PrivateRedis, proxy_to: Callable[..., Proxy]
) -> None:
    """Redis dies in the middle of a walk and comes back with what it had: the drop deletes and counts it."""
    names = [f"UserId={number % 2}_N={number}_{'0' * 40}" for number in range(30_000)]
    restarting = threading.Thread(target=server.start)
    replies = iter(range(1_000_000))

    def die_in_the_middle(data: bytes) -> bytes:
        if next(replies) == 8:
            server.kill()
            restarting.start()
        return data

    proxy = proxy_to(server.url)
    with redis.Redis.from_url(server.url) as admin, MRCServer(proxy.url) as dropper:
        admin.mset(dict.fromkeys(names, "[]"))
        admin.save()
        proxy.corrupt(die_in_the_middle)
        assert dropper.drop_outdated_cache(["UserId"], [1], retry_for=30) == len(names) // 2
        restarting.join(30)
        assert admin.dbsize() == len(names) // 2


def test_a_dripping_redis_costs_a_bounded_time(
    mysql_url: str, server: PrivateRedis, proxy_to: Callable[..., Proxy]
) -> None:
    """A reply that trickles in byte by byte is given up, though each byte comes in time."""
    proxy = proxy_to(server.url)
    with MRCClient(mysql_url, f"{proxy.url}?socket_timeout=0.125") as client:
        with MRCClient(mysql_url, server.url) as writer:
            writer.write_to_cache(QUERY, [{"id": 1, "name": "x" * 2000}], [1], ["UserId"], 60)
        proxy.drip(1, 0.05)
        began = time.monotonic()
        assert read(client) == ANN
        took = time.monotonic() - began
    print(f"given up after {took:.2f} s")
    assert took < SOON


class Flip:
    """Inverts the byte at one place of all that passes."""

    def __init__(self, place: int) -> None:
        self._left = place

    def __call__(self, data: bytes) -> bytes:
        place, self._left = self._left, self._left - len(data)
        if not 0 <= place < len(data):
            return data
        return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def cut(proxy: Proxy, place: int) -> None:
    proxy.cut_after(place)


def flip(proxy: Proxy, place: int) -> None:
    proxy.corrupt(Flip(place))


@pytest.mark.parametrize("harm", [cut, flip])
@pytest.mark.parametrize("is_cached", [True, False], ids=["hit", "miss"])
def test_replies_harmed_at_any_byte(
    mysql_url: str,
    server: PrivateRedis,
    proxy_to: Callable[..., Proxy],
    harm: Callable[[Proxy, int], None],
    is_cached: bool,
) -> None:
    """Whichever byte of Redis's replies is lost or wrong, the rows are right, and so are the next."""
    proxy = proxy_to(server.url)
    with MRCClient(mysql_url, proxy.url) as client, redis.Redis.from_url(server.url) as admin:
        key = client.get_key_from_query(QUERY, [1], ["UserId"])
        for place in range(30):
            assert read(client) == ANN
            if not is_cached:
                admin.delete(key)
            harm(proxy, place)
            assert read(client) == ANN
            proxy.corrupt(None)
            proxy.cut_after(1 << 30)
            assert read(client) == ANN
            assert wait_until(lambda: read(client) == ANN and admin.exists(key))


def test_a_slow_redis_still_answers(
    mysql_url: str, server: PrivateRedis, proxy_to: Callable[..., Proxy]
) -> None:
    """Below the timeout, slow is only slow."""
    proxy = proxy_to(server.url)
    with MRCClient(mysql_url, patient(proxy.url)) as client:
        read(client)
        proxy.delay(0.05)
        assert read(client) == ANN
        assert client.stats()["hits"] == 1


def test_a_replaced_redis_is_a_cold_cache(client: MRCClient, server: PrivateRedis) -> None:
    """An empty server in its place: connections and scripts are made anew."""
    read(client)
    server.kill()
    server.restart()
    until = time.monotonic() + 10
    while client.stats().get("fills", 0) < 2 and time.monotonic() < until:
        assert read(client) == ANN
    assert client.stats()["fills"] >= 2


def ghost(client: MRCClient, server: PrivateRedis) -> None:
    """Ask for the lease of a Redis that will hear of it when nobody waits any more."""
    client.query_with_cache(QUERY, [2], ["UserId"], 60, refresh=True)  # so that it knows the script
    server.suspend()
    assert client.query_with_cache(QUERY, [1], ["UserId"], 60, refresh=True) == ANN


def widow(client: MRCClient, server: PrivateRedis) -> None:
    """Hold a lease when Redis is given up."""

    def load() -> Any:
        server.suspend()
        for _ in range(3):
            read(client, 2)
        return ANN

    assert client.with_cache(load, QUERY, [1], ["UserId"], 60) == ANN


@pytest.mark.parametrize("leave", [ghost, widow])
def test_no_lease_outlives_an_outage(
    mysql_url: str,
    server: PrivateRedis,
    monkeypatch: pytest.MonkeyPatch,
    leave: Callable[[MRCClient, PrivateRedis], None],
) -> None:
    """A lease nobody knows of is given back when Redis answers again, or others would wait for its end."""
    monkeypatch.setattr(Breaker.__init__, "__defaults__", (2, 0.05, 0.2))
    with MRCClient(mysql_url, server.url) as client, redis.Redis.from_url(server.url) as admin:
        leave(client, server)
        server.resume()
        assert wait_until(lambda: list(admin.scan_iter("*:lease")))
        assert wait_until(lambda: read(client, 2) and not list(admin.scan_iter("*:lease")), 5)


def test_idle_connections_that_redis_closed(mysql_url: str, server: PrivateRedis) -> None:
    """Killed by an administrator, or by Redis's own timeout, they are replaced without anybody noticing."""
    with MRCClient(mysql_url, patient(server.url)) as client, redis.Redis.from_url(server.url) as admin:
        read(client)
        for _ in range(3):
            assert admin.client_kill_filter(_type="normal", skipme=True)
            assert read(client) == ANN
            assert client.drop_outdated_cache(["UserId"], [1]) == 1
            assert read(client) == ANN
        assert client.stats().get("cache_failures", 0) == 0


def test_a_loader_that_is_killed_delays_the_others_by_its_lease(mysql_url: str, server: PrivateRedis) -> None:
    """Nobody robs it of its lease, which ends by itself; then somebody else loads, and fills."""

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with MRCClient(mysql_url, patient(server.url)) as client:
        with pytest.raises(AssertionError, match="did not answer"):
            in_child(lambda: client.with_cache(die, QUERY, [1], ["UserId"], 60))
        with redis.Redis.from_url(server.url) as admin:
            (lease,) = admin.scan_iter("*:lease")
            left = admin.pttl(lease)
            admin.pexpire(lease, 300)  # as if most of it were over
        began = time.monotonic()
        assert read(client) == ANN
        assert time.monotonic() - began > 0.25
        assert 5_000 < left <= 10_000
        assert client.stats()["fills"] == 1
