"""Several commands over one connection."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any

import hiredis
from redis import exceptions as redis_errors

from .failures import Refused, failure, is_demotion
from .replies import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mysql_redis_cache.errors import CacheUnavailable

    Left = Callable[[], float]

__all__ = ["PIECE", "SHORTEST", "Pinned", "as_texts", "in_pieces", "packed", "refused"]

PIECE = 1 << 18
"""Bytes that must get through within a connection's timeout when a command has more of them."""

SHORTEST = 0.001
"""Seconds that are waited for a reply when there are none left: the command has been sent."""


class Pinned:
    """Several commands over one connection.

    Args:
        connection: the connection.
        left: tells how many seconds are left for them, if nothing is to be waited for beyond that.
    """

    def __init__(self, connection: Any, left: Left | None = None) -> None:
        self._connection = connection
        self._left = left
        self._is_hurried = False
        self._owed = 0
        self._early: deque[Any] = deque()
        self.demoted = False

    def call(self, *command: Any) -> Any:
        """Send one command and return its reply; an error reply is raised as ``Refused``."""
        (reply,) = self.calls([command])
        return _raised(reply)

    def calls(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Send several commands at once and return their replies; an error reply is returned."""
        self._send(commands)
        replies = self._replies(self._owed + len(commands))
        self._early += replies[: self._owed]
        replies = replies[self._owed :]
        self._owed = 0
        return replies

    def send(self, *command: Any) -> None:
        """Send one command whose reply is taken by ``receive``, perhaps after others have been called."""
        self._send([command])
        self._owed += 1

    def receive(self) -> Any:
        """Return the reply to what ``send`` has sent; an error reply is raised as ``Refused``."""
        if not self._early:
            self._early += self._replies(self._owed)
            self._owed = 0
        return _raised(self._early.popleft())

    def end(self) -> None:
        """Leave the connection as it was found."""
        if self._owed:
            raise AssertionError("a reply was not received")
        if self._is_hurried:
            self._connection._parser.wait_at_most(self._connection.socket_timeout)  # noqa: SLF001 - see bounds.py

    def _send(self, commands: Sequence[Sequence[Any]]) -> None:
        self._hurry()
        self._connection.send_packed_command(in_pieces(packed(commands)), check_health=False)

    def _hurry(self) -> None:
        """Have nobody wait beyond the time that is left."""
        usual, left = self._connection.socket_timeout, self._left() if self._left else math.inf
        if left < PATIENCE * usual:
            left = max(left, SHORTEST)
            self._is_hurried = True
            self._connection._parser.wait_at_most(min(usual, left), left)  # noqa: SLF001 - see bounds.py

    def _replies(self, count: int) -> list[Any]:
        return [
            self._refused(reply) if isinstance(reply, Exception) else reply
            for reply in self._connection._parser.read_replies(count)  # noqa: SLF001 - as above
        ]

    def _refused(self, error: Exception) -> CacheUnavailable:
        self.demoted = self.demoted or is_demotion(error)
        return refused(error)


def _raised(reply: Any) -> Any:
    if isinstance(reply, Refused):
        raise reply
    return reply


def refused(error: Exception) -> CacheUnavailable:
    """Return what an error reply is called outside this room; raise what is none."""
    if not isinstance(error, redis_errors.ResponseError):
        raise error
    said = failure(error)
    said.__cause__ = error
    return said


def packed(commands: Sequence[Sequence[Any]]) -> bytes:
    """Return several commands as they are sent."""
    return b"".join([hiredis.pack_command(tuple(as_texts(command))) for command in commands])


def in_pieces(packed: bytes) -> list[bytes | memoryview]:
    """Cut a command of many bytes: a socket's timeout bounds the sending of a whole buffer."""
    if len(packed) <= PIECE:
        return [packed]
    view = memoryview(packed)
    return [view[start : start + PIECE] for start in range(0, len(view), PIECE)]


def as_texts(command: Sequence[Any]) -> list[Any]:
    """Return *command* with its numbers as text.

    hiredis (3.5) ends the process if a signal handler raises while it packs a number: it does not look
    whether ``repr`` failed.
    """
    return [b"%d" % part if type(part) is int else part for part in command]
