"""Places that no exception can wear down."""

from __future__ import annotations

import random
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from mysql_redis_cache.runtime.slots import Slots, SlotsClosed

if TYPE_CHECKING:
    from collections.abc import Callable

    from mysql_redis_cache.runtime.slots import Slot


def test_there_are_as_many_as_there_should_be() -> None:
    """No more are given out, until one comes back."""
    slots = Slots(2)
    first, _second = slots.take(0), slots.take(0)
    with pytest.raises(TimeoutError):
        slots.take(0)

    slots.give_back(first)

    assert slots.take(0) is first
    assert slots.in_use == 2


def test_waiting_has_an_end() -> None:
    """After the timeout, and not before."""
    slots = Slots(1)
    _slot = slots.take(0)
    began = time.monotonic()

    with pytest.raises(TimeoutError):
        slots.take(0.05)

    assert 0.05 <= time.monotonic() - began < 5


def test_a_dropped_slot_is_made_anew() -> None:
    """However it was lost: there is no other way to lose one than to drop it."""
    slots = Slots(3)
    for _ in range(50):
        slots.take(0)

    assert slots.in_use == 0
    held = [slots.take(0) for _ in range(3)]
    with pytest.raises(TimeoutError):
        slots.take(0)
    assert len(set(map(id, held))) == 3


def test_a_dropped_slot_wakes_who_waits() -> None:
    """At once, as one that is given back does."""
    slots = Slots(1)
    held = [slots.take(0)]
    taken, thread = in_thread(lambda: slots.take(30))

    held.clear()
    thread.join(10)

    assert len(taken) == 1


def test_closing_wakes_everyone() -> None:
    """Those who wait now and those who come later."""
    slots = Slots(1)
    _slot = slots.take(0)
    waiting = [in_thread(lambda: slots.take(30)) for _ in range(5)]

    slots.close()
    for _, thread in waiting:
        thread.join(10)

    assert all(isinstance(result[0], SlotsClosed) for result, _ in waiting)
    with pytest.raises(SlotsClosed):
        slots.take(0)


def test_many_threads_share_few_slots() -> None:
    """Never more at once than there are, though some are dropped."""
    slots, inside, most = Slots(3), [], []

    def work() -> None:
        for turn in range(200):
            slot = slots.take(30)
            inside.append(None)
            most.append(len(inside))
            inside.pop()
            if turn % 3:
                slots.give_back(slot)
            del slot

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert max(most) <= 3
    assert slots.in_use == 0


def test_signals_make_no_wait_endless() -> None:
    """Nor does a handler that does not raise, at the last moment of a wait."""
    slots, chance, handled = Slots(1), random.Random(1), []
    _slot = slots.take(0)
    before = signal.signal(signal.SIGALRM, lambda *_: handled.append(1))
    try:
        began = time.monotonic()
        while len(handled) < 1000:
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, 1e-4))
            with suppress(TimeoutError):
                slots.take(0.00005)
        assert time.monotonic() - began < 60
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def in_thread(function: Callable[[], Slot]) -> tuple[list[object], threading.Thread]:
    """Run *function* in a thread; what it returns or raises goes into the list."""
    result: list[object] = []

    def run() -> None:
        try:
            result.append(function())
        except SlotsClosed as error:
            result.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return result, thread
