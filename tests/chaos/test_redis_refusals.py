"""Redis answers, but refuses: to write (full, a replica), to let in, or everything for a while."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import redis

from mysql_redis_cache import CacheUnavailable, MRCClient
from mysql_redis_cache.readthrough.breaker import Breaker
from tests.support.urls import patient
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from tools.private_servers import PrivateRedis

QUERY = "SELECT ? AS n"
READERS = 12


@pytest.fixture(autouse=True)
def quick_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of recovery need not wait for the two seconds between probes."""
    monkeypatch.setattr(Breaker.__init__, "__defaults__", (2, 0.05, 0.2))


def admin_of(server: PrivateRedis) -> Redis:
    return redis.Redis.from_url(server.url, decode_responses=True, socket_timeout=10)


def read(client: MRCClient, number: int) -> Any:
    return client.query_with_cache(QUERY, [number], ["N"], 60)


def is_cached_again(client: MRCClient) -> bool:
    """Whether a read is a hit in the end."""
    hits = client.stats().get("hits", 0)
    return wait_until(lambda: read(client, 0) and client.stats().get("hits", 0) > hits)


def refused_drop(client: MRCClient) -> str:
    """What a drop says that is refused."""
    with pytest.raises(CacheUnavailable) as refused:
        client.drop_outdated_cache(["N"], [0])
    return str(refused.value)


def fill_up(admin: Redis, full: bool) -> None:
    admin.config_set("maxmemory", 1 if full else 0)


def demote(admin: Redis, demoted: bool) -> None:
    # The master is never found, so the replica keeps what it has.
    admin.replicaof(*(("127.0.0.1", "1") if demoted else ("NO", "ONE")))


def lose_replicas(admin: Redis, lost: bool) -> None:
    admin.config_set("min-replicas-to-write", int(lost))


def break_snapshots(admin: Redis, broken: bool) -> None:
    place = str(admin.config_get("dir")["dir"])
    admin.config_set("save", "3600 100" if broken else "")
    if broken:
        admin.config_set("dir", "/proc")  # where no file can be made
        admin.bgsave()
        assert wait_until(lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "err")
        admin.config_set("dir", place)


def forbid_writes(admin: Redis, forbidden: bool) -> None:
    admin.acl_setuser("reader", enabled=True, commands=["-@write" if forbidden else "+@all"])


REFUSALS = [
    pytest.param(fill_up, "maxmemory", id="full"),
    pytest.param(demote, "read only", id="read-only replica"),
    pytest.param(lose_replicas, "replicas", id="too few replicas"),
    pytest.param(break_snapshots, "MISCONF", id="snapshots fail"),
    pytest.param(forbid_writes, " run th", id="no permission"),
]


@pytest.mark.parametrize(("refuse", "words"), REFUSALS)
def test_hits_go_on_while_writes_are_refused(
    mysql_url: str,
    private_redis: Callable[..., PrivateRedis],
    caplog: pytest.LogCaptureFixture,
    refuse: Callable[[Redis, bool], None],
    words: str,
) -> None:
    """However many misses are refused at once, what is cached is served; then caching resumes by itself."""
    server = private_redis("--enable-protected-configs", "yes")
    admin = admin_of(server)
    admin.acl_setuser("reader", enabled=True, nopass=True, keys="*", commands=["+@all"])
    url = patient(server.url.replace("redis://", "redis://reader:any@"))
    together = threading.Barrier(READERS)

    def hit_and_miss(client: MRCClient, number: int) -> None:
        together.wait(10)
        for miss in range(4):
            assert read(client, 100 * number + miss) == [{"n": 100 * number + miss}]
            assert read(client, 0) == [{"n": 0}]

    with admin, MRCClient(mysql_url, url) as client, ThreadPoolExecutor(READERS) as threads:
        read(client, 0)
        refuse(admin, True)
        list(threads.map(partial(hit_and_miss, client), range(1, READERS + 1)))
        stats = client.stats()
        assert stats["hits"] == 4 * READERS
        assert stats["fills"] == 1
        if refuse is fill_up:  # deleting needs no memory
            assert client.drop_outdated_cache(["N"], [0]) == 1
        else:
            assert words in refused_drop(client)
        refuse(admin, False)
        assert wait_until(lambda: read(client, 1) and client.stats()["fills"] > 1)

    news = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert [line.split(";")[0] for line in news] == ["Redis takes no writes", "Redis takes writes again"]
    assert words in news[0]


def test_loading_after_a_restart(mysql_url: str, private_redis: Callable[..., PrivateRedis]) -> None:
    """While Redis reads its file reads go to MySQL and drops wait; what it had is served afterwards."""
    slow = ("--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024")
    server = private_redis(*slow, "--rdbcompression", "no")
    with admin_of(server) as admin, MRCClient(mysql_url, server.url) as client:
        read(client, 0)
        admin.mset({f"filler:{number}": "x" * 1000 for number in range(400)})
        admin.save()
        server.kill()
        starting = threading.Thread(target=server.start)
        starting.start()
        assert wait_until(lambda: is_loading(admin))
        for _ in range(10):
            assert read(client, 0) == [{"n": 0}]
        with pytest.raises(CacheUnavailable, match="loading"):
            client.drop_outdated_cache(["Nothing"], [1], timeout=0.05)
        assert client.drop_outdated_cache(["Nothing"], [1]) == 0
        starting.join(30)
        assert is_cached_again(client)
        assert client.stats()["fills"] == 1


def is_loading(admin: Redis) -> bool:
    try:
        admin.ping()
    except redis.BusyLoadingError:
        return True
    except redis.RedisError:
        pass
    return False


def test_a_password_corrected_on_the_server(
    mysql_url: str, private_redis: Callable[..., PrivateRedis], caplog: pytest.LogCaptureFixture
) -> None:
    """Reads go to MySQL, the log names the reason but no password, and caching resumes without a restart."""
    server = private_redis("--requirepass", "correct-horse")
    url = server.url.replace("redis://", "redis://:wrong-zebra@")
    with MRCClient(mysql_url, url) as client:
        for _ in range(5):
            assert read(client, 0) == [{"n": 0}]
        said = refused_drop(client)
        with redis.Redis.from_url(server.url, password="correct-horse") as admin:
            admin.config_set("requirepass", "wrong-zebra")
        assert is_cached_again(client)
        assert client.drop_outdated_cache(["N"], [0]) == 1
        assert "wrong-zebra" not in caplog.text + said + repr(client)

    news = [record.message.split(";")[0] for record in caplog.records]
    assert news == ["Redis is failing", "Redis is back"]


def test_a_redis_without_room_for_another_client(
    mysql_url: str, private_redis: Callable[..., PrivateRedis]
) -> None:
    """Whoever is not let in reads from MySQL; room that is made is used."""
    server = private_redis()
    with admin_of(server) as admin, MRCClient(mysql_url, server.url) as client:
        admin.config_set("maxclients", 1)
        for _ in range(5):
            assert read(client, 0) == [{"n": 0}]
        assert "max number of clients" in refused_drop(client)
        admin.config_set("maxclients", 100)
        assert is_cached_again(client)
