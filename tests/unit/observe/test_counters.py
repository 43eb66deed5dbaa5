"""Counters that lose nothing and cost little."""

from __future__ import annotations

import sys
import threading

from mysql_redis_cache.observe.counters import Counters


def test_a_snapshot_names_what_was_bumped() -> None:
    """Counters come into being when they are bumped, and are listed by name."""
    counters = Counters()
    for name in ("hits", "misses", "hits"):
        counters.bump(name)

    assert counters.snapshot() == {"hits": 2, "misses": 1}
    assert list(counters.snapshot()) == ["hits", "misses"]


def test_a_snapshot_changes_nothing() -> None:
    """Reading a counter does not advance it."""
    counters = Counters()
    counters.bump("hits")

    assert [counters.snapshot()["hits"] for _ in range(3)] == [1, 1, 1]


def test_several_are_counted_at_once() -> None:
    """A batch of hits is one bump; none is none."""
    counters = Counters()
    counters.bump("hits", 41)
    counters.bump("hits")
    counters.bump("misses", 0)

    assert counters.snapshot() == {"hits": 42}


def test_a_snapshot_is_a_copy() -> None:
    """What is read stays as it was."""
    counters = Counters()
    counters.bump("hits")
    before = counters.snapshot()
    counters.bump("hits")

    assert before == {"hits": 1}


def test_no_bump_is_lost_between_threads() -> None:
    """Threads that bump at once, and make the counter at once, are all counted."""
    counters, start = Counters(), threading.Barrier(8)

    def work() -> None:
        start.wait(10)
        for _ in range(2_000):
            counters.bump("hits")
            counters.bump(f"by {threading.get_ident()}")

    threads = [threading.Thread(target=work) for _ in range(8)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            assert 0 <= counters.snapshot().get("hits", 0) <= 16_000
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)

    assert counters.snapshot()["hits"] == 16_000
