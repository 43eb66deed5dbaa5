"""Waiting for a change: nobody misses it, and nobody waits for ever."""

from __future__ import annotations

import random
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from mysql_redis_cache.waiters import Waiters
from tests.support.alarms import Interrupted, alarms

if TYPE_CHECKING:
    from collections.abc import Iterator

NEVER = bool  # called without arguments it is false


@pytest.fixture
def _hasty() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def test_a_wait_has_an_end() -> None:
    """Also a wait of no time at all, or less."""
    waiters = Waiters()
    began = time.monotonic()
    for seconds in (0.03, 0, -1):
        waiters.wait(seconds, NEVER)

    assert 0.03 <= time.monotonic() - began < 1
    assert not waiters._locks


def test_nobody_waits_for_what_has_come_about() -> None:
    """The question is asked when a wake can no longer be missed."""
    waiters, began = Waiters(), time.monotonic()
    waiters.wait(10, unless=lambda: len(waiters._locks) == 1)

    assert time.monotonic() - began < 1


def test_as_many_are_woken_as_are_meant() -> None:
    """Those who have waited longest first."""
    waiters, woken = Waiters(), []

    def work(number: int) -> None:
        waiters.wait(10, NEVER)
        woken.append(number)

    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=work, args=(number,)))
        threads[-1].start()
        while len(waiters._locks) <= number:
            time.sleep(0.001)
    waiters.wake()
    threads[0].join(10)
    assert woken == [0]
    waiters.wake(2)
    for thread in threads[1:3]:
        thread.join(10)
    assert sorted(woken) == [0, 1, 2]
    waiters.wake(100)
    for thread in threads:
        thread.join(10)

    assert sorted(woken) == [0, 1, 2, 3, 4]
    waiters.wake()  # nobody is there


@pytest.mark.usefixtures("_hasty")
def test_wakes_that_come_to_nothing_make_no_wait_endless() -> None:
    """Woken at the last moment, with nothing changed, is where SimpleQueue forgets its time."""
    waiters, give_up, done = Waiters(), time.monotonic() + 1.5, []

    def wait(seed: int) -> None:
        chance = random.Random(seed)
        while time.monotonic() < give_up:
            waiters.wait(0.0005 * chance.random(), NEVER)
        done.append(seed)

    def wake() -> None:
        while time.monotonic() < give_up:
            waiters.wake()

    threads = [threading.Thread(target=wait, args=(seed,), daemon=True) for seed in range(6)]
    threads += [threading.Thread(target=wake, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert sorted(done) == list(range(6))


def test_signals_make_no_wait_endless() -> None:
    """Nor does a handler that does not raise, at the last moment of a wait."""
    waiters, chance, handled = Waiters(), random.Random(1), []
    before = signal.signal(signal.SIGALRM, lambda *_: handled.append(1))
    try:
        began = time.monotonic()
        while len(handled) < 3000:
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, 1e-4))
            waiters.wait(0.00005, NEVER)
        assert time.monotonic() - began < 60
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_interrupted_waiters_do_not_hold_up_whoever_wakes_them() -> None:
    """A handler that raises inside Event.wait can leave its lock locked, and set() would hang."""
    waiters, chance, interrupted, stop = Waiters(), random.Random(2), 0, []

    def wake() -> None:
        while not stop:
            waiters.wake()

    waker = threading.Thread(target=wake, daemon=True)
    waker.start()
    give_up = time.monotonic() + 60
    with alarms() as alarm:
        while interrupted < 500 and time.monotonic() < give_up:
            try:
                alarm(chance.uniform(1e-6, 8e-5))
                waiters.wait(0.00005, NEVER)
                alarm(0)
            except Interrupted:
                interrupted += 1
    stop.append(1)
    waker.join(10)

    assert not waker.is_alive()
    assert interrupted >= 500
