"""Snapshots: what stands in them, and how they are compared."""

from __future__ import annotations

import json

import pytest

from mysql_redis_cache.observe import QueryStats, Stats


def test_every_count_is_there_from_the_start() -> None:
    """A series that begins with its first event would hide that event."""
    stats = Stats()

    assert len(stats) > 25
    assert not any(stats.values())
    assert stats["hits"] == stats.hits == 0
    assert "queries" not in stats
    with pytest.raises(KeyError):
        stats["queries"]


def test_the_hit_ratio_counts_every_kind_of_hit() -> None:
    """One that was asked nothing has missed nothing."""
    assert Stats().hit_ratio == 1.0
    assert Stats(hits=6, near_hits=3, misses=2, unavailable=1).hit_ratio == 0.75
    assert QueryStats("0" * 40, "SELECT 1", hits=1, misses=3).hit_ratio == 0.25


def test_a_difference_is_what_came_between() -> None:
    """Counts are subtracted, what is there now is left."""
    one, two, other = "1" * 40, "2" * 40, "3" * 40
    earlier = Stats(hits=5, near_bytes=100, queries=(QueryStats(one, "a", hits=5), QueryStats(other, "c")))
    later = Stats(
        hits=9,
        load_seconds=0.5,
        near_bytes=80,
        queries=(QueryStats(one, "a", hits=7, worst_load_seconds=2.0), QueryStats(two, "b", hits=2)),
    )

    between = later - earlier

    assert (between.hits, between.load_seconds, between.near_bytes) == (4, 0.5, 80)
    assert [(each.query, each.hits) for each in between.queries] == [("a", 2), ("b", 2)]
    assert between.queries[0].worst_load_seconds == 2.0


def test_as_dict_is_json() -> None:
    """For health pages and logs."""
    stats = Stats(hits=3, misses=1, queries=(QueryStats("0" * 40, "SELECT 1", "one", hits=3),))

    read = json.loads(json.dumps(stats.as_dict()))

    assert read["hit_ratio"] == 0.75
    assert read["queries"][0]["label"] == "one"
    assert QueryStats("0" * 40, "q", loads=4, load_seconds=2.0).mean_load_seconds == 0.5
    assert QueryStats("0" * 40, "q").mean_load_seconds == 0.0
