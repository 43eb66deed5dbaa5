"""One Redis server: commands over connections that are dropped unless a whole reply was read.

Replies are read as bytes under RESP2. A connection on which anything else happened may hold somebody else's
reply, and is never used again. Whatever goes wrong leaves here as ``CacheUnavailable``.
"""

from __future__ import annotations

import math
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from redis import exceptions as redis_errors

from mysql_redis_cache.errors import MRCError

from .connections import Connections
from .exchange import Exchange, suits
from .failures import FAILURES, Refused, failure, is_demotion
from .pinned import PIECE, SHORTEST, Pinned, as_texts, in_pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from .pinned import Left
    from .scripts import Script

__all__ = ["SYNC", "Part", "Server", "run_script", "run_scripts"]

SYNC = b"mrc:sync"
"""A key that is written so that there is something for replicas to have."""

DIGESTED = 1e7
"""Bytes a second that a server is given time for, from the last one sent to its reply."""


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
        self._suits_loops = os.name == "posix"  # where a socket is a file

    def call(self, *command: Any) -> Any:
        """Send one command and return its reply: the one round trip of a hit.

        Raises:
            Refused: Redis answered with an error.
            CacheUnavailable: it did not answer.
        """
        try:
            connection = self._connections.lend()
            try:
                packed = connection.pack_command(*as_texts(command))
                if len(packed[0]) > PIECE:
                    reply = _ask_at_length(connection, packed[0])
                else:
                    connection.send_packed_command(packed, check_health=False)
                    reply = connection.read_response()
            except redis_errors.ResponseError as error:
                self._take_back(connection, demoted=is_demotion(error))
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
    def pinned(self, left: Left | None = None) -> Iterator[Pinned]:
        """Lend one connection for several commands; it is never silently replaced by another.

        Args:
            left: tells how many seconds are left for them all, if nothing is to be waited for beyond that.
        """
        try:
            connection = self._connections.lend(max(SHORTEST, left()) if left else math.inf)
            pinned = Pinned(connection, left)
            try:
                yield pinned
                pinned.end()
            except BaseException:
                self._connections.discard(connection)
                raise
        except MRCError:
            raise
        except FAILURES as error:
            raise failure(error) from error
        self._take_back(connection, demoted=pinned.demoted)

    def exchange(self) -> Exchange | None:
        """Lend an event loop a connection that it need not wait for; ``None`` if there is none.

        Raises:
            CacheUnavailable: an idle connection could not even be looked at.
        """
        connection = self._connections.lend_at_once() if self._suits_loops else None
        if connection is None:
            return None
        if not suits(connection):
            self._suits_loops = False
            self._connections.take_back(connection)
            return None
        return Exchange(self._connections, connection, self.timeout)

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

    def parts(self, left: Left | None = None) -> tuple[list[Part], object]:  # noqa: ARG002 - a cluster's has it
        """Return what a sweep has to walk, and something that changes when keys may have moved: never."""
        return [Part(self, SYNC)], None

    def part_of(self, key: bytes) -> Part:  # noqa: ARG002 - a cluster has several
        """Return what holds *key*."""
        return Part(self, SYNC)

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
    """Send a packed command of many bytes and return its reply, the longer waited for the more they are."""
    connection.send_packed_command(in_pieces(command), check_health=False)
    socket = connection._sock  # noqa: SLF001 - of that name in every supported version
    usual = socket.gettimeout()
    socket.settimeout(usual + len(command) / DIGESTED)
    reply = connection.read_response()
    socket.settimeout(usual)
    return reply
