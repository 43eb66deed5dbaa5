"""Lending connections: never more than allowed, never a dirty one, and none is ever lost for good."""

from __future__ import annotations

import gc
import os
import random
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from mysql_redis_cache.runtime import Ticket
from mysql_redis_cache.store.connections import Connections, Exhausted
from tests.support.alarms import Interrupted, alarms
from tests.support.forks import in_child
from tests.support.pools import living

if TYPE_CHECKING:
    from collections.abc import Callable


class Fake:
    """A connection without a server, which notes what is done with it."""

    def __init__(self, refuses: bool = False) -> None:
        self.open = False
        self.dirty = False
        self.broken: Exception | None = None
        self.refuses = refuses
        self.disconnects = 0

    def connect(self) -> None:
        if self.refuses:
            raise ConnectionRefusedError("no server")
        self.open = True

    def can_read(self, timeout: float = 0) -> bool:
        if self.broken is not None:
            raise self.broken
        return self.dirty

    def disconnect(self) -> None:
        self.open = False
        self.disconnects += 1


class Maker:
    """Makes fakes and remembers how many."""

    def __init__(self) -> None:
        self.made = 0
        self.refuses = False

    def __call__(self) -> Fake:
        self.made += 1
        return Fake(self.refuses)


@pytest.fixture
def make() -> Maker:
    return Maker()


@pytest.fixture
def connections(make: Maker) -> Connections:
    return Connections(make, limit=2, timeout=0.2)


def returned_later(connections: Connections, connection: object, seconds: float) -> threading.Timer:
    timer = threading.Timer(seconds, connections.take_back, [connection])
    timer.start()
    return timer


def test_nothing_is_made_before_it_is_needed(connections: Connections, make: Maker) -> None:
    """A client that reads nothing opens nothing."""
    assert make.made == 0
    assert connections.lend().open
    assert make.made == 1


def test_the_last_one_back_goes_first(connections: Connections, make: Maker) -> None:
    """Few connections stay busy, and the rest may grow old."""
    first, second = connections.lend(), connections.lend()
    connections.take_back(first)
    connections.take_back(second)

    assert connections.lend() is second
    assert connections.lend() is first
    assert make.made == 2


def test_waiting_has_an_end_and_a_reason(connections: Connections) -> None:
    """When all are lent the wait is bounded, and the error says how many there are and what to do."""
    held = [connections.lend(), connections.lend()]
    began = time.monotonic()
    with pytest.raises(Exhausted, match=r"within 0\.2 s \(all 2 are in use\); raise max_connections"):
        connections.lend()

    assert 0.2 <= time.monotonic() - began < 1
    assert len(held) == 2


def test_a_waiter_gets_the_next_one_back(connections: Connections, make: Maker) -> None:
    """It is woken, without looking again and again."""
    held = [connections.lend(), connections.lend()]
    timer = returned_later(connections, held[0], 0.02)

    assert connections.lend() is held[0]
    assert make.made == 2
    timer.join()


def test_a_waiter_gets_the_place_of_a_discarded_one(connections: Connections, make: Maker) -> None:
    """A connection that broke makes room for a new one."""
    held = [connections.lend(), connections.lend()]
    timer = threading.Timer(0.02, lambda: connections.discard(held[0]))
    timer.start()

    assert connections.lend() not in held
    assert make.made == 3
    assert not held[0].open
    timer.join()


def waiting(connections: Connections, seen: list[object]) -> threading.Thread:
    """Start a thread that lends one, notes it and gives it back; return once it waits."""

    def work() -> None:
        connection = connections.lend()
        seen.append(connection)
        connections.take_back(connection)

    before = len(connections._queue.tickets)
    thread = threading.Thread(target=work)
    thread.start()
    while len(connections._queue.tickets) == before:
        time.sleep(0.001)
    return thread


@pytest.mark.parametrize("end", [Connections.take_back, Connections.discard])
def test_whoever_waits_comes_before_newcomers(
    make: Maker, end: Callable[[Connections, object], None]
) -> None:
    """Also before whoever has just given one back and wants it again."""
    connections, seen = Connections(make, limit=1, timeout=10), []
    held = connections.lend()
    threads = [waiting(connections, seen) for _ in range(5)]
    end(connections, held)
    mine = connections.lend()

    assert len(seen) == 5
    connections.take_back(mine)
    for thread in threads:
        thread.join(10)


def test_a_crowd_on_few_connections_is_served_evenly(make: Maker) -> None:
    """Nobody starves, and with time enough nobody is sent away."""
    connections, counts = Connections(make, limit=2, timeout=30), Counter[int]()
    until = time.monotonic() + 0.5

    def work(number: int) -> None:
        while time.monotonic() < until:
            connection = connections.lend()
            time.sleep(0.0005)
            counts[number] += 1
            connections.take_back(connection)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(counts) == 40
    assert max(counts.values()) <= 4 * min(counts.values()) + 10


def test_a_lost_connection_frees_its_place(connections: Connections, make: Maker) -> None:
    """Whoever was interrupted before giving it back has not taken the place with it."""
    for _ in range(20):
        connections.lend()
    gc.collect()

    assert connections.lend().open
    assert make.made == 21


def test_a_discarded_connection_frees_its_place_though_somebody_holds_it(connections: Connections) -> None:
    """Exceptions keep the frames alive that held the connection; that must not exhaust the places."""
    kept = []
    for _ in range(10):
        connection = connections.lend()
        connections.discard(connection)
        kept.append(connection)

    assert connections.lend() not in kept
    assert [connection.disconnects for connection in kept] == [1] * 10


def test_a_dirty_connection_is_closed_and_another_lent(connections: Connections, make: Maker) -> None:
    """What waits to be read is the reply to somebody else's command."""
    dirty = connections.lend()
    connections.take_back(dirty)
    dirty.dirty = True

    assert connections.lend() is not dirty
    assert not dirty.open
    assert make.made == 2


@pytest.mark.parametrize("failure", [OSError("reset"), ConnectionError("closed")], ids=repr)
def test_a_connection_closed_by_the_server_is_replaced(connections: Connections, failure: Exception) -> None:
    """An idle connection may have ended meanwhile, which is nobody's failure."""
    idle = connections.lend()
    connections.take_back(idle)
    idle.broken = failure

    assert connections.lend() is not idle
    assert not idle.open


@pytest.mark.parametrize("interruption", [Interrupted(), KeyboardInterrupt()], ids=repr)
def test_an_interruption_is_not_taken_for_a_closed_connection(
    connections: Connections, interruption: Exception
) -> None:
    """What a signal handler raises while a connection is looked at reaches the caller."""
    idle = connections.lend()
    connections.take_back(idle)
    idle.broken = interruption
    with pytest.raises(type(interruption)):
        connections.lend()

    assert connections.lend() is not idle


def test_a_failed_connect_frees_its_place(connections: Connections, make: Maker) -> None:
    """The error passes through, as often as the server refuses, and without a bystander's in its chain."""
    make.refuses = True
    errors = []
    for _ in range(10):
        with pytest.raises(ConnectionRefusedError, match="no server") as caught:
            connections.lend()
        errors.append(caught.value)
    make.refuses = False

    assert [error.__context__ for error in errors] == [None] * 10
    assert len({connections.lend(), connections.lend()}) == 2


def test_draining_closes_what_is_idle(connections: Connections, make: Maker) -> None:
    """Those lent are closed when they come back: they may lead to where nobody wants to go."""
    idle, lent = connections.lend(), connections.lend()
    connections.take_back(idle)
    connections.drain()
    assert [idle.open, lent.open] == [False, True]
    assert connections.is_wanted_back(lent)
    connections.take_back(lent)

    assert not lent.open
    after = connections.lend()
    assert after.open
    assert not connections.is_wanted_back(after)
    connections.take_back(after)
    assert connections.lend() is after
    assert make.made == 3


def test_after_closing_whatever_comes_back_is_closed(connections: Connections) -> None:
    """Closing is final, also for those that were lent at the time, and safe to repeat."""
    idle, lent = connections.lend(), connections.lend()
    connections.take_back(idle)
    connections.close()
    connections.close()
    assert [idle.open, lent.open] == [False, True]
    connections.take_back(lent)

    assert not lent.open
    assert not connections._idle


def test_never_more_than_the_limit_and_never_twice(make: Maker) -> None:
    """Threads that lend, return, discard and lose at random keep to the bounds."""
    connections = Connections(make, limit=3, timeout=5)
    lent: Counter[int] = Counter()
    guard, faults = threading.Lock(), []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(400):
            connection = connections.lend()
            with guard:
                lent[id(connection)] += 1
                if lent[id(connection)] > 1 or sum(lent.values()) > 3 or not connection.open:
                    faults.append(seed)
            with guard:
                del lent[id(connection)]
            ending = chance.random()
            if ending < 0.8:
                connections.take_back(connection)
            elif ending < 0.9:
                connections.discard(connection)
            del connection

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert faults == []
    assert len(living(connections)) <= 3


def test_interruptions_wear_nothing_down(make: Maker) -> None:
    """A signal handler may raise between any two bytecodes: no place is lost, no lock stays locked."""
    connections = Connections(make, limit=2, timeout=0.05)
    chance, interrupted = random.Random(7), 0
    give_up = time.monotonic() + 60
    with alarms() as alarm:
        while interrupted < 5000 and time.monotonic() < give_up:
            try:
                alarm(chance.uniform(1e-6, 5e-5))
                for _ in range(10):
                    connection = connections.lend()
                    other = connections.lend()
                    connections.take_back(connection)
                    connections.take_back(other)
                    connections.drain()
                alarm(0)
            except Interrupted:
                interrupted += 1
            connection = other = None
    gc.collect()

    assert interrupted >= 5000
    assert connections._lock.acquire(timeout=1)
    connections._lock.release()
    assert len({connections.lend(), connections.lend()}) == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loss_that_is_interrupted_itself_frees_the_place(connections: Connections) -> None:
    """Whatever Python code runs when a connection ends may be where a signal handler raises."""

    def interrupts(_frame: object, event: str, _argument: object) -> None:
        if event == "call":
            raise Interrupted

    lent = [connections.lend(), connections.lend()]
    sys.setprofile(interrupts)
    lent.clear()
    sys.setprofile(None)

    assert len({connections.lend(), connections.lend()}) == 2


def test_who_was_struck_while_waiting_takes_no_place(make: Maker) -> None:
    """What is handed to whoever waits no more is lost at once, and the next who waits has its place."""
    connections = Connections(make, limit=1, timeout=0.2)
    connections._queue.tickets.extend(Ticket(lambda: None) for _ in range(50))

    assert connections.lend().open


def test_a_child_opens_connections_of_its_own(connections: Connections) -> None:
    """It neither uses nor closes the parent's in an orderly way, whoever held the lock at the fork."""
    idle, lent = connections.lend(), connections.lend()
    connections.take_back(idle)

    def child() -> list[object]:
        own = connections.lend()
        other = connections.lend()
        return [own in (idle, lent), other in (idle, lent), idle.disconnects, lent.disconnects, os.getpid()]

    with connections._lock:
        told = in_child(child)

    assert told[:4] == [False, False, 0, 0]
    assert told[4] != os.getpid()
    assert connections.lend() is idle
