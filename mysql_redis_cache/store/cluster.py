"""A Redis Cluster: each command goes to the node that serves its key, over this library's own connections.

redis-py's routing is not used, since its pools take a connection back on which an exception may have left
an unread reply, and its retries have no bound in time.
"""

from __future__ import annotations

import math
import random
import time
from typing import TYPE_CHECKING, Any

from redis.crc import key_slot

from mysql_redis_cache.errors import CacheUnavailable

from .connections import Exhausted
from .failures import Moved, Refused
from .single import SYNC, Part, Server, run_script, run_scripts
from .topology import nodes_of, topology_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from .pinned import Left
    from .scripts import Script
    from .topology import Address, Node, Topology

__all__ = ["Cluster"]

# While slots change hands the nodes may disagree for a moment, and send a command on more than once.
REDIRECTIONS = 5
# Where a command of ours has its (first) key; all others have it first.
_KEY_PLACES = {b"EVALSHA": 3, b"EVAL": 3}


class Cluster:
    """A Redis Cluster.

    Args:
        seeds: some of its nodes.
        make_server: makes a ``Server`` for the node at a host and port.
        timeout: seconds to look for a node that knows the layout.
        remap: turns the addresses that nodes announce into those under which they are reached.
        target: equal for those that lead to the same place in the same way.
    """

    clustered = True

    def __init__(
        self,
        seeds: Iterable[Address],
        make_server: Callable[[str, int], Server],
        timeout: float,
        remap: Callable[[Address], Address] | None = None,
        target: Hashable | None = None,
    ) -> None:
        self.timeout = timeout
        self.target = id(self) if target is None else target
        self._seeds = sorted(set(seeds))
        self._make_server = make_server
        self._remap = remap
        self._servers: dict[Address, Server] = {}
        self._topology: Topology | None = None
        self._closed = False

    def call(self, *command: Any) -> Any:
        """Send one command to the node that serves its key.

        Raises:
            Refused: the node answered with an error.
            CacheUnavailable: no node answered for the key.
        """
        slot, is_lost, moves = _slot(command), False, 0
        while True:
            address = self._owner(slot)
            try:
                return self._server(address).call(*command)
            except Moved as moved:
                if moved.asking:
                    return self._ask((moved.address[0] or address[0], moved.address[1]), command)
                moves += 1
                if moves == REDIRECTIONS:
                    raise
                self._refresh(address)
            except (Refused, Exhausted):
                raise
            except CacheUnavailable:
                if is_lost or not self._has_left(slot, address):
                    raise
                is_lost = True

    def calls(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Send several commands, one round trip per node; an error reply is returned as ``Refused``."""
        replies: list[Any] = [None] * len(commands)
        places: dict[Address, list[int]] = {}
        for place, command in enumerate(commands):
            places.setdefault(self._owner(_slot(command)), []).append(place)
        for address, here in places.items():
            found = self._calls_at(address, [commands[place] for place in here])
            for place, reply in zip(here, found, strict=True):
                replies[place] = self._reply(commands[place]) if isinstance(reply, Moved) else reply
        return replies

    def script(self, script: Script, keys: Sequence[bytes], *arguments: Any) -> Any:
        """Run a script on the node that serves its keys, which share a slot."""
        return run_script(self.call, script, keys, arguments)

    def scripts(self, runs: Sequence[tuple[Script, Sequence[bytes], Sequence[Any]]]) -> list[Any]:
        """Run several scripts, one round trip per node (two if it does not know them yet)."""
        return run_scripts(self.calls, runs)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of *keys*, one round trip per node."""
        replies = self.calls([(b"GET", key) for key in keys])
        for reply in replies:
            if isinstance(reply, Refused) and not reply.is_wrong_type:
                raise reply
        return [None if isinstance(reply, Refused) else reply for reply in replies]

    def relearn(self) -> None:
        """Ask anew which server has which key."""
        self._refresh()

    def parts(self, left: Left | None = None) -> tuple[list[Part], object]:
        """Return what a sweep has to walk, in order, and what each node says of itself at this moment.

        A key of a slot under way moves from its sender to its receiver only, so a walk that meets the
        senders first meets every key. A receiver may serve no slot yet.

        Args:
            left: tells how many seconds are left, as for ``Server.pinned``.
        """
        topology = self._refresh(left=left)
        own: dict[Address, Node] = {}
        others: dict[str, Node] = {}
        for address in topology.primaries:
            own[address], nodes = nodes_of(self._tell(address, b"NODES", left))
            others.update(nodes)
        known = {node.id for node in own.values()}
        senders = [address for address, node in own.items() if node.receivers]
        receivers = {name for address in senders for name in own[address].receivers} - known
        # CLUSTER SLOTS gives the names that nodes announce where clients are to use them.
        named = any(address[0] == node.hostname for address, node in own.items())
        late = sorted(self._mapped(_reached(others[name], named=named)) for name in receivers)
        order = [*senders, *topology.primaries, *late]
        return [Part(self._server(at), _sync_key(topology, at)) for at in order], own

    def part_of(self, key: bytes) -> Part:
        """Return the node that serves *key*."""
        address = self._owner(key_slot(key))
        return Part(self._server(address), _sync_key(self._topology or self._refresh(), address))

    def drain(self) -> None:
        """Close the connections not in use; later calls open new ones."""
        for server in list(self._servers.values()):
            server.drain()

    def close(self) -> None:
        """Close the connections; final."""
        self._closed = True
        for server in list(self._servers.values()):
            server.close()

    def _owner(self, slot: int) -> Address:
        topology = self._topology or self._refresh()
        address = topology.owners[slot] or self._refresh().owners[slot]
        if address is None:
            raise CacheUnavailable(f"no node of the Redis Cluster serves slot {slot}")
        return address

    def _has_left(self, slot: int, address: Address) -> bool:
        """Ask the other nodes whether *slot* is served by another than the one that does not answer."""
        return self._refresh(unlike=address).owners[slot] != address

    def _refresh(
        self, first: Address | None = None, *, unlike: Address | None = None, left: Left | None = None
    ) -> Topology:
        """Ask nodes for the layout until one answers, for a bounded time."""
        until = time.monotonic() + min(self.timeout, left() if left else math.inf)
        lost: CacheUnavailable | None = None
        for address in self._candidates(first, unlike):
            try:
                reply = self._tell(address, b"SLOTS", left)
            except CacheUnavailable as error:
                lost = error
            else:
                self._topology = topology_of(reply, address, self._remap)
                return self._topology
            if time.monotonic() >= until:
                break
        raise CacheUnavailable(f"no node of the Redis Cluster said who serves what: {lost}") from lost

    def _tell(self, address: Address, what: bytes, left: Left | None) -> Any:
        """Have a node tell what it knows of the cluster."""
        with self._server(address).pinned(left) as pinned:
            return pinned.call(b"CLUSTER", what)

    def _candidates(self, first: Address | None, unlike: Address | None) -> list[Address]:
        """Return the known nodes in random order, so that a dead one is not always asked first."""
        known = {*self._seeds, *(self._topology.primaries if self._topology else ())} - {first, unlike}
        shuffled = random.sample(sorted(known), len(known))
        return [*([first] if first else []), *shuffled]

    def _server(self, address: Address) -> Server:
        server = self._servers.get(address)
        if server is None:
            server = self._servers.setdefault(address, self._make_server(*address))
            if self._closed:
                server.close()
        return server

    def _mapped(self, address: Address) -> Address:
        return address if self._remap is None else self._remap(address)

    def _calls_at(self, address: Address, commands: Sequence[Sequence[Any]]) -> list[Any]:
        try:
            return self._server(address).calls(commands)
        except Exhausted:
            raise
        except CacheUnavailable:
            if not self._has_left(_slot(commands[0]), address):
                raise
        return [self._reply(command) for command in commands]

    def _ask(self, address: Address, command: Sequence[Any]) -> Any:
        """Send *command* to the node to which its slot is under way."""
        _, reply = self._server(self._mapped(address)).calls([(b"ASKING",), command])
        if isinstance(reply, Refused):
            raise reply
        return reply

    def _reply(self, command: Sequence[Any]) -> Any:
        try:
            return self.call(*command)
        except Refused as refused:
            return refused


def _reached(node: Node, *, named: bool) -> Address:
    return (node.hostname, node.address[1]) if named and node.hostname else node.address


def _slot(command: Sequence[Any]) -> int:
    return int(key_slot(command[_KEY_PLACES.get(command[0], 1)]))


def _sync_key(topology: Topology, address: Address) -> bytes:
    """Return a key that the node at *address* would store; empty if it serves no slot."""
    if address not in topology.primaries:
        return b""
    names = (b"%b:%d" % (SYNC, number) for number in range(1 << 20))
    return next(name for name in names if topology.owners[key_slot(name)] == address)
