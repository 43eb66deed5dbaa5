"""What is logged of Redis: one line when trouble is first met, one when it is over, and no more than that."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.observe import Watch
from mysql_redis_cache.readthrough import guard as module
from mysql_redis_cache.readthrough.guard import QUIET_SECONDS, Guard
from mysql_redis_cache.store import Exhausted, Refused

DOWN = CacheUnavailable("connection refused")


class Clock:
    """Time that stands until it is moved."""

    now = 1000.0

    def monotonic(self) -> float:
        """Return the moment."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def news(caplog: pytest.LogCaptureFixture) -> Any:
    """The lines so far, less their reasons."""
    caplog.set_level("WARNING", "mysql_redis_cache")
    return lambda: [record.getMessage().split(";")[0] for record in caplog.records]


def fail(guard: Guard, clock: Clock, times: int = 1) -> None:
    for _ in range(times):
        began = clock.now
        clock.now += 0.25
        guard.failed(DOWN, began)


def succeed(guard: Guard, clock: Clock) -> None:
    began = clock.now
    clock.now += 0.001
    guard.answered(began)


def test_the_first_failure_is_told_at_once(clock: Clock, news: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A program that reads once would never say so otherwise; further ones, and the breaker, add no line."""
    guard = Guard(lambda: False, Watch())
    fail(guard, clock)
    assert news() == ["Redis is failing"]
    assert "connection refused" in caplog.text
    fail(guard, clock, times=5)
    assert not guard.breaker.is_closed
    assert news() == ["Redis is failing"]


def test_its_end_is_told(clock: Clock, news: Any) -> None:
    """After a moment's failure, and after one that opened the breaker."""
    guard = Guard(lambda: False, Watch())
    fail(guard, clock)
    succeed(guard, clock)
    assert news() == ["Redis is failing", "Redis is back"]
    succeed(guard, clock)
    fail(guard, clock, times=3)
    clock.now += 10
    assert guard.allows(clock.now)
    succeed(guard, clock)
    assert news() == ["Redis is failing", "Redis is back"] * 2


def test_what_began_before_is_not_its_end(clock: Clock, news: Any) -> None:
    """An answer that was on its way says nothing of how things are."""
    guard = Guard(lambda: False, Watch())
    began = clock.now
    fail(guard, clock)
    guard.answered(began)
    assert news() == ["Redis is failing"]


def test_now_and_then_a_failure_is_no_news(clock: Clock, news: Any) -> None:
    """One in many is told once in a while, so that no log is full of it."""
    guard = Guard(lambda: False, Watch())
    for _ in range(100):
        fail(guard, clock)
        succeed(guard, clock)
    assert news() == ["Redis is failing", "Redis is back"]
    clock.now += QUIET_SECONDS
    fail(guard, clock)
    assert news() == ["Redis is failing", "Redis is back", "Redis is failing"]


def test_a_lasting_trouble_is_always_told(clock: Clock, news: Any) -> None:
    """Even right after another."""
    guard = Guard(lambda: False, Watch())
    fail(guard, clock)
    succeed(guard, clock)
    fail(guard, clock)
    assert len(news()) == 2
    fail(guard, clock)
    assert news() == ["Redis is failing", "Redis is back", "Redis is failing"]


def test_the_first_refusal_of_a_write_is_told_at_once(clock: Clock, news: Any) -> None:
    """As a silence is; a lease that is granted is its end, and an answer to a read is not."""
    guard = Guard(lambda: False, Watch())
    guard.refused(Refused("OOM"), clock.now)
    succeed(guard, clock)
    assert news() == ["Redis takes no writes"]
    guard.took_write(clock.now)
    assert news() == ["Redis takes no writes", "Redis takes writes again"]


def test_a_crowd_on_our_own_connections_is_no_news(clock: Clock, news: Any) -> None:
    """It says nothing of Redis."""
    guard = Guard(lambda: False, Watch())
    for _ in range(9):
        guard.failed(Exhausted("no connection became free"), clock.now)
    assert news() == []


def test_of_all_who_meet_it_at_once_one_tells(news: Any) -> None:
    """Whatever the threads."""
    guard, together = Guard(lambda: False, Watch()), threading.Barrier(20)

    def meet() -> None:
        together.wait(10)
        guard.failed(DOWN, module.time.monotonic())

    threads = [threading.Thread(target=meet) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert news() == ["Redis is failing"]
