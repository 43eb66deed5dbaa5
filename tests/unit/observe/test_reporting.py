"""The line that sums up."""

from __future__ import annotations

from mysql_redis_cache.observe import Stats
from mysql_redis_cache.observe.reporting import summary


def test_a_quiet_minute_has_no_line() -> None:
    """A log full of noughts hides what matters."""
    assert summary(Stats(near_entries=7)) == ""


def test_what_happened_is_summed_up() -> None:
    """Always the reads and loads; the rest where there was any."""
    stats = Stats(hits=1900, near_hits=60, misses=40, loads=20, load_seconds=0.05, drops=3, refused_fills=1)

    assert summary(stats) == "2,000 reads, 98.0 % hits, 20 loads of 2.5 ms, 1 fills refused, 3 drops"


def test_drops_alone_are_worth_a_line() -> None:
    """So are reads past the cache."""
    assert summary(Stats(drops=1)).endswith("1 drops")
    assert summary(Stats(bypasses=1)).endswith("1 past the cache")
