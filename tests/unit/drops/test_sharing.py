"""Concurrent drops share the next sweep, and no drop can keep the others waiting for ever."""

from __future__ import annotations

import gc
import random
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache.drops.budget import Budget
from mysql_redis_cache.drops.sharing import Sweeps
from mysql_redis_cache.errors import CacheUnavailable, DropTimeout
from mysql_redis_cache.keys.naming import Matcher
from tests.support.alarms import Interrupted, alarms
from tests.support.forks import in_child

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SECONDS = 20.0


class Sweeper:
    """A sweep that can be held, and that says for whom it ran and what it was told to raise."""

    def __init__(self) -> None:
        self.swept: list[list[str]] = []
        self.began = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.free = False
        self.raises: list[BaseException] = []

    def __call__(
        self, drops: Sequence[Sequence[Matcher]], counts: list[int], budget: Budget, place: int
    ) -> None:
        texts = [matcher.texts[0] for (matcher,) in drops]
        self.swept.append(texts)
        self.began.release()
        if not self.free:
            assert self.go.acquire(timeout=SECONDS)
        if self.raises:
            raise self.raises.pop(0)
        counts[:] = [int(text.partition("=")[2]) for text in texts]

    def let_go(self) -> None:
        self.free = True
        self.go.release()


@pytest.fixture
def sweeper() -> Sweeper:
    return Sweeper()


@pytest.fixture
def sweeps(sweeper: Sweeper) -> Sweeps:
    return Sweeps(sweeper)


def dropped(sweeps: Sweeps, number: int, seconds: float = SECONDS) -> int:
    """Drop, and tell how many entries went."""
    budget = Budget(seconds)
    sweeps.drop([Matcher(["A"], [number])], budget)
    return budget.dropped


class Dropping:
    """Drops in threads, and how they ended."""

    def __init__(self, sweeps: Sweeps) -> None:
        self.sweeps = sweeps
        self.ended: dict[int, Any] = {}
        self.threads: list[threading.Thread] = []

    def start(self, number: int, seconds: float = SECONDS) -> None:
        def run() -> None:
            try:
                self.ended[number] = dropped(self.sweeps, number, seconds)
            except BaseException as error:
                self.ended[number] = error

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def join(self) -> dict[int, Any]:
        for thread in self.threads:
            thread.join(SECONDS)
            assert not thread.is_alive()
        return self.ended


@pytest.fixture
def dropping(sweeps: Sweeps) -> Dropping:
    return Dropping(sweeps)


def eventually(condition: Callable[[], object]) -> None:
    give_up = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.001)


def waiting(sweeps: Sweeps) -> int:
    """How many drops have joined the next sweep."""
    return len(sweeps._next.drops) if sweeps._next else 0


def test_a_hundred_drops_cost_two_sweeps(sweeps: Sweeps, sweeper: Sweeper, dropping: Dropping) -> None:
    """The first begins at once, the others share the second; each gets its own count."""
    dropping.start(0)
    sweeper.began.acquire(timeout=SECONDS)
    for number in range(1, 100):
        dropping.start(number)
    eventually(lambda: waiting(sweeps) == 99)
    sweeper.let_go()

    assert dropping.join() == {number: number for number in range(100)}
    assert [len(texts) for texts in sweeper.swept] == [1, 99]


def test_nobody_joins_a_sweep_that_has_begun(sweeps: Sweeps, sweeper: Sweeper, dropping: Dropping) -> None:
    """It may have passed the entries already: whoever comes now waits for the next, which it then begins."""
    for number in range(3):
        dropping.start(number)
        sweeper.began.acquire(timeout=SECONDS) if number == 0 else eventually(lambda: waiting(sweeps) == 1)
        if number == 1:
            sweeper.go.release()
            sweeper.began.acquire(timeout=SECONDS)
    sweeper.let_go()
    sweeper.go.release()

    assert dropping.join() == {0: 0, 1: 1, 2: 2}
    assert sweeper.swept == [["A=0"], ["A=1"], ["A=2"]]


def test_drops_one_after_another_wait_for_nobody(sweeps: Sweeps, sweeper: Sweeper) -> None:
    """A drop alone is its own sweep, at once."""
    sweeper.let_go()
    began = time.monotonic()
    for number in range(50):
        assert dropped(sweeps, number) == number

    assert time.monotonic() - began < 1
    assert len(sweeper.swept) == 50


def test_a_sweep_that_fails_fails_for_all_who_share_it(
    sweeps: Sweeps, sweeper: Sweeper, dropping: Dropping
) -> None:
    """None of them tries in turn: with Redis down, the hundredth would fail after a hundred timeouts."""
    dropping.start(0)
    sweeper.began.acquire(timeout=SECONDS)
    for number in range(1, 10):
        dropping.start(number)
    eventually(lambda: waiting(sweeps) == 9)
    sweeper.raises = [CacheUnavailable("Redis is not available: no"), CacheUnavailable("still no")]
    sweeper.let_go()
    errors = dropping.join()

    assert len(sweeper.swept) == 2
    assert {type(error) for error in errors.values()} == {CacheUnavailable}
    assert [str(errors[number]) for number in range(10)] == ["Redis is not available: no"] + ["still no"] * 9
    assert len({id(error) for error in errors.values()}) == 10
    assert dropped(sweeps, 7) == 7


@pytest.mark.parametrize(
    "failure", [DropTimeout(1.0, "pass 1 of 2", 0), KeyboardInterrupt(), Interrupted()], ids=repr
)
def test_one_whose_time_is_over_does_not_end_it_for_the_others(
    failure: BaseException, sweeps: Sweeps, sweeper: Sweeper, dropping: Dropping
) -> None:
    """They had more time, or were not interrupted: one of them sweeps again."""
    dropping.start(0)
    sweeper.began.acquire(timeout=SECONDS)
    for number in (1, 2, 3):
        dropping.start(number)
    eventually(lambda: waiting(sweeps) == 3)
    sweeper.go.release()
    sweeper.began.acquire(timeout=SECONDS)
    sweeper.raises = [failure]
    sweeper.let_go()
    ended = dropping.join()
    failed = [number for number, end in ended.items() if end is failure]

    assert len(failed) == 1
    assert failed != [0]
    assert {number: end for number, end in ended.items() if number not in failed} == {
        number: number for number in range(4) if number not in failed
    }
    assert [len(texts) for texts in sweeper.swept] == [1, 3, 3]


def test_waiting_for_the_sweep_before_has_an_end(
    sweeps: Sweeps, sweeper: Sweeper, dropping: Dropping
) -> None:
    """The error says what it waited for, and that nothing is deleted yet."""
    dropping.start(0)
    sweeper.began.acquire(timeout=SECONDS)
    dropping.start(1, seconds=0.05)
    eventually(lambda: 1 in dropping.ended)
    error = dropping.ended[1]

    assert isinstance(error, DropTimeout)
    assert (error.seconds, error.stage, error.dropped) == (0.05, "waiting for the sweep before this one", 0)
    sweeper.let_go()
    dropping.join()
    assert dropped(sweeps, 7) == 7


def test_interruptions_never_leave_it_locked() -> None:
    """A signal handler may raise between any two bytecodes; the next drop sweeps all the same."""

    def sweep(drops: Sequence[Sequence[Matcher]], counts: list[int], budget: Budget, place: int) -> None:
        counts[:] = [7] * len(drops)

    sweeps = Sweeps(sweep)
    chance, interrupted, number = random.Random(5), 0, 7
    give_up = time.monotonic() + 60
    with alarms() as alarm:
        while interrupted < 5000 and time.monotonic() < give_up:
            try:
                alarm(chance.uniform(1e-6, 1e-4))
                for _ in range(100):
                    assert dropped(sweeps, number) == 7
                alarm(0)
            except Interrupted:
                interrupted += 1
    gc.collect()
    began = time.monotonic()

    assert dropped(sweeps, number) == 7
    assert time.monotonic() - began < 1
    assert interrupted >= 5000


def test_a_child_waits_for_no_sweep_of_its_parent(
    sweeps: Sweeps, sweeper: Sweeper, dropping: Dropping
) -> None:
    """The thread that sweeps does not exist there, nor whoever holds the lock."""
    dropping.start(0)
    sweeper.began.acquire(timeout=SECONDS)
    dropping.start(1)
    eventually(lambda: waiting(sweeps) == 1)

    def child() -> int:
        sweeps.after_fork_in_child()
        sweeper.free = True
        return dropped(sweeps, 5, 5)

    with sweeps._lock:
        assert in_child(child) == 5
    sweeper.let_go()
    assert dropping.join() == {0: 0, 1: 1}


def test_a_drop_in_the_midst_of_its_own_thread_waits_for_nobody(sweeps: Sweeps, sweeper: Sweeper) -> None:
    """As in a signal handler: the sweep that it interrupts would wait for it, and it for that one."""
    sweeper.free = True
    inner: list[int] = []

    def interrupted(drops: Any, counts: list[int], budget: Budget, place: int) -> None:
        if not inner:
            inner.append(0)
            inner[0] = dropped(sweeps, 7)
        sweeper(drops, counts, budget, place)

    sweeps._sweep = interrupted

    assert dropped(sweeps, 3) == 3
    assert inner == [7]
    assert sweeper.swept == [["A=7"], ["A=3"]]


def test_a_drop_in_the_midst_of_joining_runs_alone(sweeps: Sweeps, sweeper: Sweeper) -> None:
    """What the interrupted drop was about to join is neither closed nor swept for it."""
    sweeper.free = True

    with sweeps._changing() as is_ours:
        assert is_ours
        assert dropped(sweeps, 7) == 7

    assert sweeper.swept == [["A=7"]]
    assert dropped(sweeps, 3) == 3
