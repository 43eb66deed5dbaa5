"""Several commands over one connection."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors

from .failures import Refused, failure, is_demotion
from .replies import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Left = Callable[[], float]

__all__ = ["SHORTEST", "Pinned", "as_texts"]

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
        while self._owed:
            self._early.append(self._reply())
            self._owed -= 1
        return [self._reply() for _ in commands]

    def send(self, *command: Any) -> None:
        """Send one command whose reply is taken by ``receive``, perhaps after others have been called."""
        self._send([command])
        self._owed += 1

    def receive(self) -> Any:
        """Return the reply to what ``send`` has sent; an error reply is raised as ``Refused``."""
        if self._early:
            return _raised(self._early.popleft())
        self._owed -= 1
        return _raised(self._reply())

    def end(self) -> None:
        """Leave the connection as it was found."""
        if self._owed:
            raise AssertionError("a reply was not received")
        if self._is_hurried:
            self._connection._parser.wait_at_most(self._connection.socket_timeout)  # noqa: SLF001 - see bounds.py

    def _send(self, commands: Sequence[Sequence[Any]]) -> None:
        self._hurry()
        packed = self._connection.pack_commands([as_texts(command) for command in commands])
        self._connection.send_packed_command(packed, check_health=False)

    def _hurry(self) -> None:
        """Have nobody wait beyond the time that is left."""
        usual, left = self._connection.socket_timeout, self._left() if self._left else math.inf
        if left < PATIENCE * usual:
            left = max(left, SHORTEST)
            self._is_hurried = True
            self._connection._parser.wait_at_most(min(usual, left), left)  # noqa: SLF001 - see bounds.py

    def _reply(self) -> Any:
        try:
            return self._connection.read_response()
        except redis_errors.ResponseError as error:
            self.demoted = self.demoted or is_demotion(error)
            refused = failure(error)
            refused.__cause__ = error
            return refused


def _raised(reply: Any) -> Any:
    if isinstance(reply, Refused):
        raise reply
    return reply


def as_texts(command: Sequence[Any]) -> list[Any]:
    """Return *command* with its numbers as text.

    hiredis (3.5) ends the process if a signal handler raises while it packs a number: it does not look
    whether ``repr`` failed.
    """
    return [b"%d" % part if type(part) is int else part for part in command]
