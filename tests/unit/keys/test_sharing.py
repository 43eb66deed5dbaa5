"""Never another parameter's rows: two calls share a key only if their params are equal."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from datetime import date, datetime, time
from decimal import Decimal
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mysql_redis_cache.keys.jstext import number_text
from mysql_redis_cache.keys.naming import make_key

unhurried = settings(deadline=None)  # the machine may be busy

QUERY = "SELECT * FROM users WHERE id = ? AND store = ?"


class Same:
    """What counts as equal, written down apart from the code that must honour it."""

    @staticmethod
    def params(left: list[Any], right: list[Any]) -> bool:
        return len(left) == len(right) and all(map(Same.param, left, right))

    @staticmethod
    def param(left: Any, right: Any) -> bool:
        left, right = Same.alone(left), Same.alone(right)
        texts = Same.digits_or_text(left), Same.digits_or_text(right)
        if None not in texts:
            return texts[0] == texts[1]
        return Same.inside(left, right)

    @staticmethod
    def alone(value: Any) -> Any:
        """A list of one number asks what the number asks."""
        one = isinstance(value, (list, tuple)) and len(value) == 1 and Same.is_number(value[0])
        return value[0] if one else value

    @staticmethod
    def is_number(value: Any) -> bool:
        return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)

    @staticmethod
    def digits_or_text(value: Any) -> str | None:
        """A number counts as its digits, a date, UUID or Decimal as its text."""
        if isinstance(value, float):
            return number_text(value) if abs(value) < 2**53 else None
        if isinstance(value, Decimal):
            return f"{value:f}"
        if isinstance(value, (date, time)):
            return value.isoformat()
        if isinstance(value, (int, str, UUID)) and not isinstance(value, bool):
            return str(value)
        return None

    @staticmethod
    def inside(left: Any, right: Any) -> bool:
        """In a list or dict, types count: IN (1, 'a') is not IN ('1', 'a')."""
        if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
            return len(left) == len(right) and all(map(Same.inside, left, right))
        if isinstance(left, dict) and isinstance(right, dict):
            return left.keys() == right.keys() and all(Same.inside(left[key], right[key]) for key in left)
        if Same.is_number(left) != Same.is_number(right):
            return False
        texts = Same.digits_or_text(left), Same.digits_or_text(right)
        if None not in texts:
            return texts[0] == texts[1]
        return type(left) is type(right) and repr(left) == repr(right)


# fmt: off
NASTY = [
    # texts that look like pairs, numbers, lists, words, JSON or other values' texts
    "", "_", "=", "A", "B", "1", "2", "-0", "0", "1,2", "1,2,3", "a,b", "1,", ",", "1.0", "1.5", "1.50",
    "a_B=1", "_B=", "x_A=1", "1_B=2", "2_B=3", "null", "true", "NaN", "Infinity", "[object Object]", "\ufffd",
    "\ud83d", "\ude00", "\ud83d\ude00", "😀", "9007199254740992", "1e+21", "1e-7", "2026-01-02",
    "2026-01-02T00:00:00", "00000000-0000-0000-0000-000000000001", '"', '","', '"1"', "\\", '\\"', '["1"]',
    '{"bytes":"31"}', "31", "\0",
    # scalars
    0, 1, 2, -1, 0.0, -0.0, 1.0, 1.5, 2**53, 2.0**53, 10**21, 1e21, 1e-7, math.nan, math.inf, True, False,
    None, Decimal(1), Decimal("1.50"),
    Decimal("1.5"), date(2026, 1, 2), datetime(2026, 1, 2), UUID(int=1), time(1),
    b"", b"1", b"null", b"\xff", b"\xfe",
    # lists
    [1], [1, 2], (1, 2), ["1"], ["1", "2"], ["1,2"], [1, "2"], [[1, 2]], [[1], [2]], [[1], 2], [1.0, 2.0],
    [None], [True], [""], ["null"], [b"1"], [2**53, 1], [2.0**53, 1], [2.0**53], [math.nan], [math.nan, 1],
    [date(2026, 1, 2)], ["2026-01-02"], [Decimal("1.5"), 2], [1.5, 2], [Decimal("1.50"), 2], [[], []], [[]],
    ["a,b"], [{}], [{"a": 1}],
    # dicts
    {}, {"a": 1}, {"a": "1"}, {"a": 1.0}, {"b": 1}, {"a": 1, "b": 2}, {"b": 2, "a": 1}, {"dict": {"a": 1}},
    {"number": "1"}, {"bytes": "31"}, {"a": None}, {"a": [1]}, {"a": []}, {"a": {}},
]
# fmt: on


@pytest.mark.parametrize("names", [[], ["A"], ["A", "B"], ["B", "A"], ["A", "A_B"]], ids=str)
def test_calls_share_a_key_only_if_their_params_are_equal(names: list[str]) -> None:
    """Every pair of nasty params against every other, with none, one or both of them named."""
    calls = defaultdict(list)
    for params in product(NASTY, repeat=2):
        calls[make_key(QUERY, params, names)].append(params)
    shared = [(group[0], other) for group in calls.values() for other in group[1:]]
    assert [pair for pair in shared if not Same.params(*pair)] == []


FOLDING_BY_ANOTHER = {
    "by_nothing": ([2], ["A", "B"]),
    "by_none_named": ([2], []),
    "by_bytes": ([b"x"], ["A", "B"]),
}


@pytest.mark.parametrize(("rest", "names"), FOLDING_BY_ANOTHER.values(), ids=FOLDING_BY_ANOTHER)
def test_equal_params_share_a_key(rest: list[Any], names: list[str]) -> None:
    """Equal by design is equal whether or not another param folds the call."""
    keys = [make_key(QUERY, [value, *rest], names) for value in NASTY]
    apart = [
        (NASTY[i], NASTY[j])
        for i, j in product(range(len(NASTY)), repeat=2)
        if Same.param(NASTY[i], NASTY[j]) and keys[i] != keys[j]
    ]
    assert apart == []


PIECES = [
    "_",
    "=",
    ",",
    "A",
    "B",
    "_A=",
    "_B=",
    "1",
    "2",
    "null",
    "\ud83d",
    "\ude00",
    "é",
    '"',
    "\\",
    "e+21",
    ".",
]
texts = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
scalars = st.one_of(
    texts,
    st.sampled_from([value for value in NASTY if not isinstance(value, (list, tuple, dict))]),
    st.integers(-3, 3),
    st.floats(),
    st.binary(max_size=2),
    st.none(),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=5,
)


@unhurried
@given(st.lists(values, min_size=1, max_size=3), st.data())
def test_random_params_share_a_key_only_if_equal(left: list[Any], data: st.DataObject) -> None:
    """Same, for random params and a random second call that looks like the first."""
    names = ["A", "B", "C"][: data.draw(st.integers(0, len(left)))]
    right = data.draw(look_alikes(left))
    assert (make_key(QUERY, left, names) == make_key(QUERY, right, names)) <= Same.params(left, right)


def look_alikes(params: list[Any]) -> st.SearchStrategy[list[Any]]:
    """Calls of which each param is the same, other, or another type with the same text."""
    return st.tuples(*[st.one_of(st.just(value), st.just(disguised(value)), values) for value in params]).map(
        list
    )


def disguised(value: Any) -> Any:
    """A value of another type that shows the same text."""
    shown = make_key(QUERY, [value], ["A"])[2:-41]
    return json.loads(f"[{shown}]") if re.fullmatch("-?[1-9](,-?[1-9])+", shown) else shown


@unhurried
@given(st.text(max_size=8), st.text(max_size=8), texts, texts)
def test_cut_between_two_texts_is_never_ambiguous(a: str, b: str, c: str, d: str) -> None:
    """Moving the border between two values makes another key."""
    assume((a + c, d + b) != (a, b))
    assert make_key(QUERY, [a + c, d + b], ["A", "B"]) != make_key(QUERY, [a, b], ["A", "B"])


@unhurried
@given(st.lists(values, min_size=1, max_size=3), st.integers(0, 3))
def test_key_is_always_utf8(params: list[Any], named: int) -> None:
    """What Redis is sent can be sent, and ends in a digest."""
    key = make_key(QUERY, params, ["A", "B", "C"][: min(named, len(params))])
    assert re.fullmatch(rb"(?s).*[0-9a-f]{40}", key.encode())
