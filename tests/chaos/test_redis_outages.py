"""Redis away, frozen, slow, full or locked: reads are answered from MySQL, drops raise, and both soon."""

from __future__ import annotations

import logging
import threading
import time
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import CacheUnavailable, MRCClient, MRCServer

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
def test_readers_survive_redis_dying_under_them(
    client: MRCClient, server: PrivateRedis, strike: Callable[[PrivateRedis], None]
) -> None:
    """Fifty readers, Redis killed or frozen: no read fails, and after the first moments none is slow."""
    read(client)
    stop = threading.Event()
    times: list[tuple[float, float]] = []
    failures: list[BaseException] = []

    def loop() -> None:
        while not stop.is_set():
            began = time.monotonic()
            try:
                assert read(client) == ANN
            except BaseException as error:
                failures.append(error)
                return
            times.append((began, time.monotonic() - began))
            stop.wait(0.01)

    readers = [threading.Thread(target=loop) for _ in range(50)]
    for reader in readers:
        reader.start()
    stop.wait(0.3)
    struck = time.monotonic()
    strike(server)
    stop.wait(2.0)
    stop.set()
    for reader in readers:
        reader.join(10)
    if strike is freeze:
        server.resume()

    after = [took for began, took in times if began + took > struck]
    late = [took for began, took in times if began > struck + 1]
    print(f"worst {max(after):.3f} s, median of later ones {median(late) * 1000:.2f} ms, {len(after)} reads")
    assert not failures
    assert max(after) < SOON


@pytest.mark.parametrize("strike", [kill, freeze])
def test_caching_resumes_when_redis_is_back(
    client: MRCClient, server: PrivateRedis, strike: Callable[[PrivateRedis], None]
) -> None:
    """Nobody has to restart anything."""
    read(client)
    strike(server)
    for _ in range(5):
        assert read(client) == ANN
    server.resume() if strike is freeze else server.restart()
    back = time.monotonic()
    hits = client.stats().get("hits", 0)
    while client.stats().get("hits", 0) == hits and time.monotonic() < back + 10:
        read(client)
        time.sleep(0.05)
    took = time.monotonic() - back
    print(f"cached again {took:.1f} s after Redis was back")
    assert client.stats().get("hits", 0) > hits
    assert took < 6


def test_one_warning_per_change_of_state(
    client: MRCClient, server: PrivateRedis, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says when Redis went and when it came back, not that it is still away."""
    read(client)
    with caplog.at_level(logging.WARNING, "mysql_redis_cache"):
        server.kill()
        for _ in range(50):
            read(client)
        assert len(caplog.records) == 1
        server.restart()
        until = time.monotonic() + 10
        while len(caplog.records) < 2 and time.monotonic() < until:
            read(client)
            time.sleep(0.05)

    assert [record.message.split(";")[0] for record in caplog.records] == [
        "Redis is failing",
        "Redis is back",
    ]


def test_first_use_with_redis_down(mysql_url: str, server: PrivateRedis) -> None:
    """A process that starts during the outage answers its first read all the same."""
    server.kill()
    with MRCClient(mysql_url, server.url) as client:
        client.query("SELECT 1")
        began = time.monotonic()
        assert read(client) == ANN
        assert time.monotonic() - began < SOON


@pytest.mark.parametrize("strike", [kill, freeze])
def test_a_drop_raises_soon(server: PrivateRedis, strike: Callable[[PrivateRedis], None]) -> None:
    """A drop that could not reach Redis is never silent."""
    strike(server)
    with MRCServer(server.url) as dropper:
        began = time.monotonic()
        with pytest.raises(CacheUnavailable):
            dropper.drop_outdated_cache(["UserId"], [1])
        assert time.monotonic() - began < SOON
    if strike is freeze:
        server.resume()


def test_retry_for_outlasts_a_short_outage(client: MRCClient, server: PrivateRedis) -> None:
    """With retry_for the drop happens once Redis is back."""
    read(client)
    server.suspend()
    waker = threading.Timer(0.7, server.resume)
    waker.start()
    assert client.drop_outdated_cache(["UserId"], [1], retry_for=10) == 1
    waker.join()


def test_a_dripping_redis_costs_a_bounded_time(
    mysql_url: str, server: PrivateRedis, proxy_to: Callable[..., Proxy]
) -> None:
    """A reply that trickles in byte by byte is given up, though each byte comes in time."""
    proxy = proxy_to(server.url)
    with MRCClient(mysql_url, proxy.url) as client:
        client.write_to_cache(QUERY, [{"id": 1, "name": "x" * 2000}], [1], ["UserId"], 60)
        proxy.drip(1, 0.1)
        began = time.monotonic()
        assert read(client) == ANN
        assert time.monotonic() - began < 2 * SOON


def test_a_slow_redis_still_answers(
    mysql_url: str, server: PrivateRedis, proxy_to: Callable[..., Proxy]
) -> None:
    """Below the timeout, slow is only slow."""
    proxy = proxy_to(server.url)
    with MRCClient(mysql_url, proxy.url) as client:
        read(client)
        proxy.delay(0.05)
        assert read(client) == ANN
        assert client.stats()["hits"] == 1


def test_a_full_redis_serves_hits_and_caches_nothing_new(
    mysql_url: str, private_redis: Callable[..., PrivateRedis]
) -> None:
    """OOM refuses leases and fills; what is there is still served, and drops still work."""
    server = private_redis("--maxmemory-policy", "noeviction")
    with MRCClient(mysql_url, server.url) as client, MRCServer(server.url) as dropper:
        read(client)
        client.core.link.call("CONFIG", "SET", "maxmemory", "1")  # type: ignore[union-attr]
        assert read(client) == ANN
        assert read(client, 2) == [{"id": 2, "name": "bob"}]
        assert client.stats()["hits"] == 1
        assert dropper.drop_outdated_cache(["UserId"], [1]) == 1


def test_a_read_only_redis_refuses_drops_loudly(
    mysql_url: str, private_redis: Callable[..., PrivateRedis]
) -> None:
    """A replica by mistake, or a master that was demoted: reads go on, drops raise."""
    server, master = private_redis(), private_redis()
    with MRCClient(mysql_url, server.url) as client:
        read(client)
        client.core.link.call("REPLICAOF", "127.0.0.1", str(master.port))  # type: ignore[union-attr]
        assert read(client, 2) == [{"id": 2, "name": "bob"}]
        with pytest.raises(CacheUnavailable, match="read only"):
            client.drop_outdated_cache(["UserId"], [1], timeout=5)


def test_a_wrong_password_is_an_outage_that_says_so(
    mysql_url: str, private_redis: Callable[..., PrivateRedis], caplog: pytest.LogCaptureFixture
) -> None:
    """Reads go to MySQL, the log names the reason, and nothing shows the password."""
    server = private_redis("--requirepass", "correct-horse")
    url = server.url.replace("redis://", "redis://:wrong-zebra@")
    with MRCClient(mysql_url, url) as client:
        for _ in range(5):
            assert read(client) == ANN
        with pytest.raises(CacheUnavailable) as refused:
            client.drop_outdated_cache(["UserId"], [1])

    assert "Redis is failing" in caplog.text
    assert "wrong-zebra" not in caplog.text + str(refused.value) + repr(client)


def test_a_replaced_redis_is_a_cold_cache(client: MRCClient, server: PrivateRedis) -> None:
    """An empty server in its place: connections and scripts are made anew."""
    read(client)
    server.kill()
    server.restart()
    until = time.monotonic() + 10
    while client.stats().get("fills", 0) < 2 and time.monotonic() < until:
        assert read(client) == ANN
    assert client.stats()["fills"] >= 2
