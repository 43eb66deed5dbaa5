"""What the nodes of a Redis Cluster say about who holds which keys.

Source: https://redis.io/docs/latest/commands/cluster-slots/ and …/cluster-nodes/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["SLOTS", "Address", "Node", "Remap", "Topology", "nodes_of", "topology_of"]

SLOTS = 16_384

Address = tuple[str, int]
Remap = "Callable[[Address], Address]"


class Topology(NamedTuple):
    """Which primary serves which slot.

    Attributes:
        owners: the address for each slot; ``None`` where no node serves it.
        primaries: the addresses that serve slots.
    """

    owners: list[Address | None]
    primaries: list[Address]


class Node(NamedTuple):
    """A line of ``CLUSTER NODES``, without what changes at every heartbeat.

    Attributes:
        id: its name in the cluster.
        address: where the others reach it.
        hostname: the name that it announces, if it does.
        flags: such as ``myself,master``.
        epoch: of its configuration; grows whenever slots change hands.
        slots: those it serves; of the node itself also those under way, ``[slot->-id]`` or ``[slot-<-id]``.
    """

    id: str
    address: Address
    hostname: str
    flags: str
    epoch: str
    slots: tuple[str, ...]

    @property
    def receivers(self) -> list[str]:
        """The names of the nodes to which slots of this one are under way."""
        return [slot.strip("[]").partition("->-")[2] for slot in self.slots if "->-" in slot]


def topology_of(
    reply: Sequence[Any], asked: Address, remap: Callable[[Address], Address] | None = None
) -> Topology:
    """Read the reply to ``CLUSTER SLOTS``.

    Args:
        reply: as RESP2 gives it.
        asked: the address of the node that was asked, which leaves its own host out if it does not know it.
        remap: turns the addresses that nodes announce into those under which they are reached.
    """
    owners: list[Address | None] = [None] * SLOTS
    for first, last, (host, port, *_), *_replicas in reply:
        known = host if host and host != b"?" else asked[0].encode()
        address = (known.decode(), int(port))
        if remap is not None:
            address = remap(address)
        owners[first : last + 1] = [address] * (last + 1 - first)
    return Topology(owners, sorted({owner for owner in owners if owner is not None}))


def nodes_of(text: bytes) -> tuple[Node, dict[str, Node]]:
    """Read the reply to ``CLUSTER NODES``: return the node that was asked, and all of them by id."""
    nodes = {node.id: node for node in map(_node, text.decode().splitlines())}
    return next(node for node in nodes.values() if "myself" in node.flags), nodes


def _node(line: str) -> Node:
    name, where, flags, _master, _ping, _pong, epoch, _link, *slots = line.split(" ")
    at, *announced = where.split(",")  # the hostname, and since Redis 7.2 "shard-id=…"
    host, _, port = at.partition("@")[0].rpartition(":")
    hostname = announced[0] if announced and "=" not in announced[0] else ""
    return Node(name, (host, int(port)), hostname, flags, epoch, tuple(slots))
