"""Concurrent drops of a process share the next sweep, never one that has begun.

However many writers there are, one sweep runs and one waits. No lock is held during a sweep: whoever sweeps
holds a *turn*, an object, so that an interrupted sweeper cannot keep the others out for ever. A signal
handler that drops waits neither for the sweep nor for the lock of the thread that it interrupts: it sweeps
at once.
"""

from __future__ import annotations

import threading
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.runtime import Waiters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mysql_redis_cache.keys import Sought

    from .budget import Budget

__all__ = ["Sweeps"]

# An interrupted sweeper wakes nobody, so whoever waits for one looks again this often.
LOOK_AGAIN = 0.05


class Sweeps:
    """Runs sweeps, each for all the drops that came before it began.

    Args:
        sweep: sweeps for some drops, each given as what it is for, and counts how many entries of each it
            deletes; within the time of one of them, which stands at the place given last.
    """

    def __init__(self, sweep: Callable[[Sequence[Sequence[Sought]], list[int], Budget, int], None]) -> None:
        self._sweep = sweep
        self.after_fork_in_child()

    def after_fork_in_child(self) -> None:
        """Forget the parent's sweeps."""
        self._lock = threading.RLock()
        self._is_changing = False
        self._next: _Batch | None = None
        self._running: Callable[[], _Turn | None] = _no_turn

    def drop(self, matchers: Sequence[Sought], budget: Budget) -> None:
        """Take part in the next sweep, or run it; count in *budget* how many entries this drop deletes.

        Raises:
            CacheUnavailable: the sweep failed.
            DropTimeout: the time was over before it was done.
        """
        batch, place = self._join(matchers)
        try:
            while not batch.is_over:
                turn = self._begin(batch)
                if turn is not None:
                    self._perform(batch, turn, budget, place)
                else:
                    budget.check("waiting for the sweep before this one")
                    batch.waiters.wait(min(budget.left(), LOOK_AGAIN), unless=lambda: batch.is_over)
        finally:
            budget.dropped += batch.counts[place]
        if batch.failure is not None:
            raise _fresh(batch.failure) from batch.failure

    def _join(self, matchers: Sequence[Sought]) -> tuple[_Batch, int]:
        with self._changing() as is_ours:
            batch = self._next if is_ours and self._next is not None else _Batch()
            if is_ours:
                self._next = batch
            batch.drops.append(matchers)
            batch.counts.append(0)
            return batch, len(batch.drops) - 1

    def _begin(self, batch: _Batch) -> _Turn | None:
        """Close *batch* to others and return the right to sweep for it, if nobody is sweeping."""
        with self._changing() as is_ours:
            turn = _Turn()
            if not is_ours:
                return turn
            running = self._running()
            if running is not None and running.keeps_waiting(turn):
                return None
            if self._next is batch:
                self._next = None
            self._running = weakref.ref(turn)
            return turn

    @contextmanager
    def _changing(self) -> Iterator[bool]:
        """Hold the lock; tell whether this thread was not holding it already, interrupted halfway."""
        with self._lock:
            if self._is_changing:
                yield False
                return
            try:
                self._is_changing = True
                yield True
            finally:
                self._is_changing = False

    def _perform(self, batch: _Batch, turn: _Turn, budget: Budget, place: int) -> None:
        """Sweep. If this drop's time is over, or it is interrupted, another of the batch does it again."""
        try:
            self._sweep(batch.drops, batch.counts, budget, place)
            batch.finish()
        except CacheUnavailable as error:
            batch.finish(error)
            raise
        finally:
            turn.is_over = True
            following = self._next
            if following is not None:
                following.waiters.wake()


class _Batch:
    """The drops that share one sweep, and how many entries of each are deleted."""

    def __init__(self) -> None:
        self.drops: list[Sequence[Sought]] = []
        self.counts: list[int] = []
        self.failure: CacheUnavailable | None = None
        self.is_over = False
        self.waiters = Waiters()

    def finish(self, failure: CacheUnavailable | None = None) -> None:
        self.failure = failure
        self.is_over = True
        self.waiters.wake(len(self.drops))


class _Turn:
    """The right to sweep, of one thread."""

    __slots__ = ("__weakref__", "is_over", "thread")

    def __init__(self) -> None:
        self.is_over = False
        self.thread = threading.get_ident()

    def keeps_waiting(self, other: _Turn) -> bool:
        """Return whether *other* has to wait for this one, which a handler in its midst must not."""
        return not self.is_over and self.thread != other.thread


def _no_turn() -> None:
    return None


def _fresh(error: CacheUnavailable) -> CacheUnavailable:
    """Return an error for one of several drops, so that no two raise the same object."""
    return type(error)(*error.args)
