"""A bounded LIFO of connections to one server that cannot leak, whatever is raised where.

There is no count of connections lent out that an exception between two bytecodes could put wrong (a signal
handler may raise anywhere): the living connections themselves are counted, weakly, so one that gets lost
is garbage, and its place free again. Lending and taking back touch no lock.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from mysql_redis_cache import process
from mysql_redis_cache.errors import CacheUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Connection", "Connections"]

# A lost connection wakes nobody, so whoever waits for one looks again this often.
LOOK_AGAIN = 0.05


class Connection(Protocol):
    """What is asked of a connection here."""

    def connect(self) -> Any:
        """Open it."""

    def can_read(self, timeout: float = 0) -> bool:
        """Return whether anything waits to be read; raise if the server has closed it."""

    def disconnect(self) -> Any:
        """Close it."""


class Connections:
    """Lends connections.

    Args:
        make: makes an unopened connection.
        limit: how many may be alive.
        timeout: seconds to wait for one when all are lent.
    """

    def __init__(self, make: Callable[[], Any], limit: int, timeout: float) -> None:
        self._make = make
        self._limit = limit
        self._timeout = timeout
        self._closed = False
        self.after_fork_in_child()
        process.register(self)

    def after_fork_in_child(self) -> None:
        """Leave the parent's connections alone: dropping them closes descriptors and sends nothing."""
        self._idle: deque[Any] = deque()
        self._alive: WeakSet[Any] = WeakSet()
        self._waiting = 0
        self._returned = threading.Condition(threading.Lock())

    def lend(self) -> Any:
        """Return an open connection with nothing unread; give it back by ``take_back``, or drop it.

        Raises:
            CacheUnavailable: all are lent and none came back in time.
            Exception: whatever connecting raises.
        """
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self._open()
            if _is_clean(connection):
                return connection

    def take_back(self, connection: Any) -> None:
        """Take back a connection whose last reply has been read whole."""
        if self._closed:
            connection.disconnect()
            return
        self._idle.append(connection)
        if self._closed:  # since the question above
            self.drain()
        if self._waiting:
            with self._returned:
                self._returned.notify()

    def drain(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().disconnect()

    def close(self) -> None:
        """Close the idle connections, and those still lent when they come back; final."""
        self._closed = True
        self.drain()

    def _open(self) -> Any:
        connection = self._place_or_idle()
        try:
            connection.connect()
        except BaseException:
            connection.disconnect()
            self._alive.discard(connection)
            raise
        return connection

    def _place_or_idle(self) -> Any:
        """Return a new connection if there is room for one, else the next that comes back."""
        until = time.monotonic() + self._timeout
        with self._returned:
            self._waiting += 1
            try:
                while True:
                    if self._idle:
                        return self._idle.pop()
                    if len(self._alive) < self._limit:
                        connection = self._make()
                        self._alive.add(connection)
                        return connection
                    left = until - time.monotonic()
                    if left <= 0:
                        raise CacheUnavailable(
                            f"no Redis connection became free within {self._timeout:g} s "
                            f"(all {self._limit} are in use); raise max_connections"
                        )
                    self._returned.wait(min(left, LOOK_AGAIN))
            finally:
                self._waiting -= 1


def _is_clean(connection: Any) -> bool:
    """Return whether an idle connection is open and silent; close it if not."""
    try:
        if not connection.can_read():
            return True
    except Exception:  # noqa: BLE001, S110 - closed by the server, however that shows: another one serves
        pass
    connection.disconnect()
    return False
