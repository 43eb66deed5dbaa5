"""Waiting for a change: nobody misses it, and nobody waits for ever."""

from __future__ import annotations

import random
import signal
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache.runtime.waiters import Flag, Ticket, Waiters, WaitQueue
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


def test_a_flag_is_waited_for_and_raised_once() -> None:
    """Whoever waits goes on when it is raised, whoever comes later does not wait, and time may be over."""
    flag, went_on = Flag(), []
    assert not flag.wait(0.01)
    threads = [threading.Thread(target=lambda: went_on.append(flag.wait(10))) for _ in range(3)]
    for thread in threads:
        thread.start()
    while len(flag._waiters) < 3:
        time.sleep(0.001)
    flag.put_up()
    for thread in threads:
        thread.join(5)

    assert went_on == [True] * 3
    assert flag.is_raised
    assert flag.wait(10)


def test_a_flag_is_raised_by_a_signal_handler_wherever_it_strikes() -> None:
    """No lock is held in Python code for which the handler, which runs in the very thread, would wait."""
    flags: list[Flag] = []
    before = signal.signal(signal.SIGUSR1, lambda *_: flags[-1].put_up())
    try:
        for number in range(200):
            flags.append(Flag())
            send = lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)  # noqa: E731
            sender = threading.Timer(number * 2e-6, send)
            sender.start()
            while not flags[-1].wait(0.0001):
                pass
            sender.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert all(flag.is_raised for flag in flags)


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


class Things:
    """A few things to wait for."""

    def __init__(self, *free: str) -> None:
        self.free = deque(free)
        self.queue: WaitQueue[str] = WaitQueue(self.find, self.free.append)

    def find(self) -> str | None:
        return self.free.popleft() if self.free else None

    def give_back(self, thing: str) -> None:
        self.free.append(thing)
        self.queue.serve()

    def waiting(self, got: list[tuple[int, str | None]], number: int) -> threading.Thread:
        """Start a thread that waits, and return once it does."""
        thread = threading.Thread(target=lambda: got.append((number, self.queue.wait(time.monotonic() + 10))))
        before = len(self.queue.tickets)
        thread.start()
        while len(self.queue.tickets) == before:
            time.sleep(0.001)
        return thread


def test_things_are_handed_over_in_the_order_of_coming() -> None:
    """Whoever gives one back cannot take it again before those who wait."""
    things, got = Things(), []
    threads = [things.waiting(got, number) for number in range(4)]
    for thread, thing in zip(threads, "abcd", strict=True):
        things.give_back(thing)
        assert not things.free
        thread.join(10)

    assert got == [(0, "a"), (1, "b"), (2, "c"), (3, "d")]
    assert not things.queue.tickets


def test_what_comes_too_late_is_for_others() -> None:
    """A thing handed over as its taker gives up is not lost."""
    things = Things()
    real, ticket = things.queue.serve, things.queue.tickets

    def serve() -> None:
        real()
        if ticket:  # just before it looks at its watch
            ticket.popleft().give("late")

    things.queue.serve = serve  # type: ignore[method-assign]
    first = things.queue.wait(time.monotonic() - 1)
    things.queue.serve = real  # type: ignore[method-assign]
    things.queue.leave(made_late("left"))

    assert (first, list(things.free)) == ("late", ["left"])


def made_late(thing: str) -> Any:
    ticket: Any = Ticket(bool)
    ticket.give(thing)
    return ticket


def test_closing_sends_everybody_away() -> None:
    """Now and later, with nothing."""
    things, got = Things(), []
    threads = [things.waiting(got, number) for number in range(3)]
    things.queue.close()
    for thread in threads:
        thread.join(10)

    assert sorted(got) == [(0, None), (1, None), (2, None)]
    assert things.queue.wait(time.monotonic() + 10) is None


def test_a_thing_that_turns_up_without_a_word_is_found() -> None:
    """One that got lost and is made anew wakes nobody: those who wait look again, now and then."""
    things, got = Things(), []
    threads = [things.waiting(got, number) for number in range(3)]
    things.free.extend("abc")
    for thread in threads:
        thread.join(10)

    assert sorted(thing or "" for _, thing in got) == ["a", "b", "c"]
