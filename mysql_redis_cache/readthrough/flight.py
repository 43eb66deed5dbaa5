"""One leader per key in this process; the others, threads and tasks alike, wait for it to land.

The rule of sharing is not here but in ``readthrough``: this module only seals, settles and wakes.
"""

from __future__ import annotations

import math
import threading
import time
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

from mysql_redis_cache.errors import LoadFailed

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AGAIN", "Flight", "Flights", "Landing", "fresh"]


class Landing(NamedTuple):
    """How a flight ended: with a payload to decode, with a failure, or (neither) with nothing to share."""

    payload: bytes | None = None
    failure: Exception | None = None


AGAIN = Landing()


class Flight:
    """One load in progress. Made by ``Flights.join``.

    Attributes:
        home: the flights of which it is one.
        founded: when, on the monotonic clock.
        leader: the number of the read that leads it, if that is followed.
        thread: that of a leader who blocks: what interrupts it there cannot wait for it.
    """

    __slots__ = ("_lock", "_wakers", "founded", "home", "key", "landing", "leader", "thread")

    def __init__(self, key: bytes, home: Flights) -> None:
        self.key = key
        self.landing: Landing | None = None
        self.founded = time.monotonic()
        self.thread = 0
        self.leader = 0
        self.home = home
        self._lock = threading.RLock()
        self._wakers: list[Callable[[], Any]] = []

    def wait(self, timeout: float) -> Landing | None:
        """Block this thread until the flight lands; ``None`` if it has not within *timeout* seconds."""
        if self.thread == threading.get_ident():
            return self.landing
        # Not an Event: a signal handler that raises in its ``wait`` can leave it so that ``set`` hangs.
        landed = threading.Lock()
        landed.acquire()
        if self.wake(landed.release):
            landed.acquire(timeout=max(0.0, timeout))
        return self.landing

    def wake(self, waker: Callable[[], Any]) -> bool:
        """Have *waker* called, from any thread, when the flight lands; ``False`` if it has already."""
        with self._lock:
            if self.landing is not None:
                return False
            self._wakers.append(waker)
            return True

    def land(self, landing: Landing) -> None:
        """Set the landing and wake everybody; the first landing stands."""
        with self._lock:
            if self.landing is not None:
                return
            self.landing = landing
            wakers, self._wakers = self._wakers, []
        for waker in wakers:
            waker()


class Flights:
    """The open flights of this process, by key.

    The locks are re-entrant: a signal handler may read, too, and strike where one is held.
    """

    def __init__(self) -> None:
        self.after_fork_in_child()

    def __len__(self) -> int:
        return len(self._open)

    def join(self, key: bytes, began: float = -math.inf) -> tuple[Flight, bool]:
        """Return the open flight of *key* and whether the caller founded, and so leads, it.

        Args:
            key: of the entry.
            began: a moment of the monotonic clock; flights founded before it are given up.
        """
        with self._lock:
            flight = self._open.get(key)
            if flight is not None and flight.founded >= began:
                return flight, False
            flight = self._open[key] = Flight(key, self)
            return flight, True

    def seal(self, flight: Flight) -> None:
        """Close *flight* to joiners, if it is one of these: who comes from now on founds the next one."""
        with self._lock:
            if self._open.get(flight.key) is flight:
                del self._open[flight.key]

    def settle(self, flight: Flight, landing: Landing) -> None:
        """Seal *flight* and hand its landing to those who joined."""
        self.seal(flight)
        flight.land(landing)

    def after_fork_in_child(self) -> None:
        """Forget the parent's flights, whose leaders do not exist here."""
        self._lock = threading.RLock()
        self._open: dict[bytes, Flight] = {}


def fresh(failure: Exception) -> Exception:
    """Return a copy of *failure* for one of several who raise it.

    Raising writes to an exception, its traceback and its context, so no two may raise the same object.
    """
    kind = type(failure)
    try:
        # Not copy.copy(), which calls the constructor, and that may want other arguments than these.
        args = OSError.__reduce__(failure)[1] if isinstance(failure, OSError) else failure.args
        copied = kind.__new__(kind, *args)
        if not isinstance(kind.__init__, FunctionType):  # Python's own, which may keep more than the args
            kind.__init__(copied, *args)
        copied.args = failure.args
        copied.__dict__.update(failure.__dict__)
    except Exception:  # noqa: BLE001 - some exceptions cannot be made twice
        return LoadFailed(f"another caller was loading this key and failed: {kind.__name__}")
    return copied
