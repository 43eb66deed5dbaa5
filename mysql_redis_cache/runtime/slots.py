"""A bound on how many there may be at once, that no exception can wear down.

A counting semaphore loses a place for good when an exception (a signal handler's, such as KeyboardInterrupt
or Celery's SoftTimeLimitExceeded) strikes between taking the place and the ``try`` that would give it back.
Here a place is an object: whoever holds it has it, and when it is dropped, however that came about, it is
made anew.
"""

from __future__ import annotations

import time
import weakref
from queue import Empty, SimpleQueue
from threading import RLock

from .waiters import WaitQueue

__all__ = ["Slot", "Slots", "SlotsClosed"]


class SlotsClosed(Exception):
    """No more slots are given out."""


class Slot:
    """One place; holding the object is holding the place."""

    __slots__ = ("__weakref__", "is_free")

    def __init__(self) -> None:
        self.is_free = True


class Slots:
    """A fixed number of places, given out in the order in which they were asked for.

    Args:
        size: how many there are.

    Attributes:
        queue: those who wait for one.
    """

    def __init__(self, size: int) -> None:
        # Free slots, and the dead references of those that were dropped, which have to be made anew. A
        # SimpleQueue may be written to from finalizers, and both its methods are atomic.
        self._free: SimpleQueue[Slot | weakref.ref[Slot]] = SimpleQueue()
        self.queue: WaitQueue[Slot] = WaitQueue(self._pop_free, self._free.put)
        self._closed = False
        self._mending = RLock()  # a signal handler may take a slot, too, and strike where it is held
        self._known: list[weakref.ref[Slot]] = []
        for _ in range(size):
            self._add(len(self._known))

    @property
    def in_use(self) -> int:
        """How many are taken."""
        slots = [known() for known in self._known]
        return sum(slot is not None and not slot.is_free for slot in slots)

    def take(self, timeout: float) -> Slot:
        """Wait for a slot.

        Args:
            timeout: how many seconds at most.

        Returns:
            The slot; hand it to ``give_back``, or lose it.

        Raises:
            TimeoutError: none became free in time.
            SlotsClosed: ``close`` was called.
        """
        slot = self.take_at_once() or self.queue.wait(time.monotonic() + timeout)
        return self.taken(slot)

    def take_at_once(self) -> Slot | None:
        """Return a slot that is free and that nobody waits for; hand it to ``taken`` too."""
        return None if self.queue.tickets or self._closed else self._pop_free()

    def taken(self, slot: Slot | None) -> Slot:
        """Note that *slot* is in use; ``None``, the end of a wait for nothing, raises as ``take``."""
        if slot is None:
            raise SlotsClosed if self._closed else TimeoutError
        slot.is_free = False
        return slot

    def give_back(self, slot: Slot) -> None:
        """Make *slot* free for others."""
        slot.is_free = True
        self._free.put(slot)
        self.queue.serve()

    def close(self) -> None:
        """Give out no more, and wake those who wait."""
        self._closed = True
        self.queue.close()

    def _pop_free(self) -> Slot | None:
        """Return a free slot, having made those anew that were dropped."""
        while True:
            try:
                free = self._free.get_nowait()
            except Empty:
                return None
            if type(free) is Slot:
                return free
            self._mend()

    def _mend(self) -> None:
        """Make those slots anew that were dropped."""
        with self._mending:
            for place, known in enumerate(self._known):
                if known() is None:
                    self._add(place)

    def _add(self, place: int) -> None:
        slot = Slot()
        # The callback is a C function, so nothing can interrupt it: whoever looks hears of a slot that died.
        self._known[place : place + 1] = [weakref.ref(slot, self._free.put)]
        self._free.put(slot)
