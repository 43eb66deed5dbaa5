"""A bounded LIFO of connections to one server that cannot leak, whatever is raised where.

There is no count of connections lent out that an exception between two bytecodes could put wrong (a signal
handler may raise anywhere): the living connections themselves are counted, weakly, so one that gets lost
is garbage, and its place free again. The references are looked at when a place is needed; nothing of ours is
called when a connection ends, since that could be interrupted as well. Lending an idle connection and taking
it back touch no lock while nobody waits; those who wait get one in the order in which they came.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol
from weakref import ref

from redis import SSLConnection

from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.runtime import WaitQueue, forget_errors, process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Connection", "Connections", "Exhausted"]


class Exhausted(CacheUnavailable, shown_as=CacheUnavailable):
    """All connections are in use, which says nothing of Redis."""


class Connection(Protocol):
    """What is asked of a connection here."""

    def connect(self) -> Any:
        """Open it; nothing if it is open."""

    def can_read(self, timeout: float = 0) -> bool:
        """Return whether anything waits to be read; raise if the server has closed it."""
        ...

    def disconnect(self) -> Any:
        """Close it."""


class Connections:
    """Lends connections.

    Args:
        make: makes an unopened connection.
        limit: how many may be alive.
        timeout: seconds to wait for one when all are lent.
        failures: what an idle connection raises when the server has closed it.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        limit: int,
        timeout: float,
        failures: tuple[type[Exception], ...] = (OSError,),
    ) -> None:
        self._make = make
        self._limit = limit
        self._timeout = timeout
        self._failures = failures
        self._closed = False
        self._epoch = 0  # which drain it is that connections were made after
        self.after_fork_in_child()
        process.register(self)

    def after_fork_in_child(self) -> None:
        """Leave the parent's connections alone: dropping them closes descriptors and sends nothing."""
        self._idle: deque[Any] = deque()
        self._alive: set[ref[Any]] = set()
        self._lock = threading.RLock()  # a signal handler may read, too, and strike where it is held
        self._queue: WaitQueue[Any] = WaitQueue(self._find, self._close)

    def lend(self, within: float = math.inf) -> Any:
        """Return an open connection with nothing unread; give it to ``take_back`` or ``discard``.

        Args:
            within: seconds that waiting and opening may take, if that is less than usual.

        Raises:
            Exhausted: all are lent and none came back in time.
            Exception: whatever connecting raises.
        """
        if not self._queue.tickets:
            connection = self._pop()
            if connection is not None:
                return connection
        patience = min(self._timeout, within)
        connection = self._queue.wait(time.monotonic() + patience)
        if connection is None:
            raise Exhausted(
                f"no Redis connection became free within {patience:g} s "
                f"(all {self._limit} are in use); raise max_connections"
            )
        return self._connected(connection, within)

    def lend_at_once(self) -> Any:
        """Return an open connection with nothing unread as ``lend`` does, or ``None`` if none is idle."""
        return None if self._queue.tickets else self._pop()

    def is_wanted_back(self, connection: Any) -> bool:
        """Return whether somebody waits for a connection, or this one is of before a drain."""
        return bool(self._queue.tickets) or connection.mrc_epoch != self._epoch

    def take_back(self, connection: Any) -> None:
        """Take back a connection whose last reply has been read whole."""
        if connection.mrc_epoch != self._epoch:
            self.discard(connection)
            return
        self._idle.append(connection)
        if connection.mrc_epoch != self._epoch:  # since the question above
            self.drain()
        if self._queue.tickets:
            self._queue.serve()

    def discard(self, connection: Any) -> None:
        """Close a connection that may hold somebody else's reply; its place is free again."""
        self._close(connection)
        if self._queue.tickets:
            self._queue.serve()

    def drain(self) -> None:
        """Close the idle connections, and those that are lent when they come back."""
        self._epoch += 1
        while (connection := self._pop_any()) is not None:
            self._close(connection)

    def close(self) -> None:
        """Drain, and take back nothing more; final."""
        self._closed = True
        self.drain()

    def _pop_any(self) -> Any:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _pop(self) -> Any:
        """Return an idle connection that is open and silent, closing those that are not, or ``None``."""
        while (connection := self._pop_any()) is not None:
            try:
                if not connection.can_read():
                    return connection
            except self._failures:
                pass  # closed by the server while it was idle
            self._close(connection)
        return None

    def _find(self) -> Any:
        """Return an idle connection, or an unopened one if there is room for it, or ``None``."""
        return self._pop() or self._place()

    def _place(self) -> Any:
        """Return a new connection if there is room for one."""
        with self._lock:
            if len(self._alive) >= self._limit:
                self._alive.difference_update([lost for lost in tuple(self._alive) if lost() is None])
            if len(self._alive) >= self._limit:
                return None
            connection = self._make()
            connection.mrc_epoch = None  # not known before it is open
            self._alive.add(ref(connection))
            return connection

    def _connected(self, connection: Any, within: float) -> Any:
        try:
            if within < self._timeout:
                with _hurried(connection, within):
                    connection.connect()
            else:
                connection.connect()
        except BaseException:
            self.discard(connection)
            raise
        if connection.mrc_epoch is None:  # a new master, found while it was opened, is where it leads
            connection.mrc_epoch = -1 if self._closed else self._epoch
        return connection

    def _close(self, connection: Any) -> None:
        self._alive.discard(ref(connection))
        connection.disconnect()
        if isinstance(connection, SSLConnection):
            forget_errors()


@contextmanager
def _hurried(connection: Any, within: float) -> Iterator[None]:
    """Have a connection give up after so many seconds where it would wait for longer."""
    usual = connection.socket_connect_timeout, connection.socket_timeout
    connection.socket_connect_timeout, connection.socket_timeout = (min(each, within) for each in usual)
    try:
        yield
    finally:
        connection.socket_connect_timeout, connection.socket_timeout = usual
