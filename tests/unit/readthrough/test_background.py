"""Work that nobody waits for, and leases that are kept while a load lasts."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from mysql_redis_cache.readthrough import background
from mysql_redis_cache.readthrough.background import MAX_QUEUED, Background, Keeper
from tests.support.forks import in_child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = 10


def eventually(condition: Callable[[], object]) -> None:
    """Wait until *condition* holds."""
    give_up = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < give_up, "it never came about"
        time.sleep(0.002)


class Gate:
    """A job that begins, and goes on when it is told to."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        assert self.open.wait(SECONDS)


def refuse_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no thread start any more, as at the limit of threads or at the interpreter's end."""

    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)


class Interrupted(BaseException):
    """Raised by a signal handler, say."""


@pytest.fixture
def stuck_start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Have the next thread that is started by this module not begin, and its starter wait, until told to.

    That is what becomes, in CPython 3.11, of a starter whose exception strikes the thread being born.
    """
    gate, start = Gate(), threading.Thread.start

    def hang_once(self: threading.Thread) -> None:
        if self.name.startswith("mysql_redis_cache") and not gate.begun.is_set():
            gate()
        start(self)

    monkeypatch.setattr(threading.Thread, "start", hang_once)
    yield gate
    gate.open.set()


def interrupt_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have an exception strike whoever starts a thread."""

    def start(self: threading.Thread) -> None:
        raise Interrupted

    monkeypatch.setattr(threading.Thread, "start", start)


def test_jobs_run_elsewhere() -> None:
    """Whoever submits goes on at once."""
    ran: list[str] = []
    jobs = Background()

    assert jobs.submit("a", lambda: ran.append(threading.current_thread().name))
    eventually(lambda: ran == ["mysql_redis_cache-refresh"])
    jobs.close()


def test_a_key_runs_once_at_a_time() -> None:
    """A refresh that is queued or under way is not begun again; afterwards it may."""
    jobs, gate = Background(size=1), Gate()
    assert jobs.submit("a", gate)
    gate.begun.wait(SECONDS)
    assert not jobs.submit("a", gate)
    assert jobs.submit("b", lambda: None)
    assert not jobs.submit("b", lambda: None)
    gate.open.set()

    eventually(lambda: jobs.submit("a", lambda: None))
    eventually(lambda: jobs.submit("b", lambda: None))
    jobs.close()


@pytest.mark.parametrize(
    "error", [ValueError("no rows for you"), StopIteration(), GeneratorExit(), SystemExit()]
)
def test_a_job_that_fails_leaves_no_trace(error: BaseException) -> None:
    """The thread goes on and the key is free, whatever it was."""
    jobs, ran = Background(size=1), threading.Event()

    def fail() -> None:
        raise error

    assert jobs.submit("a", fail)
    eventually(lambda: jobs.submit("a", ran.set))
    assert ran.wait(SECONDS)
    jobs.close()


def test_no_more_threads_than_allowed() -> None:
    """Further jobs wait for their turn, and all run."""
    jobs, gates, ran = Background(size=2), [Gate(), Gate(), Gate()], []
    for number, gate in enumerate(gates):
        assert jobs.submit(number, lambda gate=gate, number=number: (gate(), ran.append(number)))
    eventually(lambda: gates[0].begun.is_set() and gates[1].begun.is_set())
    assert not gates[2].begun.is_set()
    assert jobs._threads == 2
    for gate in gates:
        gate.open.set()

    eventually(lambda: sorted(ran) == [0, 1, 2])
    jobs.close()


def test_an_idle_thread_does_not_keep_the_second_job_waiting() -> None:
    """Two jobs for one idle thread start a second thread: they do not queue behind each other."""
    jobs, first, second = Background(size=2), Gate(), Gate()
    jobs.submit("warm", lambda: None)
    eventually(lambda: jobs._idle == 1)
    jobs.submit("a", first)
    jobs.submit("b", second)

    eventually(lambda: first.begun.is_set() and second.begun.is_set())
    first.open.set()
    second.open.set()
    jobs.close()


def test_a_full_queue_refuses() -> None:
    """Refreshes that nobody waits for must not pile up."""
    jobs, gate = Background(size=1), Gate()
    jobs.submit("running", gate)
    gate.begun.wait(SECONDS)

    assert all(jobs.submit(number, lambda: None) for number in range(MAX_QUEUED))
    assert not jobs.submit("one too many", lambda: None)
    jobs.close()
    gate.open.set()


def test_after_closing_nothing_runs() -> None:
    """Queued jobs are forgotten, new ones refused; closing waits for nobody and may be repeated."""
    jobs, gate, ran = Background(size=1), Gate(), []
    jobs.submit("running", gate)
    gate.begun.wait(SECONDS)
    jobs.submit("queued", lambda: ran.append(1))
    jobs.close()
    jobs.close()
    assert not jobs.submit("late", lambda: ran.append(2))
    gate.open.set()

    eventually(lambda: jobs._threads == 0)
    assert ran == []


def test_threads_end_when_there_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that refreshes seldom keeps no thread, and gets one again when it needs one."""
    monkeypatch.setattr(background, "IDLE_SECONDS", 0.02)
    jobs, ran = Background(), []
    for expected in (1, 2):
        jobs.submit("a", lambda: ran.append(1))
        eventually(lambda expected=expected: len(ran) == expected)
        eventually(lambda: jobs._threads == 0 and not jobs._running)
    jobs.close()


def test_a_machine_without_threads_refuses_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """No reader fails because a refresh behind its back finds no thread; later it does."""
    jobs, ran = Background(), threading.Event()
    with monkeypatch.context() as patch:
        refuse_threads(patch)
        assert not jobs.submit("a", ran.set)

    assert jobs.submit("a", ran.set)
    assert ran.wait(SECONDS)
    jobs.close()


def test_a_start_that_hangs_holds_up_nobody_else(stuck_start: Gate) -> None:
    """No lock is held meanwhile: others submit, and their thread runs the first one's job too."""
    jobs, ran = Background(), Gate()
    first = threading.Thread(target=jobs.submit, args=("a", ran))
    first.start()
    assert stuck_start.begun.wait(SECONDS)

    assert jobs.submit("b", lambda: None)
    assert ran.begun.wait(SECONDS)
    jobs.close()
    ran.open.set()
    stuck_start.open.set()
    first.join(SECONDS)
    eventually(lambda: jobs._threads == 0)


def test_an_interrupted_start_loses_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is interrupted hears of it; the next submission has both jobs run."""
    jobs, ran = Background(size=1), threading.Event()
    with monkeypatch.context() as patch:
        interrupt_starts(patch)
        with pytest.raises(Interrupted):
            jobs.submit("a", ran.set)

    assert jobs.submit("b", lambda: None)
    assert ran.wait(SECONDS)
    eventually(lambda: jobs.submit("a", lambda: None))
    jobs.close()


def test_threads_started_at_the_same_moment_are_no_more_than_allowed() -> None:
    """Those beyond the size end at once, and every job runs once."""
    jobs, ran, at_once, most = Background(size=2), [], [], []
    together = threading.Barrier(8)

    def job(number: int) -> None:
        at_once.append(number)
        most.append(len(at_once))
        time.sleep(0.002)
        at_once.remove(number)
        ran.append(number)

    def submit(number: int) -> None:
        together.wait(SECONDS)
        assert jobs.submit(number, lambda: job(number))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(submit, range(8)))
    eventually(lambda: len(ran) == 8)

    assert sorted(ran) == list(range(8))
    assert max(most) <= 2
    jobs.close()


def test_a_child_has_none_of_the_parents_jobs() -> None:
    """Its threads do not exist there, nor whoever holds the lock."""
    jobs, gate = Background(size=1), Gate()
    jobs.submit("a", gate)
    gate.begun.wait(SECONDS)
    jobs.submit("b", gate)

    def child() -> bool:
        ran = threading.Event()
        return jobs.submit("a", ran.set) and ran.wait(5) and not jobs._jobs

    with jobs._lock:
        assert in_child(child) is True
    gate.open.set()
    jobs.close()


def test_a_lease_is_renewed_while_it_is_held() -> None:
    """Every third of its life, until it is forgotten; then the thread ends."""
    keeper, renewed = Keeper(lease_seconds=0.06), []
    keeper.keep(b"token", lambda: not renewed.append(time.monotonic()))
    eventually(lambda: len(renewed) >= 3)
    keeper.forget(b"token")
    eventually(lambda: not keeper._runs)
    count = len(renewed)

    assert min(later - sooner for sooner, later in pairwise(renewed)) >= 0.019
    time.sleep(0.05)
    assert len(renewed) == count


def test_a_quick_load_renews_nothing() -> None:
    """Whoever fills within a third of the lease's life costs no command."""
    keeper, renewed = Keeper(lease_seconds=0.06), []
    for number in range(50):
        token = b"%d" % number
        keeper.keep(token, lambda: not renewed.append(1))
        keeper.forget(token)
    eventually(lambda: not keeper._runs)

    assert renewed == []


def test_a_load_is_not_renewed_before_its_time() -> None:
    """A lease taken just before the keeper looks is left alone until it has aged."""
    keeper, renewed = Keeper(lease_seconds=0.3), []
    keeper.keep(b"old", lambda: True)
    time.sleep(0.08)
    keeper.keep(b"young", lambda: not renewed.append(time.monotonic()))
    taken = time.monotonic()
    eventually(lambda: renewed)
    keeper.forget(b"old")
    keeper.forget(b"young")

    assert renewed[0] - taken >= 0.1


def failing() -> bool:
    raise ConnectionError("Redis is away")


@pytest.mark.parametrize("renew", [lambda: False, failing], ids=["lost", "Redis away"])
def test_a_lost_lease_is_renewed_no_more(renew: Callable[[], bool]) -> None:
    """Whoever has lost it, or cannot say, lets it run out; the others are kept."""
    keeper, calls, kept = Keeper(lease_seconds=0.03), [], []

    def once() -> bool:
        calls.append(1)
        return renew()

    keeper.keep(b"lost", once)
    keeper.keep(b"kept", lambda: not kept.append(1))
    eventually(lambda: len(kept) >= 4)
    keeper.forget(b"kept")

    assert calls == [1]


def test_a_load_that_hangs_is_given_up() -> None:
    """Its lease is left to run out, so that others may load."""
    keeper, renewed = Keeper(lease_seconds=0.03, longest=0.1), []
    keeper.keep(b"hung", lambda: not renewed.append(time.monotonic()))
    eventually(lambda: not keeper._runs)

    assert not keeper._held
    assert renewed


def test_a_machine_without_threads_keeps_no_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """The load goes on and its lease may run out; a load some time later tries to start the thread again."""
    keeper, renewed = Keeper(lease_seconds=0.03), threading.Event()
    with monkeypatch.context() as patch:
        refuse_threads(patch)
        keeper.keep(b"token", lambda: True)
    assert not keeper._runs

    def renewed_by_a_later_load() -> bool:
        keeper.keep(b"next", lambda: True)
        return renewed.is_set()

    keeper.keep(b"token", lambda: bool(renewed.set()) or True)
    eventually(renewed_by_a_later_load)
    keeper.forget(b"next")
    keeper.forget(b"token")


def test_a_keeper_that_does_not_start_holds_up_nobody_else(stuck_start: Gate) -> None:
    """Other loads take and give back their leases; one of them, later, starts the thread that keeps all."""
    keeper, renewed = Keeper(lease_seconds=0.03), threading.Event()
    first = threading.Thread(target=keeper.keep, args=(b"first", lambda: bool(renewed.set()) or True))
    first.start()
    assert stuck_start.begun.wait(SECONDS)

    def kept_by_another() -> bool:
        keeper.keep(b"other", lambda: True)
        keeper.forget(b"other")
        return renewed.is_set()

    eventually(kept_by_another)
    keeper.forget(b"first")
    stuck_start.open.set()
    first.join(SECONDS)
    eventually(lambda: not keeper._runs)


def test_an_interrupted_start_of_the_keeper_is_made_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later load starts it."""
    keeper, renewed = Keeper(lease_seconds=0.03), threading.Event()
    with monkeypatch.context() as patch:
        interrupt_starts(patch)
        with pytest.raises(Interrupted):
            keeper.keep(b"first", lambda: True)

    def kept() -> bool:
        keeper.keep(b"later", lambda: True)
        return renewed.is_set()

    keeper.keep(b"first", lambda: bool(renewed.set()) or True)
    eventually(kept)
    keeper.forget(b"first")
    keeper.forget(b"later")


def test_loads_that_begin_together_start_one_keeper(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the thread takes to begin."""
    keeper, started = Keeper(lease_seconds=60.0), []
    monkeypatch.setattr(threading.Thread, "start", lambda self: started.append(self))
    for number in range(50):
        keeper.keep(b"%d" % number, lambda: True)

    assert len(started) == 1


def test_two_threads_of_a_keeper_are_one_too_many() -> None:
    """The second to come sees that there is one, and ends."""
    keeper, renewed = Keeper(lease_seconds=0.03), threading.Event()
    keeper.keep(b"token", lambda: bool(renewed.set()) or True)
    assert renewed.wait(SECONDS)
    second = threading.Thread(target=keeper._work)
    second.start()
    second.join(SECONDS)

    assert not second.is_alive()
    assert keeper._runs
    keeper.forget(b"token")


def test_a_child_keeps_none_of_the_parents_leases() -> None:
    """The parent goes on keeping them; the child has a keeper of its own when it needs one."""
    keeper, renewed = Keeper(lease_seconds=0.03), []
    keeper.keep(b"parent", lambda: not renewed.append(1))

    def child() -> list[bool]:
        own = threading.Event()
        held_before = bool(keeper._held)
        keeper.keep(b"child", lambda: bool(own.set()) or True)
        return [held_before, own.wait(5), b"parent" in keeper._held]

    with keeper._lock:
        told = in_child(child)
    count = len(renewed)
    eventually(lambda: len(renewed) > count)
    keeper.forget(b"parent")

    assert told == [False, True, False]


def test_a_job_is_done_again_if_the_one_that_runs_may_have_seen_too_little() -> None:
    """It may be about to end, and whatever was left since would be left for good."""
    background, began, may_end, done = Background(), threading.Event(), threading.Event(), []

    def job() -> None:
        began.set()
        assert may_end.wait(10)
        done.append(1)

    assert background.submit("key", job)
    assert began.wait(10)
    assert not background.submit("key", job)
    assert background.submit("key", job, again=True)
    may_end.set()

    eventually(lambda: len(done) == 2)
    background.close()
