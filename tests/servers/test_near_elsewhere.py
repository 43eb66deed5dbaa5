"""The near cache where Redis is several servers: a cluster whose slots move, a master that fails over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import redis

from mysql_redis_cache import MRCClient, Near
from mysql_redis_cache.near import ROLL
from tests.support.cluster import PrivateCluster, slot_of
from tests.support.sentinels import PrivateSentinels
from tests.support.waiting import wait_until
from tools.programs import find_redis

if TYPE_CHECKING:
    from collections.abc import Iterator

# The servers have to reach each other on their own ports, which containers do not have here.
pytestmark = pytest.mark.skipif(find_redis() is None, reason="this needs redis-server on the PATH")

LONG = Near(ttl=60)
QUERY, NAMES = "a value", ["Id"]
IDS = range(30)


@pytest.fixture(scope="module")
def cluster() -> Iterator[PrivateCluster]:
    with PrivateCluster() as made:
        yield made


@pytest.fixture
def client(cluster: PrivateCluster, mysql_url: str) -> Iterator[MRCClient]:
    with cluster.client(socket_timeout=5) as way, MRCClient(mysql_url, way, near=LONG) as made:
        for number in IDS:
            made.write_to_cache(QUERY, ["old"], [number], NAMES)
        yield made


def read(client: MRCClient, number: int) -> object:
    return client.read_from_cache(QUERY, [number], NAMES)


def is_near(client: MRCClient, number: int) -> bool:
    """Whether a read of it asks nobody."""
    before = client.stats().get("near_hits", 0)
    read(client, number)
    return client.stats().get("near_hits", 0) > before


def keep(client: MRCClient, number: int) -> None:
    assert wait_until(lambda: is_near(client, number)), number


def test_each_primary_is_listened_to(client: MRCClient, cluster: PrivateCluster) -> None:
    """One connection for each whose entries are kept; drops here wait for all of them."""
    for number in IDS:
        keep(client, number)
    assert len(client._core.nearby.near._listeners) == len(cluster.primaries)  # type: ignore[union-attr]

    client.drop_outdated_cache(NAMES * 3, [3, 4, 5], require_all_match=False)
    assert [read(client, number) for number in (3, 4, 5)] == [None] * 3
    assert is_near(client, 6)


def test_another_process_s_changes_are_pushed_by_whichever_node(
    client: MRCClient, cluster: PrivateCluster
) -> None:
    """The raw client stands for it."""
    for number in IDS:
        keep(client, number)
    with cluster.client() as other:
        for number in IDS:
            other.set(client.get_key_from_query(QUERY, [number], NAMES), b'["new"]')
    assert wait_until(lambda: all(read(client, number) == ["new"] for number in IDS))


def test_none_is_strict_on_a_cluster(cluster: PrivateCluster, mysql_url: str) -> None:
    """There is one roll, on one server, and a listener to each."""
    with cluster.client() as way, pytest.raises(ValueError, match="on a cluster leave it out"):
        MRCClient(mysql_url, way, near=Near(strict=True))


def test_what_has_moved_is_kept_again(client: MRCClient, cluster: PrivateCluster) -> None:
    """Its old node pushes that it is gone from there, and the new one what changes."""
    keep(client, 1)
    key = client.get_key_from_query(QUERY, [1], NAMES)
    slot = slot_of(key.encode())
    sender = cluster.owner(slot)
    receiver = next(node for node in cluster.primaries if node is not sender)
    cluster.move(slot, receiver)
    keep(client, 1)
    with cluster.client() as other:
        other.set(key, b'["new"]')

    assert wait_until(lambda: read(client, 1) == ["new"])
    keep(client, 1)
    cluster.move(slot, sender)


def test_a_failover_empties_the_near_cache(mysql_url: str) -> None:
    """What the old master had is served no more; the new one is listened to, and has the roll."""
    with (
        PrivateSentinels() as watched,
        watched.client() as way,
        MRCClient(mysql_url, way, near=Near(ttl=60, heartbeat=0.3, strict=True)) as client,
    ):
        client.write_to_cache(QUERY, ["old"], [1], NAMES)
        keep(client, 1)
        before = watched.master
        before.kill()
        master = watched.await_master_other_than(before)
        watched.calm()  # another failover could lose the drop on its way to the replica
        with redis.Redis(port=master.port) as other:
            other.set(client.get_key_from_query(QUERY, [1], NAMES), b'["new"]')

        assert wait_until(lambda: read(client, 1) == ["new"])
        assert wait_until(lambda: is_near(client, 1), 20), client.stats()
        assert read(client, 1) == ["new"]
        assert client.stats()["near_losses"] >= 1
        assert client.drop_outdated_cache(NAMES, [1]) == 1
        assert read(client, 1) is None
        with redis.Redis(port=master.port) as other:
            assert other.hlen(ROLL) >= 1
