"""Questions to one server from an event loop: sent without waiting, the replies read as they come.

The loop tells when there is something to read; nothing here blocks, so no thread is needed.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors
from redis._parsers.hiredis import NOT_ENOUGH_DATA  # private, as in replies.py

from .failures import FAILURES, failure, is_demotion
from .pinned import refused
from .replies import PATIENCE, SLOWEST

if TYPE_CHECKING:
    from mysql_redis_cache.errors import CacheUnavailable

    from .connections import Connections

__all__ = ["Exchange", "fits", "suits"]

MOST_BYTES = 1 << 15
"""Bytes of commands that are sent in one go, which the buffers of any system have room for."""

AT_ONCE = 1 << 16
"""Bytes that are read in one go."""


def suits(connection: Any) -> bool:
    """Return whether an event loop can read replies off a connection: not off TLS."""
    return type(connection._sock) is socket.socket  # noqa: SLF001 - of that name in every supported version


def fits(request: bytes) -> bool:
    """Return whether packed commands can be sent without waiting."""
    return len(request) <= MOST_BYTES


class Exchange:
    """A connection lent to an event loop. Made by ``Server.exchange``; ``end`` or ``drop`` ends it.

    Args:
        connections: whose connection it is.
        connection: it, open and silent.
        timeout: seconds to wait for the next bytes.

    Attributes:
        file: the number of its socket.
        timeout: as given.
        received: bytes that have come in answer to what was asked last.
    """

    def __init__(self, connections: Connections, connection: Any, timeout: float) -> None:
        self._connections, self._connection = connections, connection
        self._reader = connection._parser._reader  # noqa: SLF001 - of that name in every supported version
        self.file: int = connection._sock.fileno()  # noqa: SLF001 - as above
        self.timeout = timeout
        self.received = 0
        self._owed = 0
        self._replies: list[Any] = []
        self._is_late_at = self._is_over_at = 0.0
        self._is_demoted = False

    @property
    def left(self) -> float:
        """Seconds until it is to be given up, unless more comes meanwhile."""
        return min(self._is_late_at, self._is_over_at) - time.monotonic()

    @property
    def may_go_on(self) -> bool:
        """Whether nobody else waits for the connection, and it is still one to go on with."""
        return not self._connections.is_wanted_back(self._connection)

    def ask(self, request: bytes, count: int) -> bool:
        """Send packed commands; ``False`` if that cannot be done at once: then this is to be dropped."""
        self._owed, self._replies, self.received = count, [], 0
        now = time.monotonic()
        self._is_late_at, self._is_over_at = now + self.timeout, now + PATIENCE * self.timeout
        try:
            return os.write(self.file, request) == len(request)
        except OSError:
            return False

    def receive(self) -> list[Any] | None:
        """Read what has come; return all replies, an error reply as ``Refused``, once they are there.

        Raises:
            CacheUnavailable: the connection is lost.
        """
        try:
            self._take()
        except BlockingIOError:
            return None
        except FAILURES as error:
            raise failure(error) from error
        return self._replies if len(self._replies) == self._owed else None

    def late(self) -> CacheUnavailable:
        """Return what to raise when it is given up."""
        return failure(redis_errors.TimeoutError("Timeout reading from socket"))

    def end(self) -> None:
        """Give the connection back, which owes nothing; not one to a replica, see ``Server``."""
        if self._is_demoted:
            self.drop()
        else:
            self._connections.take_back(self._connection)

    def drop(self) -> None:
        """Close the connection, which may hold replies that nobody waits for any more."""
        self._connections.discard(self._connection)
        if self._is_demoted:
            self._connections.drain()

    def _take(self) -> None:
        data = os.read(self.file, AT_ONCE)
        if not data or not self._owed:
            raise redis_errors.ConnectionError("the server has closed the connection")
        self.received += len(data)
        self._is_late_at = time.monotonic() + self.timeout
        self._is_over_at += len(data) / SLOWEST
        reader, replies = self._reader, self._replies
        reader.feed(data)
        while len(replies) < self._owed and (reply := reader.gets()) is not NOT_ENOUGH_DATA:
            replies.append(self._refused(reply) if isinstance(reply, Exception) else reply)
        if len(replies) == self._owed and reader.has_data():
            raise redis_errors.ConnectionError("the server has sent more than was asked for")

    def _refused(self, error: Exception) -> CacheUnavailable:
        self._is_demoted = self._is_demoted or is_demotion(error)
        return refused(error)
