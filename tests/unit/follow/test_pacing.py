"""When a drop waits for more changes."""

from __future__ import annotations

from mysql_redis_cache.follow.pacing import Pace


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

    def takes(seconds: float) -> None:
        nonlocal now
        with pace.dropping():
            now += seconds

    assert waits() <= 0.1
    takes(2.5)
    assert waits() == 2.5
    takes(0.001)
    assert waits() <= 0.1
    takes(600)
    assert waits() == 10
