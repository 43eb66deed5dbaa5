"""Figures by query: bounded, whatever is asked."""

from __future__ import annotations

import threading
from hashlib import sha1

import pytest

from mysql_redis_cache.observe import check_label
from mysql_redis_cache.observe.queries import KEPT, SHOWN, Queries


def test_figures_of_a_query() -> None:
    """Counts, times, the size of the last answer, and why one was not cached."""
    queries = Queries()
    queries.hit("SELECT 1")
    queries.miss("SELECT 1")
    queries.loaded("SELECT 1", 0.25, 100)
    queries.loaded("SELECT 1", 0.75, None)
    queries.refused("SELECT 1", "too large")
    queries.label("SELECT 1", "one")

    (one,) = queries.snapshot()

    assert one.sha1 == sha1(b"SELECT 1").hexdigest()
    assert (one.query, one.label, one.hits, one.misses) == ("SELECT 1", "one", 1, 1)
    assert (one.loads, one.load_failures, one.bytes) == (2, 1, 100)
    assert (one.load_seconds, one.worst_load_seconds) == (1.0, 0.75)
    assert one.refusal == "too large"


def test_the_less_used_half_makes_room() -> None:
    """Texts made up anew for each read do not push out those that are asked again and again."""
    queries = Queries()
    for _ in range(3):
        queries.hit("SELECT often")
    for number in range(3 * KEPT):
        queries.miss(f"SELECT {number}")

    snapshot = queries.snapshot()

    assert len(snapshot) <= KEPT
    assert snapshot[0].query == "SELECT often"
    assert snapshot[0].hits == 3


def test_texts_of_any_size_are_cut() -> None:
    """What is kept of one is bounded; what it is known by is of the whole."""
    queries, text = Queries(), "SELECT " + "x" * 10 * SHOWN
    queries.hit(text)
    queries.hit("\ud800")  # that no statement can have, but a signature

    long, odd = sorted(queries.snapshot(), key=lambda each: len(each.query), reverse=True)

    assert long.query == text[:SHOWN]
    assert long.sha1 == sha1(text.encode()).hexdigest()
    assert odd.hits == 1


def test_no_hit_is_lost_between_threads() -> None:
    """They are counted without a lock."""
    queries, together = Queries(), threading.Barrier(8)

    def hit() -> None:
        together.wait(10)
        for _ in range(5000):
            queries.hit("SELECT 1")

    threads = [threading.Thread(target=hit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert queries.snapshot()[0].hits == 40_000


@pytest.mark.parametrize(
    ("label", "error"),
    [(7, TypeError), ("", ValueError), ("x" * 101, ValueError)],
)
def test_a_bad_label_is_refused(label: object, error: type[Exception]) -> None:
    """By what it is called."""
    with pytest.raises(error, match="label must"):
        check_label("label", label)
