"""Which of many drops a name belongs to: what asking each of them would say, but quickly."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_redis_cache.drops.finder import Finder
from mysql_redis_cache.keys.naming import Matcher, lease_name, make_key

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = ["A", "B", "AB", "A_B"]
VALUES: list[object] = [
    1,
    12,
    -1,
    1.5,
    "1",
    "a",
    "a_b",
    "b",
    "",
    "_",
    "é",
    "A=1",
    "x_A=1",
    "1,2",
    [1, 2],
    [12, 1, 3],
]

pairs = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)),
    min_size=1,
    max_size=3,
    unique_by=lambda p: p[0],
)
prefixes = st.sampled_from(["", "s:"])
drops = st.builds(
    lambda some, all_, prefix: Matcher([n for n, _ in some], [v for _, v in some], all_, prefix),
    pairs,
    st.booleans(),
    prefixes,
)
entries = st.builds(
    lambda some, prefix: make_key("SELECT 1", [v for _, v in some], [n for n, _ in some], prefix).encode(),
    pairs,
    prefixes,
)
foreign = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b"A=1", b"session:A=1", b"A=1_x", b"x_A=1_B=2", b"{A=1_}:lease", b":lease", b""]),
    st.builds(lambda name, start: start + name, entries, st.sampled_from([b"x", b"{", b"q:"])),
)


@given(st.lists(drops, min_size=1, max_size=8), st.lists(st.one_of(entries, foreign), min_size=1, max_size=8))
def test_it_finds_what_asking_each_drop_would(matchers: Sequence[Matcher], names: Sequence[bytes]) -> None:
    """Entries and leases alike, whichever drop comes first, whatever else lies in Redis."""
    finder = Finder(matchers)
    for name in names:
        lease = lease_name(name)
        owners = [place for place, matcher in enumerate(matchers) if matcher.entry(name)]

        assert finder.entry(name) == min(owners, default=None)
        assert finder.lease(lease) == finder.entry(name)
        assert finder.lease(name) == min(
            (place for place, matcher in enumerate(matchers) if matcher.lease(name)), default=None
        )


@pytest.mark.parametrize(
    ("key", "owner"),
    [
        ([("UserId", 7)], 7),
        ([("UserId", [300, 7, 301])], 7),
        ([("Shop", "a_b"), ("UserId", 99)], 99),
        ([("UserId", 700)], None),
        ([("XUserId", 7)], None),
    ],
    ids=["alone", "in a list", "behind another", "longer", "another name"],
)
def test_one_of_a_hundred_drops_is_found(key: list[tuple[str, object]], owner: int | None) -> None:
    """By what the name says."""
    finder = Finder([Matcher(["UserId"], [user]) for user in range(100)])
    name = make_key("SELECT 1", [value for _, value in key], [name for name, _ in key]).encode()

    assert finder.entry(name) == owner
    assert finder.lease(lease_name(name)) == owner


def test_a_hundred_drops_cost_little_more_than_one() -> None:
    """Otherwise sharing a sweep would only move the cost from Redis into this process."""
    matchers = [Matcher(["UserId"], [user]) for user in range(100)]
    names = [make_key("SELECT 1", [user, 6], ["UserId", "StoreId"]).encode() for user in range(200, 10_200)]

    def seconds(some: Sequence[Matcher]) -> float:
        finder = Finder(some)
        began = time.perf_counter()
        for name in names:
            finder.entry(name)
        return time.perf_counter() - began

    one, hundred = (min(seconds(some) for _ in range(5)) for some in (matchers[:1], matchers))
    assert hundred < 20 * one  # asking each would be a hundred times
