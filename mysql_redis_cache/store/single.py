"""One Redis server: commands over connections that are dropped unless a whole reply was read.

Replies are read as bytes under RESP2. A connection on which anything else happened may hold somebody else's
reply, and is never used again. Whatever goes wrong leaves here as ``CacheUnavailable``.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors

from mysql_redis_cache.connections import Connections
from mysql_redis_cache.errors import CacheUnavailable, MRCError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mysql_redis_cache.scripts import Script

__all__ = ["FAILURES", "Pinned", "Refused", "Server", "failure"]

# RedisClusterException is no RedisError; what a socket raises is an OSError.
FAILURES = (redis_errors.RedisError, redis_errors.RedisClusterException, OSError)


class Refused(CacheUnavailable):
    """Redis answered a command with an error, such as WRONGTYPE, OOM or READONLY."""


class Server:
    """One Redis server, or the master that Sentinel names.

    Args:
        make: makes an unopened redis-py connection.
        limit: how many connections may be open.
        timeout: seconds to wait for a free one.
    """

    clustered = False

    def __init__(self, make: Callable[[], Any], limit: int, timeout: float) -> None:
        self._connections = Connections(make, limit, timeout)

    def call(self, *command: Any) -> Any:
        """Send one command and return its reply: the one round trip of a hit.

        Raises:
            Refused: Redis answered with an error.
            CacheUnavailable: it did not answer.
        """
        try:
            connection = self._connections.lend()
            try:
                connection.send_packed_command(connection.pack_command(*command), check_health=False)
                reply = connection.read_response()
            except redis_errors.ResponseError:
                self._connections.take_back(connection)
                raise
            except BaseException:
                connection.disconnect()
                raise
        except MRCError:
            raise
        except FAILURES as error:
            raise failure(error) from error
        self._connections.take_back(connection)
        return reply

    def calls(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Send several commands in one round trip; an error reply is returned in its place as ``Refused``."""
        with self.pinned() as pinned:
            return pinned.calls(commands)

    def script(self, script: Script, keys: Sequence[bytes], *arguments: Any) -> Any:
        """Run a script, sending its text only to a server that does not know it yet."""
        try:
            return self.call(b"EVALSHA", script.sha, len(keys), *keys, *arguments)
        except Refused as error:
            if not isinstance(error.__cause__, redis_errors.NoScriptError):
                raise
            return self.call(b"EVAL", script.source, len(keys), *keys, *arguments)

    def scripts(self, runs: Sequence[tuple[Script, Sequence[bytes], Sequence[Any]]]) -> list[Any]:
        """Run several scripts in one round trip (two if one of them is new to the server)."""
        replies = self.calls([(b"EVALSHA", s.sha, len(keys), *keys, *args) for s, keys, args in runs])
        return [
            self.script(script, keys, *arguments) if is_unknown_script(reply) else reply
            for reply, (script, keys, arguments) in zip(replies, runs, strict=True)
        ]

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of *keys* in one round trip."""
        return list(self.call(b"MGET", *keys))

    @contextmanager
    def pinned(self) -> Iterator[Pinned]:
        """Lend one connection for several commands; it is never silently replaced by another."""
        try:
            connection = self._connections.lend()
            try:
                yield Pinned(connection)
            except BaseException:
                connection.disconnect()
                raise
        except MRCError:
            raise
        except FAILURES as error:
            raise failure(error) from error
        self._connections.take_back(connection)

    def primaries(self) -> list[Server]:
        """Return the servers that hold keys: this one."""
        return [self]

    def layout(self) -> object:
        """Return something that changes when keys may have moved between servers: never."""
        return None

    def drain(self) -> None:
        """Close the connections not in use; later calls open new ones."""
        self._connections.drain()

    def close(self) -> None:
        """Close the connections; final."""
        self._connections.close()


class Pinned:
    """Several commands over one connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def call(self, *command: Any) -> Any:
        """Send one command and return its reply; an error reply is raised as ``Refused``."""
        (reply,) = self.calls([command])
        if isinstance(reply, Refused):
            raise reply
        return reply

    def calls(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Send several commands at once and return their replies; an error reply is returned."""
        connection = self._connection
        connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        return [self._reply() for _ in commands]

    def _reply(self) -> Any:
        try:
            return self._connection.read_response()
        except redis_errors.ResponseError as error:
            refused = failure(error)
            refused.__cause__ = error
            return refused


def failure(error: Exception) -> CacheUnavailable:
    """Return what *error* of redis-py or of a socket is called outside this room."""
    if isinstance(error, redis_errors.ResponseError):
        return Refused(f"Redis refused a command: {error}")
    return CacheUnavailable(f"Redis did not answer: {type(error).__name__}: {error}")


def is_unknown_script(reply: object) -> bool:
    return isinstance(reply, Refused) and isinstance(reply.__cause__, redis_errors.NoScriptError)
