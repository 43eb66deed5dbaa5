"""Which of many drops a name belongs to: what asking each of them would say, but quickly."""

from __future__ import annotations

import time
from hashlib import sha1
from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_redis_cache.keys import AnyValue, Matcher, Whole, lease_name, make_key
from mysql_redis_cache.keys.finding import Finder
from tests.support.readings import owner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mysql_redis_cache.keys import Sought

DIGEST = "62bd946f00d3fecce0ff65800faae755215e31c6"
NAMES = ["A", "B", "AB", "A_B", "_", "é"]
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
    1e21,
]
PIECES = [
    "_",
    "=",
    ",",
    "A",
    "B",
    "A=",
    "_A=",
    "_A_B=",
    "1",
    "12",
    "-1",
    "1,2",
    "a_b",
    "s:",
    "{",
    "}",
    "\n",
    f"_{DIGEST}",
]

prefixes = st.sampled_from(["", "s:", "é:"])
pairs = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)),
    min_size=1,
    max_size=3,
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[list[Sought]], list[bytes]]:
    """Drops of one namespace, and names of entries and of anything else."""
    prefix = draw(prefixes)
    matchers = st.builds(
        lambda some, all_: Matcher([n for n, _ in some], [v for _, v in some], all_, prefix),
        pairs,
        st.booleans(),
    )
    wholes = st.builds(
        Whole, st.just(prefix), st.sampled_from([DIGEST[:16], sha1(b"q").hexdigest()[:16], ""])
    )
    matchers = draw(st.sampled_from([matchers, matchers, wholes, matchers | wholes]))
    drops = draw(st.lists(st.lists(matchers, min_size=1, max_size=3), min_size=1, max_size=4))
    entries = st.builds(
        lambda some, start: make_key("q", list(some.values()), list(some), start).encode(),
        st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES), max_size=3),
        st.sampled_from([prefix, prefix, ""]),
    )
    almost = st.builds(
        lambda some, end: "".join([prefix, *some, end]).encode(),
        st.lists(st.sampled_from(PIECES), max_size=8),
        st.sampled_from([f"_{DIGEST}", f"_{DIGEST}", DIGEST, ""]),
    )
    foreign = st.binary(max_size=60) | st.builds(lambda start, name: start + name, st.binary(), entries)
    return drops, draw(st.lists(entries | almost | foreign, min_size=1, max_size=8))


@given(cases())
def test_it_finds_what_asking_each_drop_would(case: tuple[list[list[Sought]], list[bytes]]) -> None:
    """Entries and leases alike, whichever drop comes first, whatever else lies in Redis."""
    drops, names = case
    finder, owners = Finder(drops), {name: owner(name, case[0]) for name in names}

    assert {name: finder.entry(name) for name in names} == owners
    assert {name: finder.lease(lease_name(name)) for name in names} == owners
    assert [finder.lease(name) for name in names] == [
        owner(key, drops) if lease_name(key := unwrapped(name)) == name else None for name in names
    ]
    assert finder.entries(names) == [(name, owners[name]) for name in names if owners[name] is not None]


def unwrapped(lease: bytes) -> bytes:
    """The key whose lease a name would be."""
    tagged = lease.removesuffix(b":lease")
    return tagged[1:-1] if tagged.startswith(b"{") and tagged.endswith(b"}") else tagged


def key_of(**pairs: object) -> bytes:
    return make_key("SELECT 1", list(pairs.values()), list(pairs)).encode()


@pytest.mark.parametrize(
    ("key", "place"),
    [
        (key_of(UserId=7), 7),
        (key_of(UserId=[300, 7, 301]), 7),
        (key_of(Shop="a_b", UserId=99), 99),
        (key_of(UserId=700), None),
        (key_of(XUserId=7), None),
    ],
    ids=["alone", "in a list", "behind another", "longer", "another name"],
)
def test_one_of_a_hundred_drops_is_found(key: bytes, place: int | None) -> None:
    """By what the name says."""
    finder = Finder([[Matcher(["UserId"], [user])] for user in range(100)])

    assert finder.entry(key) == place
    assert finder.lease(lease_name(key)) == place


COMBINATIONS = list(product(range(60), range(60)))
MANY = {
    "values": ([Matcher(["UserId"] * 3600, list(range(3600)), False)], key_of(UserId=5000, StoreId=6)),
    "drops": ([Matcher(["UserId"], [user]) for user in range(3600)], key_of(UserId=5000, StoreId=6)),
    "names": ([Matcher([f"Name{n}"], [1]) for n in range(3600)], key_of(Name5000=1, StoreId=6)),
    "underscores": ([Matcher(["Name"], [f"a_{n}"]) for n in range(3600)], key_of(Name="a_b", StoreId=6)),
    "combinations": (
        [Matcher(["UserId", "StoreId"], pair) for pair in COMBINATIONS],
        key_of(UserId=7, StoreId=99),
    ),
    "combinations of which one pair is common": (
        [Matcher(["Tenant", "UserId"], ["a long name of a tenant", n]) for n in range(3600)],
        key_of(Tenant="a long name of a tenant", UserId=5000),
    ),
    "combinations in lists": (
        [Matcher(["UserId", "StoreId"], pair) for pair in COMBINATIONS],
        key_of(UserId=[7, 8, 9], StoreId=[99, 98, 97]),
    ),
}


@pytest.mark.parametrize(("matchers", "key"), MANY.values(), ids=MANY)
def test_thousands_cost_little_more_than_one(matchers: Sequence[Matcher], key: bytes) -> None:
    """Otherwise one drop of many pairs would only move the cost from Redis into this process."""

    def seconds(some: Sequence[Matcher]) -> float:
        finder = Finder([some])
        began = time.perf_counter()
        for _ in range(300):
            assert finder.entries([key]) == []
        return time.perf_counter() - began

    one, many = (min(seconds(some) for _ in range(5)) for some in (matchers[:1], matchers))
    assert many < 50 * max(one, 0.0005)  # asking each would be thousands of times


def test_a_long_list_is_looked_at_once() -> None:
    """A key with 20,000 numbers, and a drop of as many others."""
    finder = Finder([[Matcher(["UserId"] * 20_000, list(range(20_000)), False)]])
    missing, holding = key_of(UserId=list(range(50_000, 70_000))), key_of(UserId=[*range(50_000, 70_000), 7])
    began = time.process_time()

    assert finder.entries([missing, holding]) == [(holding, 0)]
    assert time.process_time() - began < 1


@pytest.mark.parametrize("prefix", ["", "shop:"])
def test_any_value_of_a_name_is_enough(prefix: str) -> None:
    """A drop of a name takes every entry that carries it, wherever and with whatever value, and no other."""
    finder = Finder([[AnyValue(["Id"], prefix)], [Matcher(["Shop"], [7], prefix=prefix)]])

    def key(names: list[str], values: list[object]) -> bytes:
        return make_key("SELECT 1", values, names, prefix).encode()

    wanted = [key(["Id"], [1]), key(["Shop", "Id"], [1, "a_b=c"]), key(["Id"], [[1, 2]]), key(["Id"], [""])]
    others = [key(["ShopId"], [1]), key(["Shop_Id"], [1]), key([], [1]), b"Id=1", b"session:Id=1_x"]

    assert [name for name, _ in finder.entries([*wanted, *others])] == wanted
    assert [name for name, _ in finder.leases([b"{%b}:lease" % name for name in [*wanted, *others]])] == [
        b"{%b}:lease" % name for name in wanted
    ]
    assert finder.entry(key(["Shop"], [7])) == 1
    assert finder.entry(key(["Shop"], [8])) is None
