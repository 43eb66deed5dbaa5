"""Tags: pairs in a key that are no params, and the digits by which all keys of a query are known."""

from __future__ import annotations

from hashlib import sha1
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mysql_redis_cache.keys import Finder, Matcher, make_key, pair_texts, query_digest, tag_pairs

QUERY = "SELECT * FROM orders WHERE tenant = ? AND status = ?"
DIGEST = sha1(QUERY.encode()).hexdigest()

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 30),
    st.sampled_from(
        ["a", "1", "null", "1,2", "1_B=2", "_A=1", "x_T=1", "é", "\ud800", b"1", 2.0**60, [1, 2], ["a"]]
    ),
)
names = st.sampled_from(["A", "B", "T", "_A"])


def test_tags_stand_behind_the_params() -> None:
    """Visible, in the order given, a name as often as given; the digest begins with the query's digits."""
    key = make_key(
        QUERY, [3, "new"], ["Tenant", "Status"], "shop:", (("Table", "orders"), ("Table", "users"))
    )

    assert key[:-40] == "shop:Tenant=3_Status=new_Table=orders_Table=users_"
    assert key[-40:-24] == DIGEST[:16] == query_digest(QUERY)
    assert key[-40:] != DIGEST


def test_documented_digest_of_tags() -> None:
    """Another release must find what this one wrote."""
    names = '{"names":["A"]}{"names":["T"]}'
    plain = sha1(f"{QUERY}\0{names}\0".encode()).hexdigest()
    folded = sha1(f'{QUERY}\0{names}\0["null"]["1"]'.encode()).hexdigest()

    assert make_key(QUERY, [1], ["A"], "", (("T", 1),)) == f"A=1_T=1_{DIGEST[:16]}{plain[16:]}"
    assert make_key(QUERY, ["null"], ["A"], "", (("T", 1),)) == f"A=null_T=1_{DIGEST[:16]}{folded[16:]}"


def test_a_tag_is_no_param() -> None:
    """One text with the pair as a param, and with it as a tag, are two calls."""
    assert make_key("f", [1], ["A"]) != make_key("f", [], [], "", (("A", 1),))
    assert make_key("f", [1, 2], ["A", "B"], "", (("C", 3),)) != make_key(
        "f", [1], ["A"], "", (("B", 2), ("C", 3))
    )


calls = st.tuples(
    st.lists(st.tuples(names, values), max_size=2, unique_by=lambda pair: pair[0]),
    st.lists(values, max_size=1),
    st.lists(st.tuples(names, values), max_size=2).map(tuple),
)


def made(call: tuple[Any, Any, Any]) -> str:
    """The key of a call."""
    named, unnamed, tags = call
    params = [*(value for _, value in named), *unnamed]
    return make_key("f", params, [name for name, _ in named], "", tags)


def told_apart(call: tuple[Any, Any, Any]) -> Any:
    """What makes a call: a number is the string of its digits, a float its text."""
    named, unnamed, tags = call
    return [
        [(name, spelt(value)) for name, value in named],
        [spelt(value) for value in unnamed],
        [(name, spelt(value)) for name, value in tags],
    ]


def spelt(value: Any) -> Any:
    """A value as keys see it."""
    is_digits = isinstance(value, (int, str)) and not isinstance(value, bool)
    return str(value) if is_digits else (type(value).__name__, repr(value))


@settings(max_examples=1500)
@given(calls, calls)
def test_calls_share_a_key_only_if_params_and_tags_are_equal(one: Any, other: Any) -> None:
    """Whatever the texts hold."""
    assert (made(one) == made(other)) == (told_apart(one) == told_apart(other))


@settings(max_examples=500)
@given(calls)
def test_a_drop_finds_every_tag(call: Any) -> None:
    """By its own pair, and by it together with any other of the call."""
    named, _, tags = call
    key = made(call).encode("utf-8", "surrogatepass")
    pairs = [*named, *tags]
    for pair in pairs:
        assert Finder([[Matcher([pair[0]], [pair[1]])]]).entry(key) == 0
    if together := dict(pairs):
        assert Finder([[Matcher(list(together), list(together.values()))]]).entry(key) == 0


def test_the_index_has_every_tag() -> None:
    """Each pair once, a list of numbers element by element too."""
    texts = pair_texts([1, "x"], ["A"], (("T", [1, 2]), ("T", 1), ("A", 1)))

    assert texts == ("A=1", "T=1,2", "T=1", "T=2")


@pytest.mark.parametrize("tags", [{"T": 1, "U": [2]}, [("T", 1), ("U", [2])], (["T", 1], ["U", [2]])])
def test_tags_are_a_mapping_or_pairs(tags: Any) -> None:
    """Of which a name may come twice."""
    assert tag_pairs(tags) == (("T", 1), ("U", [2]))
    assert tag_pairs(None) == tag_pairs({}) == tag_pairs([]) == ()


@pytest.mark.parametrize(
    ("tags", "error", "says"),
    [
        ("T=1", TypeError, "tags must be a mapping or a list of pairs, got str"),
        (["T"], TypeError, "tag 1 must be a pair"),
        ([("T", 1), ("U", 1, 2)], TypeError, "tag 2 must be a pair"),
        ({"": 1}, ValueError, "the name of tag 1 is empty"),
        ({"T": 1, "a=b": 1}, ValueError, "the name of tag 2 .* contains '='"),
        ({1: 1}, TypeError, "the name of tag 1 must be a str, got int"),
        ({"T": []}, ValueError, "tag 'T' is an empty list"),
        ({"T": {1}}, TypeError, "tag 'T' .*set"),
    ],
)
def test_bad_tags_are_refused(tags: Any, error: type[Exception], says: str) -> None:
    """Said by place or name, never by value."""
    with pytest.raises(error, match=says):
        make_key(QUERY, (), (), "", tag_pairs(tags))
