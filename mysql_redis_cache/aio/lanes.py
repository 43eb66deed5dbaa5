"""Threads for each kind of work, bounded for the process, and waited for in the event loop, by a deadline.

Whoever waits holds no thread, and no kind of work waits for another's: drops that wait for Redis keep no read
from MySQL, slow queries keep no hit and no function. A place in the MySQL pool is waited for here as well: it
is taken in the loop, and then claimed by the thread.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

import anyio

from mysql_redis_cache.runtime import Marks, Reservation, Slots, Ticket, process, with_reservation

from .threads import hop, soon

if TYPE_CHECKING:
    from collections.abc import Callable

    from mysql_redis_cache.runtime import Slot

__all__ = ["DROPS", "FUNCTIONS", "SHORT", "Crowded", "Lane", "Waited", "run_placed", "run_short"]

T = TypeVar("T")

PATIENCE = 1.0
"""Seconds that what is over soon waits for a thread, before it is done in another way."""


class Waited(Protocol):
    """Is told of a wait for a slot."""

    def __call__(self, seconds: float, *, in_vain: bool) -> object:
        """Note how long it was, and whether there came none."""


class Crowded(Exception):
    """No place became free in time."""


class Lane:
    """The threads of this process for one kind of work.

    Args:
        size: how many there may be at a time.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._inside: Marks[bool] = Marks()
        self.after_fork_in_child()
        process.register(self)

    def after_fork_in_child(self) -> None:
        """Have all places free: the parent's threads are not here."""
        self._slots = Slots(self.size)

    async def run(self, call: Callable[[], T], seconds: float) -> T:
        """Run *call* in a thread.

        What *call* itself has the loop run, and that in this lane again, needs no second place: it would have
        to wait for its own.

        Args:
            call: what may block.
            seconds: how long to wait for a place.

        Raises:
            Crowded: there was none in time.
        """
        if any(self._inside.here()):
            return await hop(call)
        slots = self._slots
        reservation = Reservation(slots, await _take(slots, seconds))
        try:
            return await hop(partial(self._hold, slots, reservation, call))
        finally:
            reservation.give_up()  # if the thread did not even begin

    def _hold(self, slots: Slots, reservation: Reservation, call: Callable[[], T]) -> T:
        slot = reservation.claim(slots)
        try:
            with self._inside.mark(True):
                return call()
        finally:
            if slot is not None:
                slots.give_back(slot)


async def run_placed(call: Callable[[], T], slots: Slots, seconds: float, waited: Waited) -> T:
    """Run *call* in a thread, with one of *slots* reserved for it.

    Args:
        call: what may block, and asks for a slot.
        slots: as of a pool of connections.
        seconds: how long to wait for one.
        waited: is told of a wait.

    Raises:
        Crowded: there was none in time.
        SlotsClosed: they were closed.
    """
    reservation = Reservation(slots, await _take(slots, seconds, waited))
    try:
        return await hop(partial(with_reservation, reservation, call))
    finally:
        reservation.give_up()  # if the thread did not even begin


async def _take(slots: Slots, seconds: float, waited: Waited | None = None) -> Slot:
    """Wait for a slot in the event loop."""
    slot = slots.take_at_once()
    if slot is None:
        began = time.monotonic()
        slot = await _wait(slots, began + seconds)
        if waited is not None:
            waited(time.monotonic() - began, in_vain=slot is None)
    try:
        return slots.taken(slot)
    except TimeoutError:
        raise Crowded from None


async def _wait(slots: Slots, until: float) -> Slot | None:
    bell = anyio.Event()
    call_soon = soon()
    ticket: Ticket[Slot] = Ticket(lambda: call_soon(bell.set))
    try:
        while (seconds := slots.queue.seconds_to_wait(ticket, until)) is not None:
            if (slot := ticket.take()) is None:
                with anyio.move_on_after(seconds):
                    await bell.wait()
                bell = anyio.Event()
                slot = ticket.take()
            if slot is not None:
                return slot
        return ticket.take()
    finally:
        slots.queue.leave(ticket)


SHORT = Lane(8)
"""What is over soon: steps in Redis that end or fail within its timeout, a value to be encoded."""

FUNCTIONS = Lane(40)
"""Plain functions of users: as many at a time as anyio runs of everybody's."""

DROPS = Lane(40)
"""Drops, most of which wait for a sweep that they share."""


async def run_short(call: Callable[[], T], otherwise: Callable[[], T]) -> T:
    """Run a short *call* in a thread; do something else if none becomes free in ``PATIENCE``."""
    try:
        return await SHORT.run(call, PATIENCE)
    except Crowded:
        return otherwise()
