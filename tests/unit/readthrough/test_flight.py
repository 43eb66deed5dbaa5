"""One leader per key; the others wait for it to land."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import pytest

from mysql_redis_cache.readthrough.flight import AGAIN, Flight, Flights, Landing, fresh
from tests.support.alarms import Interrupted, alarms
from tests.support.forks import in_child

KEY = b"UserId=1_62bd946f00d3fecce0ff65800faae755215e31c6"
LANDED = Landing(payload=b"[1]")
STOP: Any = object()


@pytest.fixture
def flights() -> Flights:
    return Flights()


def following(flight: Flight, seconds: float = 10.0) -> tuple[threading.Thread, list[object]]:
    """Start a thread that waits for *flight*, and where its outcome will be."""
    outcomes: list[object] = []
    thread = threading.Thread(target=lambda: outcomes.append(flight.wait(seconds)))
    thread.start()
    return thread, outcomes


def test_the_first_to_come_leads(flights: Flights) -> None:
    """All who come while it flies share its flight; another key has another."""
    flight, leads = flights.join(KEY)

    assert leads
    assert [flights.join(KEY), flights.join(KEY)] == [(flight, False)] * 2
    assert flights.join(b"other")[1]
    assert len(flights) == 2


def test_whoever_comes_after_the_seal_founds_another(flights: Flights) -> None:
    """Those who joined stay; nobody joins a sealed flight."""
    flight, _ = flights.join(KEY)
    flights.seal(flight)
    second, leads = flights.join(KEY)

    assert leads
    assert second is not flight


def test_sealing_an_old_flight_leaves_the_new_one_open(flights: Flights) -> None:
    """A slow leader, sealing or settling late, closes only its own flight."""
    old, _ = flights.join(KEY)
    flights.seal(old)
    new, _ = flights.join(KEY)
    flights.seal(old)
    flights.settle(old, LANDED)

    assert flights.join(KEY) == (new, False)


@pytest.mark.parametrize(
    "landing", [LANDED, Landing(failure=ValueError("no")), AGAIN], ids=["shared", "failed", "again"]
)
def test_all_who_joined_get_the_landing(flights: Flights, landing: Landing) -> None:
    """Threads that wait and threads that come to wait too late alike."""
    flight, _ = flights.join(KEY)
    followers = [following(flight) for _ in range(20)]
    flights.settle(flight, landing)
    for thread, _ in followers:
        thread.join(10)

    assert [outcomes for _, outcomes in followers] == [[landing]] * 20
    assert flight.wait(0) is landing
    assert len(flights) == 0


def test_waiting_has_an_end(flights: Flights) -> None:
    """A leader that hangs costs its followers their deadline and no more."""
    flight, _ = flights.join(KEY)
    began = time.monotonic()

    assert flight.wait(0.05) is None
    assert 0.05 <= time.monotonic() - began < 1
    assert flight.wait(-1) is None


def test_the_first_landing_stands(flights: Flights) -> None:
    """A second settling changes nothing and wakes nobody again."""
    flight, _ = flights.join(KEY)
    woken: list[int] = []
    flight.wake(lambda: woken.append(1))
    flights.settle(flight, LANDED)
    flights.settle(flight, AGAIN)

    assert flight.landing is LANDED
    assert woken == [1]


def test_a_waker_that_comes_too_late_is_told_so(flights: Flights) -> None:
    """It would never be called, so its owner must not wait."""
    flight, _ = flights.join(KEY)
    assert flight.wake(lambda: None)
    flights.settle(flight, LANDED)

    assert not flight.wake(lambda: pytest.fail("called"))


def test_no_landing_slips_between_the_question_and_the_wait(flights: Flights) -> None:
    """However a landing and a wait interleave, the follower hears of it."""
    for _ in range(300):
        flight, _ = flights.join(KEY)
        thread, outcomes = following(flight)
        flights.settle(flight, LANDED)
        thread.join(10)
        assert outcomes == [LANDED]


def test_there_is_one_leader_however_many_come_at_once(flights: Flights) -> None:
    """Founding a flight is atomic."""
    start, leads = threading.Barrier(16), []

    def come() -> None:
        start.wait(10)
        leads.append(flights.join(KEY)[1])

    threads = [threading.Thread(target=come) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert sorted(leads) == [False] * 15 + [True]


def test_a_child_waits_for_no_flight_of_its_parent(flights: Flights) -> None:
    """The leader does not exist there, nor whoever holds the lock."""
    flights.join(KEY)
    with flights._lock:
        leads = in_child(lambda: (flights.after_fork_in_child(), flights.join(KEY)[1])[1])

    assert leads is True


def test_an_interrupted_follower_does_not_hold_up_the_leader(flights: Flights) -> None:
    """Wherever a signal handler's exception strikes who waits, landing wakes the others and returns."""
    chance, interrupted = random.Random(3), 0
    joined: list[Any] = []

    def lead() -> None:
        while (flight := joined.pop() if joined else None) is not STOP:
            if flight is not None:
                flights.settle(flight, LANDED)

    leader = threading.Thread(target=lead, daemon=True)
    leader.start()
    give_up = time.monotonic() + 60
    with alarms() as alarm:
        while interrupted < 300 and time.monotonic() < give_up:
            flight, _ = flights.join(KEY)
            try:
                alarm(chance.uniform(1e-6, 8e-5))
                joined.append(flight)
                flight.wait(0.00005)
                alarm(0)
            except Interrupted:
                interrupted += 1
    joined.append(STOP)
    leader.join(10)

    assert not leader.is_alive()
    assert interrupted >= 300


def test_a_flight_founded_too_early_is_given_up(flights: Flights) -> None:
    """Whoever began after it was founded leads another; those who joined it stay in it."""
    old, _ = flights.join(b"key")
    time.sleep(0.001)
    began = time.monotonic()

    new, leads = flights.join(b"key", began)
    assert leads
    assert new is not old
    assert flights.join(b"key", old.founded) == (new, False)
    flights.settle(old, LANDED)
    assert (old.landing, flights.join(b"key")) == (LANDED, (new, False))


def test_who_interrupts_a_leader_does_not_wait_for_it(flights: Flights) -> None:
    """A signal handler runs on the leader's thread, which cannot go on meanwhile."""
    flight, _ = flights.join(b"key")
    flight.thread = threading.get_ident()
    began = time.monotonic()

    assert flight.wait(10) is None
    assert time.monotonic() - began < 5


KEEPING_MORE = [
    StopIteration(5),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    OSError(2, "No such file", "a.txt"),
    KeyError("a"),
]


@pytest.mark.parametrize("error", KEEPING_MORE, ids=lambda error: type(error).__name__)
def test_a_copy_of_a_failure_is_whole(error: Exception) -> None:
    """Python's own errors keep more than their arguments."""
    copied = fresh(error)

    assert copied is not error
    assert (type(copied), str(copied), copied.args) == (type(error), str(error), error.args)
    assert getattr(copied, "value", None) == getattr(error, "value", None)
    assert getattr(copied, "filename", None) == getattr(error, "filename", None)


class Picky(Exception):
    """Its constructor wants other arguments than it keeps."""

    def __init__(self, name: str, number: int) -> None:
        super().__init__(f"{name} {number}")
        self.name = name


def test_a_failure_with_a_constructor_of_its_own_is_copied_without_it() -> None:
    """What it made of its arguments is what counts."""
    copied = fresh(Picky("a", 5))

    assert (type(copied), str(copied), vars(copied)) == (Picky, "a 5", {"name": "a"})
