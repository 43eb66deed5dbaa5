"""What the nodes of a Redis Cluster say, in the forms of its versions and settings."""

from __future__ import annotations

from typing import Any

import pytest

from mysql_redis_cache.store.cluster import _reached
from mysql_redis_cache.store.topology import nodes_of, topology_of

ID, OTHER = "a" * 40, "b" * 40


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"10.0.0.1", "10.0.0.1"),
        (b"node-1.internal", "node-1.internal"),
        (b"", "asked"),
        (None, "asked"),
        (b"?", "asked"),
    ],
    ids=["address", "hostname", "its own, unknown", "unknown endpoint", "no hostname announced"],
)
def test_slots_are_served_where_they_say(host: bytes | None, expected: str) -> None:
    """By address or name; a node that names no place is where it was asked."""
    slots: list[Any] = [[0, 16383, [host, 7001, ID.encode(), []], [b"10.0.0.9", 7009, OTHER.encode(), []]]]
    topology = topology_of(slots, ("asked", 7000))

    assert topology.primaries == [(expected, 7001)]
    assert set(topology.owners) == {(expected, 7001)}


@pytest.mark.parametrize(
    ("where", "address", "hostname"),
    [
        ("10.0.0.1:7001@17001", ("10.0.0.1", 7001), ""),
        ("10.0.0.1:7001@17001,node-1.internal", ("10.0.0.1", 7001), "node-1.internal"),
        ("10.0.0.1:7001@17001,", ("10.0.0.1", 7001), ""),
        ("10.0.0.1:7001@17001,,tls-port=0,shard-id=0f", ("10.0.0.1", 7001), ""),
        ("10.0.0.1:7001@17001,node-1,tls-port=0,shard-id=0f", ("10.0.0.1", 7001), "node-1"),
        ("10.0.0.1:7001@17001,shard-id=0f", ("10.0.0.1", 7001), ""),
        ("::1:7001@17001,node-1", ("::1", 7001), "node-1"),
        (":7001@17001", ("", 7001), ""),
    ],
)
def test_a_node_may_announce_a_name(where: str, address: tuple[str, int], hostname: str) -> None:
    """Redis 7.0 and later append it to the address, with more behind it since 7.2."""
    lines = f"{ID} {where} myself,master - 0 0 3 connected 0-5460 [5461->-{OTHER}]\n"
    node, nodes = nodes_of(lines.encode())

    assert (node.address, node.hostname, node.receivers) == (address, hostname, [OTHER])
    assert nodes == {ID: node}
    assert _reached(node, named=False) == address
    assert _reached(node, named=True)[0] == (hostname or address[0])
