"""What drops are for, as JSON and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mysql_redis_cache.keys import AnyValue, Exact, Finder, Matcher, Whole, as_json, from_json, make_key

PREFIX = "shop:"
KEY = make_key("q", [1, "a"], ["A", "B"], PREFIX)


@pytest.mark.parametrize(
    "wanted",
    [
        Matcher(["A", "B"], [1, "a"], True, PREFIX),
        Matcher(["A", "A"], [[1, 2], 7], False, PREFIX),
        AnyValue(["B"], PREFIX),
        Whole(PREFIX),
        Whole(PREFIX, KEY[-40:-24]),
    ],
)
def test_a_queue_carries_what_is_to_be_dropped(wanted: Any) -> None:
    """It finds the same entries."""
    again: Any = from_json(json.loads(json.dumps(as_json(wanted))), PREFIX)

    assert type(again) is type(wanted)
    names = [KEY.encode(), make_key("q", [2], ["A"], PREFIX).encode(), b"shop:C=1_" + b"a" * 40]
    assert Finder([[again]]).entries(names) == Finder([[wanted]]).entries(names)


def test_one_entry() -> None:
    """By its key, within the namespace."""
    assert from_json(json.loads(json.dumps(as_json(Exact(KEY)))), PREFIX) == Exact(KEY)
    with pytest.raises(ValueError, match="no drop is written like this"):
        from_json({"key": "blog:x"}, PREFIX)


@pytest.mark.parametrize(
    "asked", [{}, {"all": False}, {"all": True, "key": "shop:x"}, {"query": "abc"}, {"key": 7}, {"names": []}]
)
def test_anything_else_is_refused(asked: dict[str, Any]) -> None:
    """Before anything is dropped."""
    with pytest.raises(ValueError, match="no drop is written like this"):
        from_json(asked, PREFIX)
