"""When a drop waits for more changes."""

from __future__ import annotations

from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.follow.outdated import Outdated
from mysql_redis_cache.follow.pacing import Pace
from mysql_redis_cache.follow.performing import Performing
from mysql_redis_cache.follow.progress import Progress


def test_a_drop_waits_as_long_as_the_one_before_took() -> None:
    """A slow walk serves what came during the one before; a quick one hardly waits; none waits for ever."""
    now = 0.0
    pace = Pace(lambda: now)

    def waits() -> float:
        nonlocal now
        pace.begin()
        began = now
        while not pace.is_over:
            now += 0.01
        return round(now - began, 1)

    assert waits() <= 0.1
    pace.took(2.5)
    assert waits() == 2.5
    pace.took(0.001)
    assert waits() <= 0.1
    pace.took(600)
    assert waits() == 10


def test_an_outage_is_no_part_of_what_a_drop_takes() -> None:
    """However long Redis is away, the next drop need not wait as long."""
    now, attempts = 0.0, iter([CacheUnavailable("away"), CacheUnavailable("away"), 3])

    def drop(_: Outdated) -> int:
        nonlocal now
        now += 0.5
        outcome = next(attempts)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def pause(_: float) -> None:
        nonlocal now
        now += 60

    batch = Outdated()
    batch.widen(["UserId"], "")
    performing = Performing(drop, Progress("test", 1, 1), lambda: None, pause, lambda: now)

    assert performing.perform(batch) == 0.5
