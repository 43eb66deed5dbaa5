"""A Redis Cluster of private nodes: three primaries, a replica each, and what happens to clusters."""

from __future__ import annotations

import random
import socket
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Self

import redis
from redis.crc import key_slot

from tools.private_servers import PrivateRedis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Node", "PrivateCluster", "eventually", "slot_of"]

SECONDS = 30.0
SLOTS = 16_384
OPTIONS = ("--cluster-enabled", "yes", "--cluster-node-timeout", "600", "--repl-diskless-sync-delay", "0")


def eventually(condition: Callable[[], object], what: str = "it") -> None:
    """Wait until *condition* holds."""
    give_up = time.monotonic() + SECONDS
    while True:
        with suppress(redis.RedisError):
            if condition():
                return
        assert time.monotonic() < give_up, f"{what} never came about"
        time.sleep(0.02)


def cluster_port() -> int:
    """A free port whose bus port, 10,000 above, is free as well."""
    while True:
        port = random.randrange(15_000, 30_000)
        with socket.socket() as one, socket.socket() as other, suppress(OSError):
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + 10_000))
            return port


class Node:
    """One server of a cluster, and a client of it."""

    def __init__(self, server: PrivateRedis) -> None:
        self.server = server
        self.port = server.port
        self.admin = redis.Redis(port=server.port, socket_timeout=10)
        self._raw = redis.Redis(port=server.port, socket_timeout=10, protocol=2)
        self._raw.response_callbacks.clear()  # replies as they come
        self.id = self.run("MYID").decode()

    def run(self, *command: Any) -> Any:
        """Run a CLUSTER command."""
        return self._raw.execute_command("CLUSTER", *command)

    def line(self) -> str:
        """What the node says of itself."""
        return next(line for line in self.run("NODES").decode().splitlines() if "myself" in line)

    def info(self) -> dict[str, str]:
        """What the node thinks of the cluster."""
        return dict(line.split(":", 1) for line in self.run("INFO").decode().split())

    def keys(self) -> set[bytes]:
        """All its keys."""
        return set(self._raw.execute_command("KEYS", "*"))

    def slots(self) -> set[int]:
        """The slots that it serves by its own word."""
        parts = [part.split("-") for part in self.line().split(" ")[8:] if not part.startswith("[")]
        return {slot for first, *last in parts for slot in range(int(first), int((last or [first])[0]) + 1)}

    def close(self) -> None:
        """Close the clients."""
        self.admin.close()
        self._raw.close()


class PrivateCluster:
    """Six nodes on loopback; use it as a context manager."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.nodes: list[Node] = []

    def __enter__(self) -> Self:
        """Start the nodes and have them agree."""
        try:
            for _ in range(6):
                self.add()
            self._form()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        """End the nodes."""
        for node in self.nodes:
            node.close()
        self._stack.close()

    def add(self) -> Node:
        """Start one more node, which knows nobody yet."""
        server = self._stack.enter_context(PrivateRedis(OPTIONS, cluster_port()))
        self.nodes.append(Node(server))
        return self.nodes[-1]

    def meet(self, nodes: Iterable[Node]) -> None:
        """Introduce *nodes* to the first, and wait until all know each other."""
        for node in nodes:
            node.run("MEET", "127.0.0.1", self.nodes[0].port)
        expected = str(len(self.nodes))
        eventually(
            lambda: all(node.info()["cluster_known_nodes"] == expected for node in self.nodes), "the meeting"
        )

    def client(self, **options: Any) -> redis.RedisCluster:
        """A client as a user makes it."""
        return redis.RedisCluster(host="127.0.0.1", port=self.nodes[0].port, **options)

    @property
    def primaries(self) -> list[Node]:
        """The nodes that are primaries by their own word and live."""
        return [node for node in self.nodes if node.server.is_running and "master" in node.line()]

    def owner(self, slot: int) -> Node:
        """The node that serves *slot* by its own word."""
        return next(node for node in self.primaries if slot in node.slots())

    def all_keys(self) -> set[bytes]:
        """All keys, on whichever primary."""
        return set().union(*(node.keys() for node in self.primaries))

    def flush(self) -> None:
        """Empty all nodes."""
        for node in self.primaries:
            node.admin.flushall()

    def open(self, slot: int, receiver: Node) -> None:
        """Begin to move *slot*: from now on its keys may be at either side."""
        sender = self.owner(slot)
        receiver.run("SETSLOT", slot, "IMPORTING", sender.id)
        sender.run("SETSLOT", slot, "MIGRATING", receiver.id)

    def carry(self, slot: int, sender: Node, receiver: Node, *, count: int = 1000) -> None:
        """Move keys of an open slot."""
        for key in sender.run("GETKEYSINSLOT", slot, count):
            sender.admin.execute_command("MIGRATE", "127.0.0.1", receiver.port, key, 0, 5000)

    def close(self, slot: int, receiver: Node) -> None:
        """End the move of *slot*; it is the receiver's."""
        for node in [receiver, *(node for node in self.primaries if node is not receiver)]:
            node.run("SETSLOT", slot, "NODE", receiver.id)

    def move(self, slot: int, receiver: Node) -> None:
        """Move *slot* with all its keys."""
        sender = self.owner(slot)
        self.open(slot, receiver)
        self.carry(slot, sender, receiver)
        self.close(slot, receiver)

    def settle(self) -> None:
        """Wait until all nodes agree that all is well."""
        eventually(lambda: all(node.info()["cluster_state"] == "ok" for node in self.nodes), "agreement")

    def _form(self) -> None:
        primaries, replicas = self.nodes[:3], self.nodes[3:]
        for number, node in enumerate(primaries):
            node.run("SET-CONFIG-EPOCH", number + 1)
            node.run("ADDSLOTS", *range(number * SLOTS // 3, (number + 1) * SLOTS // 3))
        self.meet(self.nodes[1:])
        for primary, replica in zip(primaries, replicas, strict=True):
            replica.run("REPLICATE", primary.id)
        self.settle()
        eventually(
            lambda: all(node.admin.info("replication")["master_link_status"] == "up" for node in replicas),
            "copies",
        )


def slot_of(key: bytes) -> int:
    """The slot of a key."""
    return int(key_slot(key))
