"""What Redis cannot do for a moment is no outage: drops try again within their time, reads go to MySQL."""

from __future__ import annotations

import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import hiredis
import pytest
import redis

from mysql_redis_cache import CacheUnavailable, DropTimeout, MRCClient, MRCServer
from mysql_redis_cache.store import NotNow, link
from tests.support.cluster import PrivateCluster, eventually
from tests.support.populating import entry, fill_users
from tools.programs import find_redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.proxy import Proxy
    from tools.private_servers import PrivateRedis

SECONDS = 20.0
ANSWERS = [
    b"-CLUSTERDOWN The cluster is down",
    b"-CLUSTERDOWN Hash slot not served",
    b"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    b"-TRYAGAIN Multiple keys request during rehashing of slot",
    b"-LOADING Redis is loading the dataset in memory",
    b"-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
]
IDS = [answer[1:18].decode() for answer in ANSWERS]


@contextmanager
def answering(proxy: Proxy, answer: bytes, times: int) -> Iterator[list[bytes]]:
    """Give that answer so many times instead of what Redis says."""
    given: list[bytes] = []

    def instead(data: bytes) -> bytes:
        if len(given) >= times:
            return data
        given.append(data)
        reader, count = hiredis.Reader(), 0
        reader.feed(data)
        while reader.gets() is not False:  # as many as there are
            count += 1
        return (answer + b"\r\n") * count

    proxy.corrupt(instead)
    yield given
    proxy.corrupt(None)


@pytest.mark.parametrize("answer", ANSWERS, ids=IDS)
def test_a_drop_tries_again(
    answer: bytes, redis_url: str, redis_client: redis.Redis, proxy_to: Callable[..., Proxy]
) -> None:
    """Until it is answered, at whatever point it is told to wait."""
    proxy = proxy_to(redis_url)
    with MRCServer(proxy.url) as server:
        server.drop_outdated_cache(["UserId"], [99])
        fill_users(redis_client, range(1, 3))
        with answering(proxy, answer, 3) as given:
            assert server.drop_outdated_cache(["UserId"], [1]) == 1
            assert len(given) == 3
        with answering(proxy, answer, 2):
            assert server.drop_outdated_cache(["UserId"], [2], dry_run=True) == 1
    assert redis_client.keys() == [entry(2, 0)]


@pytest.mark.parametrize("answer", ANSWERS, ids=IDS)
def test_its_time_has_an_end(answer: bytes, redis_url: str, proxy_to: Callable[..., Proxy]) -> None:
    """Then the drop says what Redis says, or that its time is over."""
    proxy = proxy_to(redis_url)
    with MRCServer(proxy.url) as server:
        server.drop_outdated_cache(["UserId"], [99])
        with answering(proxy, answer, 10_000):
            began = time.monotonic()
            with pytest.raises((NotNow, DropTimeout)):
                server.drop_outdated_cache(["UserId"], [1], timeout=0.5)
            assert 0.3 < time.monotonic() - began < 2


@pytest.mark.parametrize("answer", ANSWERS, ids=IDS)
def test_a_drop_by_index_and_one_of_a_query_try_again_and_reads_go_on(
    answer: bytes, mysql_url: str, redis_url: str, redis_client: redis.Redis, proxy_to: Callable[..., Proxy]
) -> None:
    """A read has another way to its rows."""
    proxy = proxy_to(redis_url)
    with MRCClient(mysql_url, proxy.url, index=True) as client:
        for user in (1, 2):
            client.query_with_cache("SELECT ? AS a", [user], ["UserId"])
        client.drop_outdated_cache(["UserId"], [99])
        with answering(proxy, answer, 2):
            assert client.drop_outdated_cache(["UserId"], [1]) == 1
        with answering(proxy, answer, 1):
            assert client.query_with_cache("SELECT ? AS a", [2], ["UserId"]) == [{"a": 2}]
        assert client.stats()["cache_failures"] == 1
        client.drop_query("nothing")
        with answering(proxy, answer, 1):
            client.drop_query("SELECT ? AS a", [2], ["UserId"])
    assert redis_client.keys("UserId=*") == []


@contextmanager
def meanwhile(act: Callable[[], object], seconds: float) -> Iterator[None]:
    """Do something after a while."""
    timer = threading.Timer(seconds, act)
    timer.start()
    yield
    timer.join(SECONDS)


def test_a_server_that_is_loading_is_waited_for(private_redis: Callable[..., PrivateRedis]) -> None:
    """As after a restart, while it reads what it had saved."""
    server = private_redis("--enable-debug-command", "yes", "--loading-process-events-interval-bytes", "1024")
    with (
        redis.Redis.from_url(server.url, socket_timeout=SECONDS) as admin,
        redis.Redis.from_url(server.url) as asking,
        MRCServer(server.url) as drops,
    ):
        fill_users(admin, range(1, 300))
        drops.drop_outdated_cache(["UserId"], [999])
        admin.config_set("key-load-delay", 3000)
        reload = threading.Thread(target=admin.execute_command, args=("DEBUG", "RELOAD"))
        reload.start()
        eventually(lambda: is_loading(asking), "the loading")
        assert drops.drop_outdated_cache(["UserId"], [1]) == 1
        reload.join(SECONDS)


def is_loading(asking: redis.Redis) -> bool:
    try:
        asking.get("x")
    except redis.BusyLoadingError:
        return True
    return False


def test_a_server_that_runs_a_script_is_waited_for(private_redis: Callable[..., PrivateRedis]) -> None:
    """Somebody else's, that takes its time."""
    server = private_redis("--busy-reply-threshold", "20")
    script = "local t = redis.call('TIME'); local e = t[1] + 1; while redis.call('TIME')[1] - e < 1 do end"
    with redis.Redis.from_url(server.url, socket_timeout=SECONDS) as admin, MRCServer(server.url) as drops:
        fill_users(admin, range(1, 3))
        drops.drop_outdated_cache(["UserId"], [999])
        busy = threading.Thread(target=admin.eval, args=(script, 0))
        busy.start()
        time.sleep(0.2)
        assert drops.drop_outdated_cache(["UserId"], [1]) == 1
        busy.join(SECONDS)


def test_a_replica_without_its_master_is_waited_for(private_redis: Callable[..., PrivateRedis]) -> None:
    """Until it is made a master, as in a failover; or the name leads to another server."""
    server = private_redis("--replica-serve-stale-data", "no")
    with redis.Redis.from_url(server.url) as admin, MRCServer(server.url) as drops:
        fill_users(admin, range(1, 3))
        admin.replicaof("127.0.0.1", 1)
        with meanwhile(lambda: admin.execute_command("REPLICAOF", "NO", "ONE"), 0.4):
            assert drops.drop_outdated_cache(["UserId"], [1]) == 1
        assert admin.keys() == [entry(2, 0)]


def test_a_replica_that_was_the_master_is_left(
    private_redis: Callable[..., PrivateRedis], proxy_to: Callable[..., Proxy]
) -> None:
    """Connections to it are closed, since its name may lead to the new master by now."""
    old, new = private_redis("--replica-serve-stale-data", "no"), private_redis()
    proxy = proxy_to(old.url)
    with (
        redis.Redis.from_url(old.url) as admin,
        redis.Redis.from_url(new.url) as other,
        MRCServer(proxy.url) as drops,
        closing(link(proxy.url)) as reads,
    ):
        drops.drop_outdated_cache(["UserId"], [99])
        reads.call(b"GET", b"key")
        fill_users(other, range(1, 3))
        admin.replicaof("127.0.0.1", 1)
        proxy.lead_to(new.url)
        assert drops.drop_outdated_cache(["UserId"], [1]) == 1
        with pytest.raises(NotNow):
            reads.call(b"GET", entry(2, 0))
        assert reads.call(b"GET", entry(2, 0)) == b"[]"


# On a cluster

clustered = pytest.mark.skipif(find_redis() is None, reason="a cluster needs redis-server on the PATH")


@pytest.fixture(scope="module")
def cluster() -> Iterator[PrivateCluster]:
    with PrivateCluster() as made:
        yield made


@contextmanager
def down(cluster: PrivateCluster) -> Iterator[Callable[[], None]]:
    """Have a cluster without one of its slots, until told otherwise."""
    slot, primaries = 7, cluster.primaries
    owner = cluster.owner(slot)

    def restore() -> None:
        if slot not in owner.slots():
            owner.run("ADDSLOTS", slot)

    for node in [owner, *(node for node in primaries if node is not owner)]:
        node.run("DELSLOTS", slot)
    eventually(lambda: all(node.info()["cluster_state"] == "fail" for node in primaries), "the failure")
    try:
        yield restore
    finally:
        restore()
        cluster.settle()


@clustered
def test_a_cluster_that_is_down_for_a_moment_is_waited_for(cluster: PrivateCluster, mysql_url: str) -> None:
    """As during a failover: a drop goes on when it is up again, and reads go to MySQL meanwhile."""
    with cluster.client() as way, MRCClient(mysql_url, way) as client:
        for user in range(30):
            client.query_with_cache("SELECT ? AS a", [user], ["UserId"])
        with down(cluster) as restore:
            with meanwhile(restore, 1.0):
                for user in range(30):
                    rows: Any = client.query_with_cache("SELECT ? AS a", [user], ["UserId"])
                    assert rows == [{"a": user}]
                names = ["UserId"] * 30
                assert client.drop_outdated_cache(names, list(range(30)), False) == 30
            assert client.stats()["cache_failures"] > 0
        with down(cluster) as restore, meanwhile(restore, 1.0):
            assert client.drop_query("SELECT ? AS a", [1], ["UserId"]) is False


@clustered
def test_a_cluster_that_stays_down_fails_a_drop_in_time(cluster: PrivateCluster, mysql_url: str) -> None:
    """It says so."""
    with cluster.client() as way, MRCClient(mysql_url, way) as client:
        client.write_to_cache("q", 1, [1], ["UserId"])
        with down(cluster):
            for drop in (
                lambda: client.drop_outdated_cache(["UserId"], [1], timeout=0.5),
                lambda: client.drop_query("q", [1], ["UserId"], timeout=0.5),
            ):
                began = time.monotonic()
                with pytest.raises((CacheUnavailable, DropTimeout)):
                    drop()
                assert 0.3 < time.monotonic() - began < 3
        assert client.drop_outdated_cache(["UserId"], [1]) == 1
