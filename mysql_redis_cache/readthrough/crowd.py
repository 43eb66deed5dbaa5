"""Reads of many threads in a few round trips, as databases commit in groups.

A thread asks at once, unless as many are on their way to Redis as there is room for; then it waits, and when
one of those is back the first who waits asks for all. Nobody waits for more to come, and no other thread
takes part. Of few threads each asks for itself: to wake one takes longer than what two or three would save.

Room is for as many as may be on their way while one computes: where Redis is near, threads that each ask for
themselves would only compete for the interpreter, once more for each time they wait; where it is far,
waiting for another's round trip would cost more than it saves. How far it is, the quickest answer tells.

No lock is held that an exception could leave locked, and nothing is counted that one could put wrong for
good. Who is forgotten because a signal handler raised in another thread asks for itself after a while.
"""

from __future__ import annotations

import math
from collections import deque
from contextlib import suppress
from threading import Lock, get_ident
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.runtime import process
from mysql_redis_cache.store import Silent

from .flight import fresh

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Crowd"]

T = TypeVar("T")

COMPUTING = 0.00005
"""Seconds that a thread computes for a hit, about: so long the interpreter is taken."""

AT_FIRST = 4
"""How many may be on their way before it is known how far that is."""

FEW = 4
"""So many threads ask each for itself."""

EBB = 1 / 64
"""What a read takes off the most threads seen at once: a hundred reads or so tell that a crowd has gone."""

MOST = 200
"""Entries that are asked for at once."""

LONGEST_DOUBT = 1.0
"""Seconds beyond Redis's time after which who has heard nothing asks for itself."""


class _Ticket:
    """One who waits."""

    __slots__ = ("bell", "error", "found", "is_done", "key", "leads")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.leads = False
        self.found: Any = None
        self.error: Exception | None = None
        self.is_done = False
        self.bell = Lock()
        self.bell.acquire()

    def end(self, found: Any, error: Exception | None = None) -> None:
        """Note what Redis holds, or why that is not known."""
        self.found, self.error = found, error
        self.is_done = True


class Crowd(Generic[T]):
    """Gathers what threads read.

    Args:
        one: returns what Redis holds under a key.
        many: the same for several keys, in one round trip.
        timeout: seconds that Redis may take.

    Attributes:
        room: how many may be on their way.
    """

    def __init__(
        self, one: Callable[[bytes], T], many: Callable[[Sequence[bytes]], Sequence[T]], timeout: float
    ) -> None:
        self._one, self._many = one, many
        self._patience = timeout + min(timeout, LONGEST_DOUBT)
        self.after_fork_in_child()
        process.register(self)

    def after_fork_in_child(self) -> None:
        """Forget the parent's threads."""
        self._queue: deque[_Ticket] = deque()
        # Those on their way, by thread: who was struck before taking itself out does so the next time.
        self._under_way: dict[int, bool] = {}
        self.room = AT_FIRST
        self._quickest = math.inf
        self._most = 0.0  # threads that read at once of late

    def get(self, key: bytes) -> T:
        """Return what Redis holds under *key*.

        Raises:
            CacheUnavailable: Redis did not answer.
        """
        under_way, me = self._under_way, get_ident()
        present = 1 + len(under_way) + len(self._queue)
        self._most = most = max(present, self._most - EBB)
        if most > FEW and len(under_way) >= self.room and me not in under_way:
            return self._wait(key)  # but not a signal handler, for itself
        try:
            under_way[me] = True
            began = monotonic()
            found = self._one(key)
            took = monotonic() - began
            if took < self._quickest:
                self._quickest, self.room = took, 1 + int(took / COMPUTING)
        except CacheUnavailable as error:
            self._failed(error)
            raise
        else:
            return found
        finally:
            under_way.pop(me, None)
            if self._queue:
                self._call_next()

    def _wait(self, key: bytes) -> T:
        ticket = _Ticket(key)
        try:
            self._queue.append(ticket)
            if len(self._under_way) < self.room:  # somebody has come back since, and may not have seen this
                self._call_next()
            rung = ticket.bell.acquire(timeout=self._patience)
            if ticket.leads:
                self._lead(ticket)
            elif not rung:
                self._under_way.clear()  # whoever is in it was struck, or takes too long
            return self._outcome(ticket)  # type: ignore[no-any-return]  # a ticket does not know what it is for
        finally:
            if not ticket.is_done:
                self._leave(ticket)

    def _outcome(self, ticket: _Ticket) -> Any:
        if not ticket.is_done:  # whoever asked was interrupted
            return self._one(ticket.key)
        if ticket.error is not None:
            raise fresh(ticket.error) from ticket.error
        return ticket.found

    def _lead(self, mine: _Ticket) -> None:
        """Ask for all who wait."""
        batch, me = [mine], get_ident()
        try:
            self._under_way[me] = True
            with suppress(IndexError):  # there are no more
                while len(batch) < MOST:
                    batch.append(self._queue.popleft())
            found = self._many([ticket.key for ticket in batch])
            for ticket, each in zip(batch, found, strict=True):
                ticket.end(each)
        except (
            CacheUnavailable
        ) as error:  # what else struck this thread is its own: the others ask themselves
            for ticket in batch:
                ticket.end(None, error)
            self._failed(error)
        finally:
            self._under_way.pop(me, None)
            if self._queue:
                self._call_next()
            for ticket in batch[1:]:
                ticket.bell.release()

    def _call_next(self) -> None:
        """Have the one who has waited longest ask for all who wait."""
        with suppress(IndexError):  # somebody else has called it
            first = self._queue.popleft()
            first.leads = True
            first.bell.release()

    def _failed(self, error: CacheUnavailable) -> None:
        """Measure anew, since the way may be another; who waits behind a silence would only find the same."""
        self._quickest = math.inf
        if not isinstance(error, Silent):
            return
        with suppress(IndexError):  # there are no more
            while True:
                ticket = self._queue.popleft()
                ticket.end(None, error)
                ticket.bell.release()

    def _leave(self, ticket: _Ticket) -> None:
        """Wait no more; the lead that was given too late is for others."""
        with suppress(ValueError):
            self._queue.remove(ticket)
        if ticket.leads and self._queue:
            self._call_next()
