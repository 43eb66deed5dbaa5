"""GTIDs of both kinds: which are among which."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_redis_cache.gtids import count_missing, covers, is_gtids, is_maria, show_gtid_set

A, B = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"


@pytest.mark.parametrize(
    ("known", "wanted", "expected"),
    [
        (f"{A}:1-7", f"{A}:7", True),
        (f"{A}:1-7", f"{A}:8", False),
        (f"{A}:1-3:5-7", f"{A}:3-5", False),
        (f"{A}:1-3:4-7", f"{A}:3-5", True),
        (f"{A}:1-7", f"{B}:1", False),
        (f"{A}:1-7,\n{B}:5", f"{A}:1,{B}:5", True),
        (f"{A}:1-7:tag:1-2", f"{A}:tag:2", True),
        (f"{A}:1-7:tag:1-2", f"{A}:tag:3", False),
        (f"{A}:1-7", f"{A}:tag:3", False),
        ("", f"{A}:1", False),
        ("0-1-7", "0-1-7", True),
        ("0-2-8", "0-1-7", True),
        ("0-1-6", "0-1-7", False),
        ("0-1-9,1-1-5", "1-3-6", False),
        ("0-1-9,1-1-5,1-3-6", "1-3-6", True),
        ("", "0-1-7", False),
        (f"{A}:1-7", "0-1-7", False),
        ("0-1-7", f"{A}:7", False),
        ("0-1-7", "", True),
    ],
)
def test_some_are_among_others_or_not(known: str, wanted: str, expected: bool) -> None:
    """MySQL's as sets, MariaDB's by the last number of a domain; the one kind never among the other."""
    assert covers(known, wanted) is expected


RANGES = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5)), max_size=5)


@given(RANGES, RANGES)
def test_sets_are_compared_as_sets(known: list[tuple[int, int]], wanted: list[tuple[int, int]]) -> None:
    """As the numbers one by one would be."""

    def shown(ranges: list[tuple[int, int]]) -> str:
        pairs = tuple([(first, first + more) for first, more in ranges])
        return show_gtid_set({(UUID(A), ""): pairs} if ranges else {})

    def numbers(ranges: list[tuple[int, int]]) -> set[int]:
        return {number for first, more in ranges for number in range(first, first + more + 1)}

    assert covers(shown(known), shown(wanted)) is (numbers(wanted) <= numbers(known))
    assert count_missing(shown(known), shown(wanted)) == len(numbers(wanted) - numbers(known))


def test_transactions_of_mariadb_are_counted_by_domain() -> None:
    """By the last of each; one that is ahead makes up for nothing."""
    assert count_missing("0-1-7,1-1-5", "0-2-9,1-1-3,2-1-4") == 2 + 0 + 4
    assert count_missing("0-1-7", "") == count_missing("", "") == 0


@pytest.mark.parametrize(
    "text", ["", "x", "1", "0-1", f"{A}", f"{A}:0", f"{A}:x", "x:1", f"{A}:7-5", "0-1-7;"]
)
def test_what_names_no_transaction_is_told_apart(text: str) -> None:
    """Neither of the one kind nor of the other."""
    assert not is_gtids(text)
    assert is_maria(text) is (text == "")
