"""A Redis Cluster, by way of redis-py's own routing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors

from mysql_redis_cache import process
from mysql_redis_cache.errors import MRCError

from .single import FAILURES, Refused, Server, failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mysql_redis_cache.scripts import Script

__all__ = ["Cluster"]


class Cluster:
    """A Redis Cluster, by way of redis-py's own routing.

    Args:
        make_client: makes a ``RedisCluster``, which asks the nodes for the layout at once.
        make_server: makes a ``Server`` for the node at a host and port, for sweeps.
    """

    clustered = True

    def __init__(self, make_client: Callable[[], Any], make_server: Callable[[str, int], Server]) -> None:
        self._make_client = make_client
        self._make_server = make_server
        self._servers: dict[tuple[str, int], Server] = {}
        self._client: Any = None
        process.register(self)

    def after_fork_in_child(self) -> None:
        """Ask for the layout anew over connections of this process."""
        self._client = None

    def call(self, *command: Any) -> Any:
        """Send one command to the node that serves its key."""
        try:
            return self._routed().execute_command(*command)
        except MRCError:
            raise
        except FAILURES as error:
            raise failure(error) from error

    def calls(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Send several commands, each to the node that serves its key."""
        return [self._reply(command) for command in commands]

    def script(self, script: Script, keys: Sequence[bytes], *arguments: Any) -> Any:
        """Run a script on the node that serves its keys, which share a slot."""
        try:
            return self.call("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except Refused as error:
            if not isinstance(error.__cause__, redis_errors.NoScriptError):
                raise
            return self.call("EVAL", script.source, len(keys), *keys, *arguments)

    def scripts(self, runs: Sequence[tuple[Script, Sequence[bytes], Sequence[Any]]]) -> list[Any]:
        """Run several scripts, each on its node."""
        return [self.script(script, keys, *arguments) for script, keys, arguments in runs]

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of *keys*, one round trip per slot at most."""
        try:
            return list(self._routed().mget_nonatomic(keys))
        except MRCError:
            raise
        except FAILURES as error:
            raise failure(error) from error

    def primaries(self) -> list[Server]:
        """Return the servers that hold keys now."""
        return [self._server(*address) for address in self._addresses()]

    def layout(self) -> object:
        """Return which primary serves which slots, as the nodes say at this moment."""
        try:
            client = self._routed()
            client.nodes_manager.initialize()
            slots = client.nodes_manager.slots_cache
            return {slot: (nodes[0].host, nodes[0].port) for slot, nodes in slots.items()}
        except MRCError:
            raise
        except FAILURES as error:
            raise failure(error) from error

    def drain(self) -> None:
        """Close all connections; later calls open new ones."""
        client, self._client = self._client, None
        if client is not None:
            client.close()
        for server in self._servers.values():
            server.drain()

    def close(self) -> None:
        """Close all connections."""
        self.drain()

    def _routed(self) -> Any:
        if self._client is None:
            self._client = self._make_client()
        return self._client

    def _addresses(self) -> list[tuple[str, int]]:
        try:
            return sorted((node.host, node.port) for node in self._routed().get_primaries())
        except MRCError:
            raise
        except FAILURES as error:
            raise failure(error) from error

    def _server(self, host: str, port: int) -> Server:
        server = self._servers.get((host, port))
        if server is None:
            server = self._servers.setdefault((host, port), self._make_server(host, port))
        return server

    def _reply(self, command: Sequence[Any]) -> Any:
        try:
            return self.call(*command)
        except Refused as refused:
            return refused
