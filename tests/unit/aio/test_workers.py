"""Threads that take jobs with one wake-up and stay for the next."""

from __future__ import annotations

import queue
import threading
import time
import weakref
from functools import partial
from typing import TYPE_CHECKING

import pytest

from mysql_redis_cache.aio.workers import Workers
from tests.support.forks import in_child

if TYPE_CHECKING:
    from collections.abc import Callable


class Referred:
    """Something to refer to."""


def run(workers: Workers, job: Callable[[], object]) -> object:
    """Have *workers* run *job* and wait for what it gives."""
    given: queue.SimpleQueue[object] = queue.SimpleQueue()
    workers.run(lambda: given.put(job()))
    return given.get(timeout=10)


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_thread_that_is_done_takes_the_next_job() -> None:
    """One caller at a time needs one thread."""
    workers = Workers()
    threads = set()
    for _ in range(50):
        threads.add(run(workers, threading.get_ident))
        until(lambda: len(workers.idle) == 1)

    assert len(threads) == 1


def test_jobs_at_the_same_time_have_a_thread_each() -> None:
    """No job waits for another."""
    workers, together = Workers(), threading.Barrier(5)
    for _ in range(4):
        workers.run(lambda: together.wait(10) and None)

    together.wait(10)


def test_idle_threads_end() -> None:
    """Nothing has to be stopped."""
    workers = Workers(idle_seconds=0.01)
    thread = run(workers, threading.current_thread)

    assert isinstance(thread, threading.Thread)
    thread.join(10)
    assert not thread.is_alive()
    assert not workers.idle


def test_no_job_is_lost_when_a_thread_is_about_to_end() -> None:
    """A thread that was picked just as its time ran out runs the job all the same."""
    workers = Workers(idle_seconds=0.0005)
    for _ in range(300):
        assert run(workers, lambda: "done") == "done"
        time.sleep(0.0005)


def test_a_thread_without_work_keeps_nothing_alive() -> None:
    """What a job referred to is free when it is done."""
    workers, what = Workers(), Referred()
    known = weakref.ref(what)
    run(workers, partial(id, what))
    del what
    until(lambda: len(workers.idle) == 1)

    assert known() is None


def test_there_are_no_more_threads_than_allowed() -> None:
    """What is too much waits its turn."""
    workers, held, threads = Workers(most=3), threading.Semaphore(0), set()

    def job() -> None:
        threads.add(threading.get_ident())
        assert held.acquire(timeout=10)

    for _ in range(50):
        workers.run(job)
    for _ in range(50):
        held.release()
    until(lambda: len(workers.idle) == len(workers.alive) and not workers.jobs)

    assert len(threads) <= 3


def test_a_single_thread_runs_all_jobs_also_those_that_come_as_it_ends() -> None:
    """Nobody waits for a thread that is leaving."""
    workers = Workers(most=1, idle_seconds=0.0003)
    for _ in range(500):
        assert run(workers, lambda: "done") == "done"
        time.sleep(0.0003)


def test_idle_threads_end_with_the_last_user() -> None:
    """Closing leaves none behind; while somebody else is there, they stay."""
    workers, one, other = Workers(), Referred(), Referred()
    workers.enrol(one)
    workers.enrol(other)
    thread = run(workers, threading.current_thread)
    until(lambda: len(workers.idle) == 1)

    workers.leave(one)
    assert run(workers, threading.current_thread) is thread
    until(lambda: len(workers.idle) == 1)
    workers.leave(other)

    assert isinstance(thread, threading.Thread)
    thread.join(10)
    assert not thread.is_alive()
    assert run(workers, lambda: "done") == "done"


def test_a_child_has_threads_of_its_own() -> None:
    """The parent's are not there after a fork."""
    workers = Workers()
    run(workers, lambda: None)
    until(lambda: len(workers.idle) == 1)

    assert in_child(lambda: run(workers, lambda: "done")) == "done"


def test_the_lack_of_threads_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the job is not taken."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    with pytest.raises(RuntimeError, match="can't start"):
        Workers().run(lambda: None)
