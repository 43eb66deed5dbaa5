"""What a thread or task is in the middle of. The only module with context variables.

A transaction or a load often ends in another context than it began in: FastAPI's ``def`` dependencies,
streamed generators and fixtures see to that, and ``ContextVar.reset`` would raise there. Besides, a task
started in the middle of something inherits the mark of it, and may live on. So a mark is an object that knows
whether it is over, and one that is over counts no more, wherever it is still seen.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .slots import Slot, Slots

__all__ = ["Marks", "Reservation", "apart", "is_clear", "reserved_slot", "with_reservation"]

T = TypeVar("T")


class _Mark:
    """One thing that goes on, and what went on around it when it began."""

    __slots__ = ("is_over", "marks", "outer", "thing")

    def __init__(self, marks: Marks[Any], thing: Any, outer: _Mark | None) -> None:
        self.marks, self.thing, self.outer = marks, thing, outer
        self.is_over = False


_innermost: ContextVar[_Mark | None] = ContextVar("mysql_redis_cache_innermost", default=None)


class Marks(Generic[T]):
    """Marks of one kind and one owner, such as the open transactions of a client."""

    @contextmanager
    def mark(self, thing: T) -> Iterator[None]:
        """Mark *thing* as going on, for the block, in this context and in those that are copied from it."""
        mark = _Mark(self, thing, _still_on(_innermost.get()))
        try:
            _innermost.set(mark)
            yield
        finally:
            mark.is_over, mark.thing = True, None
            if _innermost.get() is mark:  # else this is another context, or there is more on top
                _innermost.set(mark.outer)

    def here(self) -> Iterator[T]:
        """Return what goes on here, the innermost first."""
        mark = _innermost.get()
        while mark is not None:
            thing = mark.thing  # before the question: another thread may end it
            if mark.marks is self and not mark.is_over:
                yield thing
            mark = mark.outer


def is_clear() -> bool:
    """Whether nothing goes on here, of anybody's; on the way of every hit.

    What ended in another context is forgotten here by the first who asks, and slows nobody down after that.
    """
    mark = _innermost.get()
    if mark is None:
        return True
    if not mark.is_over:
        return False
    outer = _still_on(mark)
    _innermost.set(outer)
    return outer is None


def _still_on(mark: _Mark | None) -> _Mark | None:
    while mark is not None and mark.is_over:
        mark = mark.outer
    return mark


class Reservation:
    """A slot taken beforehand for a call in a thread: whoever wants one there first gets this.

    Args:
        slots: of which it is one.
        slot: the slot.
    """

    def __init__(self, slots: Slots, slot: Slot) -> None:
        self._slots = slots
        self._unclaimed = [slot]

    def claim(self, slots: Slots) -> Slot | None:
        """Return the slot, to be given back by the caller, if it is one of *slots* and still there."""
        if slots is not self._slots:
            return None
        try:
            return self._unclaimed.pop()
        except IndexError:
            return None

    def give_up(self) -> None:
        """Give the slot back if nobody has claimed it."""
        slot = self.claim(self._slots)
        if slot is not None:
            self._slots.give_back(slot)


_reservation: ContextVar[Reservation | None] = ContextVar("mysql_redis_cache_reservation", default=None)


def with_reservation(reservation: Reservation, call: Callable[[], T]) -> T:
    """Call *call*, in this thread's copy of a context, with a slot reserved for it."""
    _reservation.set(reservation)
    try:
        return call()
    finally:
        reservation.give_up()


def reserved_slot(slots: Slots) -> Slot | None:
    """Return the slot that was reserved for this call, once."""
    reservation = _reservation.get()
    return None if reservation is None else reservation.claim(slots)


def apart(call: Callable[[], T]) -> Callable[[], T]:
    """Return *call* as something to be called elsewhere: in this context, but in the middle of nothing."""
    context = copy_context()

    def in_the_middle_of_nothing() -> T:
        _innermost.set(None)
        _reservation.set(None)
        return call()

    return lambda: context.run(in_the_middle_of_nothing)
