"""What is outdated: every spelling once, wide where it cannot be told, bounded."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_redis_cache.binlog import Undecodable
from mysql_redis_cache.binlog.spellings import Moment
from mysql_redis_cache.follow import outdated as module
from mysql_redis_cache.follow.outdated import Outdated
from mysql_redis_cache.keys import Finder, make_key


def drops(outdated: Outdated, names: list[str], values: list[Any]) -> bool:
    matchers = outdated.matchers("")
    key = make_key("SELECT 1", values, names).encode()
    return bool(matchers) and Finder([matchers]).entry(key) is not None


PASSED = [
    (7, ["7", 7]),
    (1, [1, True, "1"]),
    (None, [None]),
    (Decimal("12.50"), [Decimal("12.50"), 12.5, "12.5", "12.50"]),
    ("Ann", ["Ann"]),
    (Moment("2026-01-02T03:04:05"), [datetime(2026, 1, 2, 3, 4, 5), "2026-01-02 03:04:05"]),
    (b"\x00\xff", [b"\x00\xff"]),
]


@pytest.mark.parametrize(("value", "passed"), PASSED)
def test_a_value_takes_the_entries_of_whoever_passed_it(value: Any, passed: list[Any]) -> None:
    """However a caller writes the value that the row holds, the entry goes; those of others stay."""
    outdated = Outdated()
    outdated.add(("Id",), [[value]])

    assert [drops(outdated, ["Id"], [each]) for each in passed] == [True] * len(passed)
    assert not drops(outdated, ["Id"], ["other"])
    assert not drops(outdated, ["Other"], [passed[0]])


def test_a_combination_takes_only_what_carries_all_of_it() -> None:
    """The values of one row belong together."""
    outdated = Outdated()
    outdated.add(("User", "Shop"), [[1, 2], ["a", "b"]])

    assert drops(outdated, ["Shop", "User"], ["a", 1])
    assert not drops(outdated, ["Shop", "User"], ["b", 1])
    assert not drops(outdated, ["User"], [1])


def test_what_cannot_be_told_takes_the_whole_name() -> None:
    """One undecodable value, and every entry of the names concerned is outdated, with the reason."""
    outdated = Outdated()
    outdated.add(("User", "Shop"), [[1, 2], ["a", Undecodable("because")]])

    assert outdated.names == {"User": "because", "Shop": "because"}
    assert drops(outdated, ["User"], ["anything"])


def test_a_whole_name_needs_no_values() -> None:
    """What a name takes is not kept one by one as well."""
    outdated = Outdated()
    outdated.add(("A",), [[5]])
    outdated.add(("A", "B"), [[5], [6]])
    outdated.widen(["A"], "why")
    outdated.add(("A",), [[7]])
    outdated.add_texts("A", ["8"])

    assert len(outdated) == 0
    assert drops(outdated, ["A"], [1])


def test_too_many_values_become_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded: the name with most values is dropped whole."""
    monkeypatch.setattr(module, "MOST", 100)
    outdated = Outdated()
    outdated.add(("Few",), [[5, 6]])
    for start in range(0, 1000, 50):
        outdated.add(("Many",), [range(start, start + 50)])

    assert list(outdated.names) == ["Many"]
    assert len(outdated) == 2


CHANGES = st.lists(
    st.tuples(
        st.sampled_from([("A",), ("B",), ("A", "B")]), st.integers(0, 3), st.integers(0, 3), st.booleans()
    ),
    max_size=8,
)


@given(CHANGES, CHANGES)
def test_merged_is_what_both_are(first: list[Any], second: list[Any]) -> None:
    """Two that are merged, and one that went through JSON, drop what each drops; nothing else."""

    def made(changes: list[Any]) -> Outdated:
        outdated = Outdated()
        for names, one, two, is_wide in changes:
            if is_wide and one == 3:
                outdated.widen(names, "why")
            else:
                outdated.add(names, [[one], [two]][: len(names)])
        return outdated

    merged = made(first)
    merged.merge(made(second))
    read = Outdated.from_json(json.loads(json.dumps(merged.as_json())))
    for names, values in [(["A"], [1]), (["B"], [1]), (["A", "B"], [1, 2]), (["A", "B"], [0, 3])]:
        expected = drops(made(first), names, values) or drops(made(second), names, values)
        assert drops(merged, names, values) is drops(read, names, values) is expected
