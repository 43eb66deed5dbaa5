"""One Redis server: commands over connections that are dropped unless a whole reply was read.

Replies are read as bytes under RESP2. A connection on which anything else happened may hold somebody else's
reply, and is never used again. Whatever goes wrong leaves here as ``CacheUnavailable``.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from redis import exceptions as redis_errors

from mysql_redis_cache.errors import CacheUnavailable, MRCError
from mysql_redis_cache.runtime import advice

from .connections import Connections

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from .scripts import Script

__all__ = [
    "FAILURES",
    "Moved",
    "Part",
    "Pinned",
    "Refused",
    "Server",
    "Silent",
    "failure",
    "run_script",
    "run_scripts",
]

# RedisClusterException is no RedisError; what a socket raises is an OSError.
FAILURES = (redis_errors.RedisError, redis_errors.RedisClusterException, OSError)
PIECE = 1 << 18
"""Bytes that must get through within a connection's timeout when a command has more of them."""

DIGESTED = 1e7
"""Bytes a second that a server is given time for, from the last one sent to its reply."""

_MOVED = re.compile(r"(?:(MOVED|ASK) )?\d+ (.*):(\d+)")


class Silent(CacheUnavailable, shown_as=CacheUnavailable):
    """Redis did not answer in time."""


class Refused(CacheUnavailable, shown_as=CacheUnavailable):
    """Redis answered a command with an error, such as WRONGTYPE, OOM or READONLY."""

    @property
    def is_unknown_script(self) -> bool:
        """Whether the server does not know the script, as after its restart."""
        return isinstance(self.__cause__, redis_errors.NoScriptError)

    @property
    def is_wrong_type(self) -> bool:
        """Whether the key holds another type than the command is for."""
        return str(self.__cause__).startswith("WRONGTYPE")


class Moved(Refused, shown_as=CacheUnavailable):
    """The key's slot is, or is on its way to, elsewhere in the cluster.

    Attributes:
        address: host and port to ask; the host may be empty, which means that of who said so.
        asking: whether only for this time (ASK), the slot being under way.
    """

    address: tuple[str, int]
    asking: bool


class Part(NamedTuple):
    """A server to be swept, and a key that it would store."""

    server: Server
    key: bytes


class Server:
    """One Redis server, or the master that Sentinel names.

    Args:
        make: makes an unopened redis-py connection.
        limit: how many connections may be open.
        timeout: seconds to wait for a reply, and for a free connection.
        target: equal for those that lead to the same place in the same way.
    """

    clustered = False

    def __init__(
        self, make: Callable[[], Any], limit: int, timeout: float, target: Hashable | None = None
    ) -> None:
        self.timeout = timeout
        self.target = id(self) if target is None else target
        self._make = make
        self._connections = Connections(make, limit, timeout, FAILURES)

    def call(self, *command: Any) -> Any:
        """Send one command and return its reply: the one round trip of a hit.

        Raises:
            Refused: Redis answered with an error.
            CacheUnavailable: it did not answer.
        """
        try:
            connection = self._connections.lend()
            try:
                packed = connection.pack_command(*_texts(command))
                if len(packed[0]) > PIECE:
                    reply = _ask_at_length(connection, packed[0])
                else:
                    connection.send_packed_command(packed, check_health=False)
                    reply = connection.read_response()
            except redis_errors.ResponseError as error:
                self._take_back(connection, demoted=isinstance(error, redis_errors.ReadOnlyError))
                raise
            except BaseException:
                self._connections.discard(connection)
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
        return run_script(self.call, script, keys, arguments)

    def scripts(self, runs: Sequence[tuple[Script, Sequence[bytes], Sequence[Any]]]) -> list[Any]:
        """Run several scripts in one round trip (two if the server does not know them yet)."""
        return run_scripts(self.calls, runs)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of *keys* in one round trip."""
        return list(self.call(b"MGET", *keys))

    @contextmanager
    def pinned(self) -> Iterator[Pinned]:
        """Lend one connection for several commands; it is never silently replaced by another."""
        try:
            connection = self._connections.lend()
            pinned = Pinned(connection)
            try:
                yield pinned
            except BaseException:
                self._connections.discard(connection)
                raise
        except MRCError:
            raise
        except FAILURES as error:
            raise failure(error) from error
        self._take_back(connection, demoted=pinned.demoted)

    def server_of(self, key: bytes) -> Server:  # noqa: ARG002 - of a cluster it matters
        """Return the server that has *key*."""
        return self

    def relearn(self) -> None:
        """Ask anew which server has which key: here there is one."""

    def dial(self) -> Any:
        """Return an open connection of redis-py's that is no part of the pool, for who stays on it."""
        try:
            connection = self._make()
            connection.connect()
        except FAILURES as error:
            raise failure(error) from error
        return connection

    def parts(self) -> tuple[list[Part], object]:
        """Return what a sweep has to walk, and something that changes when keys may have moved: never."""
        return [Part(self, b"mrc:sync")], None

    def drain(self) -> None:
        """Close the connections not in use; later calls open new ones."""
        self._connections.drain()

    def close(self) -> None:
        """Close the connections; final."""
        self._connections.close()

    def _take_back(self, connection: Any, *, demoted: bool) -> None:
        """Take the connection back, unless its server calls itself a replica: then it serves stale rows.

        The name may lead to another server by now, as behind a failover, so all connections are opened anew.
        """
        if not demoted:
            self._connections.take_back(connection)
            return
        self._connections.discard(connection)
        self._connections.drain()


class Pinned:
    """Several commands over one connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.demoted = False

    def call(self, *command: Any) -> Any:
        """Send one command and return its reply; an error reply is raised as ``Refused``."""
        (reply,) = self.calls([command])
        if isinstance(reply, Refused):
            raise reply
        return reply

    def calls(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Send several commands at once and return their replies; an error reply is returned."""
        connection = self._connection
        packed = connection.pack_commands([_texts(command) for command in commands])
        connection.send_packed_command(packed, check_health=False)
        return [self._reply() for _ in commands]

    def _reply(self) -> Any:
        try:
            return self._connection.read_response()
        except redis_errors.ResponseError as error:
            self.demoted = self.demoted or isinstance(error, redis_errors.ReadOnlyError)
            refused = failure(error)
            refused.__cause__ = error
            return refused


def run_script(
    call: Callable[..., Any], script: Script, keys: Sequence[bytes], arguments: Sequence[Any]
) -> Any:
    """Run a script by *call*, sending its text only where it is not known yet."""
    try:
        return call(b"EVALSHA", script.sha, len(keys), *keys, *arguments)
    except Refused as error:
        if not error.is_unknown_script:
            raise
        return call(b"EVAL", script.source, len(keys), *keys, *arguments)


def run_scripts(
    calls: Callable[[Sequence[Sequence[Any]]], list[Any]],
    runs: Sequence[tuple[Script, Sequence[bytes], Sequence[Any]]],
) -> list[Any]:
    """Run several scripts by *calls*, sending their texts only where they are not known yet."""
    replies = calls([(b"EVALSHA", s.sha, len(keys), *keys, *arguments) for s, keys, arguments in runs])
    unknown = [
        place for place, reply in enumerate(replies) if isinstance(reply, Refused) and reply.is_unknown_script
    ]
    if unknown:
        texts = [
            (s.source, len(keys), *keys, *arguments) for s, keys, arguments in map(runs.__getitem__, unknown)
        ]
        for place, reply in zip(unknown, calls([(b"EVAL", *text) for text in texts]), strict=True):
            replies[place] = reply
    return replies


def _ask_at_length(connection: Any, command: bytes) -> Any:
    """Send a packed command of many bytes and return its reply, the longer waited for the more they are.

    A socket's timeout bounds the sending of a whole buffer, so they go piece by piece.
    """
    view = memoryview(command)
    pieces = [view[start : start + PIECE] for start in range(0, len(view), PIECE)]
    connection.send_packed_command(pieces, check_health=False)
    socket = connection._sock  # noqa: SLF001 - of that name in every supported version
    usual = socket.gettimeout()
    socket.settimeout(usual + len(command) / DIGESTED)
    reply = connection.read_response()
    socket.settimeout(usual)
    return reply


def _texts(command: Sequence[Any]) -> list[Any]:
    """Return *command* with its numbers as text.

    hiredis (3.5) ends the process if a signal handler raises while it packs a number: it does not look
    whether ``repr`` failed.
    """
    return [b"%d" % part if type(part) is int else part for part in command]


def failure(error: Exception) -> CacheUnavailable:
    """Return what *error* of redis-py or of a socket is called outside this room."""
    if isinstance(error, redis_errors.ResponseError):
        # An unknown command is quoted with its arguments, and those hold passwords and parameter values.
        error.args = (str(error).partition(", with args")[0],)
        return _moved(str(error), error) or Refused(f"Redis refused a command: {error}")
    kind = Silent if isinstance(error, (redis_errors.TimeoutError, TimeoutError)) else CacheUnavailable
    what_to_do = advice(error, "ssl_ca_certs", "ssl_certfile and ssl_keyfile")
    return kind(f"Redis is not available: {type(error).__name__}: {error}{what_to_do}")


def _moved(text: str, error: redis_errors.ResponseError) -> Moved | None:
    # Before redis-py 6 the errors of clusters had no classes outside its own cluster client.
    found = _MOVED.fullmatch(text)
    if found is None or not (found[1] or isinstance(error, redis_errors.AskError)):
        return None
    moved = Moved(f"the Redis Cluster has moved a key's slot: {text}")
    moved.address = (found[2], int(found[3]))
    moved.asking = found[1] == "ASK" if found[1] else not isinstance(error, redis_errors.MovedError)
    return moved
