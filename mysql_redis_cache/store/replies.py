"""Reading replies: each within a bound as a whole.

A socket's timeout bounds the wait for the next byte only, so a server (or a network) that sends one byte at a
time would hold its reader for ever.
"""

from __future__ import annotations

import math
import time
from typing import Any

from redis import exceptions as redis_errors

# Private to redis-py, but what its connections take as ``parser_class`` in every supported version.
from redis._parsers import _HiredisParser
from redis._parsers.hiredis import NOT_ENOUGH_DATA

__all__ = ["PATIENCE", "Parser"]

PATIENCE = 8
"""How many times the socket's timeout a reply may take, not counting the time its size may ask for."""

SLOWEST = 1e6
"""Bytes a second, below which a connection is given up."""


class Parser(_HiredisParser):
    """redis-py's parser; a reply that trickles in is given up like one that does not come."""

    def on_connect(self, connection: Any, **kwargs: Any) -> None:
        """Take the connection's socket and its timeout."""
        super().on_connect(connection, **kwargs)  # type: ignore[no-untyped-call]  # redis-py's
        self.wait_at_most(connection.socket_timeout)
        self._begin()

    def wait_at_most(self, seconds: float, whole: float = math.inf) -> None:
        """Set the bounds for replies to come.

        Args:
            seconds: to wait for the next byte, and for room to send.
            whole: for a reply as a whole, if that is less than ``PATIENCE`` times as much.
        """
        socket: Any = self._sock
        socket.settimeout(seconds)
        self._limit = min(PATIENCE * seconds, whole)

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """Read one reply."""
        self._begin()
        return super().read_response(*args, **kwargs)

    def read_replies(self, count: int) -> list[Any]:
        """Read several replies, without what redis-py does for each; an error reply stands in its place."""
        reader: Any = self._reader
        replies: list[Any] = []
        while len(replies) < count:
            self._begin()
            while (reply := reader.gets()) is NOT_ENOUGH_DATA:
                self.read_from_socket()
            replies.append(reply)
        return replies

    def read_from_socket(self, *args: Any, **kwargs: Any) -> Any:
        """Read what has come; raise ``redis.TimeoutError`` if the reply is taking too long as a whole."""
        if self._received and time.monotonic() > self._began + self._limit + self._received / SLOWEST:
            raise redis_errors.TimeoutError("the reply trickles in")
        reader: Any = self._reader
        before = reader.len()
        got = super().read_from_socket(*args, **kwargs)  # type: ignore[no-untyped-call]  # redis-py's
        self._received += reader.len() - before
        return got

    def _begin(self) -> None:
        self._began = time.monotonic()
        self._received = 0
