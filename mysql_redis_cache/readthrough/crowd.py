"""Reads of many threads in a few round trips, as databases commit in groups.

A thread that reads alone asks at once. While as many ask as there are turns, those who come wait; then the
first of them asks for all, and hands out what it gets. Nobody waits for more to come, and no other thread
takes part. Threads that each ask for themselves compete for the interpreter twice a read, before and after
waiting for Redis, with much more to do in between.

No lock is held that an exception could leave locked, and a turn is an object: whoever holds it has it, and
when it is dropped, because a signal handler raised, it is made anew. Who is forgotten for such a reason asks
for itself after a while.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import ref

from mysql_redis_cache.runtime import process
from mysql_redis_cache.store import Silent

from .flight import fresh

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Crowd"]

T = TypeVar("T")

TURNS = 2
"""How many ask at one time. With one, two threads would be slower than each for itself."""

MOST = 200
"""Entries that are asked for at once."""

LONGEST_DOUBT = 1.0
"""Seconds beyond Redis's time after which who has heard nothing asks for itself."""


class _Turn:
    """The right to ask."""

    __slots__ = ("__weakref__",)


class _Ticket:
    """One who waits."""

    __slots__ = ("bell", "error", "found", "is_done", "key", "turn")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.turn: _Turn | None = None
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
        # Turns, and the dead references of those that were dropped, which have to be made anew.
        self._turns: deque[Any] = deque()
        self._known: list[ref[_Turn]] = []
        for _ in range(TURNS):
            self._turns.append(self._new_turn())

    def get(self, key: bytes) -> T:
        """Return what Redis holds under *key*.

        Raises:
            CacheUnavailable: Redis did not answer.
        """
        try:
            turn = self._taken()
        except IndexError:
            return self._wait(key)
        try:
            return self._one(key)
        except Silent as error:
            self._end_all(error)
            raise
        finally:
            self._pass_on(turn)

    def _wait(self, key: bytes) -> T:
        ticket = _Ticket(key)
        try:
            self._queue.append(ticket)
            if self._turns:  # one was left since
                with suppress(IndexError):
                    self._pass_on(self._taken())
            ticket.bell.acquire(timeout=self._patience)
            turn, ticket.turn = ticket.turn, None
            if turn is not None:
                self._lead(ticket, turn)
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

    def _lead(self, mine: _Ticket, turn: _Turn) -> None:
        """Ask for all who wait."""
        batch = [mine]
        try:
            with suppress(IndexError):  # there are no more
                while len(batch) < MOST:
                    batch.append(self._queue.popleft())
            found = self._many([ticket.key for ticket in batch])
            for ticket, each in zip(batch, found, strict=True):
                ticket.end(each)
        except Exception as error:  # noqa: BLE001 - everybody raises it
            for ticket in batch:
                ticket.end(None, error)
            if isinstance(error, Silent):
                self._end_all(error)
        finally:
            self._pass_on(turn)
            for ticket in batch[1:]:
                ticket.bell.release()

    def _end_all(self, error: Exception) -> None:
        """Have all who wait raise *error*: they would only find out the same, each after as long."""
        with suppress(IndexError):
            while True:
                ticket = self._queue.popleft()
                ticket.end(None, error)
                ticket.bell.release()

    # Turns

    def _taken(self) -> _Turn:
        """Take a turn; ``IndexError`` if none is left."""
        turn = self._turns.pop()
        return turn if type(turn) is _Turn else self._new_turn(turn)

    def _pass_on(self, turn: _Turn) -> None:
        """Give *turn* to whoever has waited longest, or else leave it for who comes next."""
        while True:
            first = self._first() if self._queue else None
            if first is not None:
                first.turn = turn
                first.bell.release()
                return
            self._turns.append(turn)
            if not self._queue:
                return
            try:  # somebody has come meanwhile, who may have seen no turn
                turn = self._taken()
            except IndexError:
                return

    def _first(self) -> _Ticket | None:
        try:
            return self._queue.popleft()
        except IndexError:
            return None

    def _leave(self, ticket: _Ticket) -> None:
        """Wait no more; a turn that was given too late is for others."""
        with suppress(ValueError):
            self._queue.remove(ticket)
        turn, ticket.turn = ticket.turn, None
        if turn is not None:
            self._pass_on(turn)

    def _new_turn(self, instead_of: ref[_Turn] | None = None) -> _Turn:
        turn = _Turn()
        # The callback is a C function, so nothing can interrupt it.
        self._known.append(ref(turn, self._turns.append))
        if instead_of is not None:
            with suppress(ValueError):
                self._known.remove(instead_of)
        return turn
