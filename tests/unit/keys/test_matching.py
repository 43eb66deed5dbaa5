"""A drop finds every key that carries its pairs, and nobody else's."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from mysql_redis_cache.keys import Whole, query_digest
from mysql_redis_cache.keys.finding import Finder
from mysql_redis_cache.keys.matching import LEASE, scan_pattern
from mysql_redis_cache.keys.naming import Matcher, lease_name, make_key, pair_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

unhurried = settings(deadline=None)  # the machine may be busy

OBSERVED = json.loads((Path(__file__).parents[2] / "data/invalidation.json").read_text())
KEYS = [key.encode() for key in OBSERVED["keys"]]
FOREIGN = [name.encode() for _, name in OBSERVED["foreign_keys"]]
CALLS = {call["id"]: call for call in OBSERVED["calls"]}

DIGEST = "62bd946f00d3fecce0ff65800faae755215e31c6"
OTHER_DIGEST = "1619cc5c4f9abd807c0f055b1db9302d1fce7276"


def carries(matcher: Matcher, name: bytes) -> bool:
    """Whether a drop deletes the entry *name*."""
    return Finder([[matcher]]).entry(name) is not None


def revokes(matcher: Matcher, name: bytes) -> bool:
    """Whether a drop revokes the lease *name*."""
    return Finder([[matcher]]).lease(name) is not None


def found(matcher: Matcher, names: Sequence[bytes]) -> set[str]:
    """The names that count as entries, without the usual digest."""
    return {name.decode().removesuffix(f"_{DIGEST}") for name in names if carries(matcher, name)}


# ---- the peers' observed drops ----

USER_1 = {
    "UserId=1",
    "UserId=1_StoreId=6",
    "UserId=1_StoreId=60",
    "StoreId=6_UserId=1",
    "StoreId=undefined_UserId=1",
    "UserId=1,2",
    "Name=x_UserId=1",  # reads as two pairs, and may be two
    f"UserId=1_{OTHER_DIGEST}",
}
STORE_6 = {
    "StoreId=6",
    "StoreId=6_UserId=1",
    "UserId=10_StoreId=6",
    "UserId=1_StoreId=6",
    "UserId=2_StoreId=6",
    "MyUserId=1_StoreId=6",
}
EXPECTED: dict[str, set[str]] = {
    "single_int": USER_1,
    "single_str": USER_1,
    "single_12": {"UserId=12", "StoreId=66_UserId=12"},
    "prefix_name": set(),
    "suffix_name": set(),
    "case": {"userid=1"},
    "single_all": USER_1,
    "two_or": USER_1 | STORE_6,
    "two_and": USER_1 & STORE_6,
    "two_and_rev": USER_1 & STORE_6,
    "val_underscore": {"Name=a_b"},
    "val_a": {"Name=a"},
    "val_astarb": {"Name=a*b"},
    "val_q": {"Name=a?b"},
    "val_bracket": {"Name=[ab]"},
    "val_emoji": {"Name=😀"},
    "val_empty": {"UserId="},
    "val_float_1_0": USER_1,
    "val_array": {"UserId=1,2"},
    "same_name_or": USER_1 | {"UserId=12", "StoreId=66_UserId=12"},
    "same_name_and": set(),
    "trailing_underscore": set(),
    "with_hash": set(),
}


def values_of(call: dict[str, Any]) -> list[Any]:
    return [1.0 if value == "$float1.0" else value for value in call["key_values"]]


@pytest.mark.parametrize("name", EXPECTED)
def test_observed_drop_finds_whole_pairs_only(name: str) -> None:
    """Of the peers' keys those that carry the pairs, and of other people's none."""
    call = CALLS[name]
    matcher = Matcher(call["key_names"], values_of(call), call["require_all_match"])

    assert found(matcher, KEYS) == EXPECTED[name]
    assert found(matcher, FOREIGN) == set()
    assert [key for key in KEYS + FOREIGN if revokes(matcher, key)] == []


@pytest.mark.parametrize("name", sorted(set(CALLS) - set(EXPECTED)))
def test_observed_drop_of_nothing_is_refused(name: str) -> None:
    """No pairs at all, or an empty name, would mean the whole database."""
    with pytest.raises(ValueError, match=r"(no names and values|is empty)"):
        Matcher(CALLS[name]["key_names"], values_of(CALLS[name]))


@pytest.mark.parametrize("name", EXPECTED)
def test_lease_is_found_with_its_entry(name: str) -> None:
    """A drop revokes the leases of exactly the keys that it deletes."""
    call = CALLS[name]
    matcher = Matcher(call["key_names"], values_of(call), call["require_all_match"])

    revoked = {key for key in KEYS if revokes(matcher, lease_name(key))}
    assert revoked == {key for key in KEYS if carries(matcher, key)}
    assert [key for key in KEYS if carries(matcher, lease_name(key))] == []


# ---- one pair, one name ----

TEXTS: dict[str, tuple[object, str, bool]] = {
    "alone": (1, f"Id=1_{DIGEST}", True),
    "first": (1, f"Id=1_B=2_{DIGEST}", True),
    "last": (1, f"A=2_Id=1_{DIGEST}", True),
    "middle": (1, f"A=2_Id=1_B=2_{DIGEST}", True),
    "of_a_longer_name": (1, f"Shop_Id=1_{DIGEST}", False),
    "of_a_longer_name_behind_a_pair": (1, f"A=1_Shop_Id=1_{DIGEST}", True),  # reads as A="1_Shop"
    "start_of_a_text": ("a", f"Id=a_b_{DIGEST}", False),
    "start_of_a_text_that_reads_as_a_pair": ("a", f"Id=a_b=c_{DIGEST}", True),
    "start_of_a_number": (1, f"Id=12_{DIGEST}", False),
    "another_case": (1, f"id=1_{DIGEST}", False),
    "no_digest": (1, "Id=1_B=2", False),
    "short_digest": (1, f"Id=1_{DIGEST[1:]}", False),
    "long_digest": (1, f"Id=1_{DIGEST}0", False),
    "upper_digest": (1, f"Id=1_{DIGEST.upper()}", False),
    "newline_after_digest": (1, f"Id=1_{DIGEST}\n", False),
    "newline_in_a_text": ("a\nb", f"A=x\n\n_Id=a\nb_B=\n_{DIGEST}", True),
    "namespace_of_others": (1, f"shop:Id=1_{DIGEST}", False),
    "none": (None, f"Id=null_{DIGEST}", True),
    "true": (True, f"Id=true_{DIGEST}", True),
    "true_is_no_1": (True, f"Id=1_{DIGEST}", False),
    "number_as_text": ("1", f"Id=1_{DIGEST}", True),
    "number_as_float": (1.0, f"Id=1_{DIGEST}", True),
    "number_as_decimal": (Decimal(1), f"Id=1_{DIGEST}", True),
    "number_as_list": ([1], f"Id=1_{DIGEST}", True),
    "number_with_zeros": ("1.0", f"Id=1_{DIGEST}", False),
    "first_of_a_list": (3, f"Id=3,1,2_{DIGEST}", True),
    "inside_a_list": (1, f"Id=3,1,2_{DIGEST}", True),
    "last_of_a_list": (2, f"Id=3,1,2_{DIGEST}", True),
    "twice_in_a_list": (1, f"Id=1,1,1_{DIGEST}", True),
    "list_before_another_pair": (1, f"Id=3,1_B=2_{DIGEST}", True),
    "list_behind_another_pair": (1, f"A=2_Id=3,1_{DIGEST}", True),
    "beside_a_large_float": (1, f"Id=1e+21,1.5e-7,1_{DIGEST}", True),
    "large_float_in_a_list": (1e21, f"Id=3,1e+21_{DIGEST}", True),
    "special_number_in_a_list": (1, f"Id=NaN,-Infinity,1_{DIGEST}", True),
    "negative_in_a_list": (-1, f"Id=3,-1_{DIGEST}", True),
    "sign_is_no_border": (1, f"Id=3,-1_{DIGEST}", False),
    "point_is_no_border": (1, f"Id=3,1.5_{DIGEST}", False),
    "part_of_an_element": (1, f"Id=31,12_{DIGEST}", False),
    "whole_list": ([3, 1], f"Id=3,1_{DIGEST}", True),
    "whole_list_as_text": ("3,1", f"Id=3,1_{DIGEST}", True),
    "part_of_a_list": ([3, 1], f"Id=3,1,2_{DIGEST}", False),
    "list_in_another_order": ([1, 3], f"Id=3,1_{DIGEST}", False),
    "text_in_a_list_of_texts": ("a", f"Id=a,b_{DIGEST}", False),
    "number_in_a_list_of_texts": (1, f"Id=1,b_{DIGEST}", False),
    "list_of_texts": (["a", "b"], f"Id=a,b_{DIGEST}", True),
    "in_a_text_that_begins_like_a_list": (1, f"Id=3,1x_B=2_{DIGEST}", False),
    "behind_an_empty_name_of_npm": (1, f"=2_Id=1_{DIGEST}", True),
    "before_an_empty_name_of_npm": (1, f"Id=1_=2_{DIGEST}", True),
    "of_another_list": (1, f"Ids=1,2_{DIGEST}", False),
    "lone_surrogate": ("\ud83d", f"Id=\ufffd_{DIGEST}", True),
    "bytes": (b"\xff", f"Id=\ufffd_{DIGEST}", True),
    "bare_digest": (1, DIGEST, False),
}


@pytest.mark.parametrize(("value", "name", "expected"), TEXTS.values(), ids=TEXTS)
def test_pair_counts_where_a_pair_can_stand(value: object, name: str, expected: bool) -> None:
    """A whole pair, at a pair's place, in a name with the shape of a key."""
    matcher = Matcher(["Id"], [value])

    assert carries(matcher, name.encode()) == expected
    assert revokes(matcher, lease_name(name.encode())) == expected


def test_prefix_keeps_to_its_namespace() -> None:
    """With a namespace only its own keys and leases count."""
    matcher = Matcher(["Id"], [1], prefix="shop:")
    names = [f"{prefix}Id=1_{DIGEST}".encode() for prefix in ("shop:", "", "my_shop:", "shop:eu:", "Shop:")]

    assert [carries(matcher, name) for name in names] == [True, False, False, False, False]
    assert [revokes(matcher, lease_name(name)) for name in names] == [True, False, False, False, False]


@pytest.mark.parametrize(
    "name",
    [b"Id=1_\xff", b"\xff\xfe", b"", b":lease", b"{:lease", b"{}:lease", f"{{Id=1_{DIGEST}}}".encode()],
    ids=ascii,
)
def test_foreign_bytes_never_count(name: bytes) -> None:
    """What lies in Redis need not be text, nor ours."""
    matcher = Matcher(["Id"], [1])
    assert (carries(matcher, name), revokes(matcher, name)) == (False, False)


def test_lease_of_the_wrong_form_does_not_count() -> None:
    """Only the one name that a key's lease can have."""
    plain, tagged = f"Id=1_{DIGEST}", f"Id=1_B={{7}}_{DIGEST}"
    names = [f"{plain}:lease", f"{{{tagged}}}:lease", f"{{{plain}}}:leas", f"{{{plain}:lease", f"{{{plain}}}"]
    assert [name for name in names if revokes(Matcher(["Id"], [1]), name.encode())] == []


REFUSED: dict[str, tuple[Any, Any, type[Exception], str]] = {
    "names_str": ("Id", [1, 2], TypeError, "names must be a list or tuple of str, got str"),
    "values_str": (["Id"], "1", TypeError, "values must be a list or tuple, got str"),
    "values_dict": (["Id"], {"Id": 1}, TypeError, "values must be a list or tuple, got dict"),
    "name_number": ([7], [1], TypeError, "name 1 must be a str, got int"),
    "fewer_values": (["A", "B"], [1], ValueError, "2 names but 1 values"),
    "more_values": (["A"], [1, 2], ValueError, "1 names but 2 values"),
    "nothing": ([], [], ValueError, "no names and values"),
    "name_empty": ([""], [1], ValueError, "name 1 is empty"),
    "name_with_equals": (["A=1_B"], [2], ValueError, "contains '='"),
    "empty_list": (["Ids"], [[]], ValueError, "value 1 (Ids) is an empty list"),
    "set": (["A", "B"], [1, {2}], TypeError, "value 2 (B) is of type set"),
    "aware": (["At"], [datetime(2026, 1, 2, tzinfo=UTC)], TypeError, "value 1 (At) is an aware datetime"),
}


@pytest.mark.parametrize(("names", "values", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_pairs_are_refused(names: Any, values: Any, error: type[Exception], message: str) -> None:
    """A slip in a drop must not look like a drop that found nothing."""
    with pytest.raises(error, match=re.escape(message)):
        Matcher(names, values)


# ---- promise: a drop finds the entry ----

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
    "*",
    "[",
    "\\",
    "\n",
    "\ud83d",
    "é",
    "{",
    "}",
    DIGEST,
]
texts = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
numbers = st.integers(-12, 12) | st.floats() | st.decimals(-5, 5, places=1)
scalars = texts | numbers | st.binary(max_size=3) | st.none() | st.booleans() | st.datetimes()
values = scalars | st.lists(numbers, min_size=1, max_size=4) | st.lists(scalars, min_size=1, max_size=3)
namespaces = st.sampled_from(["", "shop:", "-:", "é:", "]*\\:", "^:"])
name_lists = st.lists(
    st.sampled_from(["A", "B", "A_B", "_", "[x]", "é"]), unique=True, min_size=1, max_size=3
)


@st.composite
def calls(draw: st.DrawFn) -> tuple[list[Any], list[str], str]:
    """Params, names and a prefix; at times with a param that has no name."""
    names = draw(name_lists)
    params = [draw(values) for _ in names] + draw(st.lists(values, max_size=1))
    return params, names, draw(namespaces)


@unhurried
@given(calls(), st.data())
def test_every_key_is_found_by_any_of_its_pairs(
    call: tuple[list[Any], list[str], str], data: st.DataObject
) -> None:
    """Whatever the values, folded or not: all of some pairs, any of some pairs, its lease too."""
    params, names, prefix = call
    key = make_key("q", params, names, prefix).encode()
    chosen = data.draw(st.lists(st.sampled_from(range(len(names))), min_size=1))
    pairs = [names[i] for i in chosen], [params[i] for i in chosen]
    strange = [[*pairs[0], "Other"], [*pairs[1], "absent"]]

    for matcher in (Matcher(*pairs, True, prefix), Matcher(*strange, False, prefix)):
        assert carries(matcher, key)
        assert revokes(matcher, lease_name(key))
        assert fits(scan_pattern([matcher]), key)
        assert fits(scan_pattern([matcher]) + LEASE, lease_name(key))


@unhurried
@given(calls())
def test_every_pair_text_is_found(call: tuple[list[Any], list[str], str]) -> None:
    """What index mode registers, the sweep would find: a list under itself and each element."""
    params, names, prefix = call
    key = make_key("q", params, names, prefix).encode()

    for text in pair_texts(params, names):
        name, _, value = text.partition("=")
        matcher = Matcher([name], [value], prefix=prefix)
        assert matcher.texts == [text]
        assert carries(matcher, key)
        assert fits(scan_pattern([matcher]) + LEASE, lease_name(key))


@unhurried
@given(calls(), st.booleans())
def test_a_drop_of_a_query_or_of_all_has_a_pattern_that_fits(
    call: tuple[list[Any], list[str], str], is_all: bool
) -> None:
    """Keys and leases, folded or not, with and without names; a drop of pairs beside it changes nothing."""
    params, names, prefix = call
    whole = Whole(prefix, "" if is_all else query_digest("q"))
    for some in (names, []):
        key = make_key("q", params, some, prefix).encode()
        for drops in ([[whole]], [[whole, Matcher(["Other"], [1], True, prefix)]]):
            finder = Finder(drops)
            assert finder.entries([key, b"other"]) == [(key, 0)]
            assert finder.leases([lease_name(key), b"other:lease"]) == [(lease_name(key), 0)]
            assert fits(finder.pattern, key)
            assert fits(finder.pattern + LEASE, lease_name(key))


@unhurried
@given(st.lists(calls(), min_size=1, max_size=3), namespaces, st.booleans(), st.data())
def test_many_drops_have_a_pattern_that_misses_none_of_them(
    some: list[tuple[list[Any], list[str], str]], prefix: str, require_all: bool, data: st.DataObject
) -> None:
    """One walk serves them all, so each one's keys and leases have to fit."""
    keys, matchers = [], []
    for params, names, _ in some:
        keys.append(make_key("q", params, names, prefix).encode())
        chosen = data.draw(st.lists(st.sampled_from(range(len(names))), min_size=1))
        pairs = [names[i] for i in chosen], [params[i] for i in chosen]
        matchers.append(Matcher(*pairs, require_all, prefix))

    for key in keys:
        assert fits(scan_pattern(matchers), key)
        assert fits(scan_pattern(matchers) + LEASE, lease_name(key))


@unhurried
@given(calls(), st.booleans())
def test_what_was_asked_for_survives_json(call: tuple[list[Any], list[str], str], require_all: bool) -> None:
    """A queue may carry a drop to another process, which then finds the same keys."""
    params, names, prefix = call
    matcher = Matcher(names, params[: len(names)], require_all, prefix)
    again = Matcher(*json.loads(json.dumps(matcher.asked, allow_nan=False)), prefix)

    assert (again.pairs, again.require_all) == (matcher.pairs, require_all)


simple = (
    st.integers(0, 12)
    | st.lists(st.integers(0, 12), min_size=1, max_size=3)
    | st.sampled_from(["a", "ab", ""])
)


@unhurried
@given(st.dictionaries(st.sampled_from(["A", "AB", "B"]), simple, min_size=1), st.sampled_from("AB"), simple)
def test_plain_key_is_found_by_its_pairs_only(pairs: dict[str, Any], name: str, value: Any) -> None:
    """Where no text looks like a pair, the drop and the index agree exactly."""
    key = make_key("q", list(pairs.values()), list(pairs)).encode()
    matcher = Matcher([name], [value])
    assert carries(matcher, key) == (matcher.texts[0] in pair_texts(list(pairs.values()), list(pairs)))


def fits(glob: bytes, name: bytes) -> bool:
    """Redis's glob, as far as it is used here."""
    parts = re.findall(rb"(?s)\*|\[(?:\\.|[^\]])*\]|\\.|.", glob)
    return re.fullmatch(b"(?s)" + b"".join(map(as_regex, parts)), name) is not None


def as_regex(part: bytes) -> bytes:
    if part == b"*":
        return b".*"
    members = part[1:-1] if part[:1] == b"[" else part
    return b"[%b]" % re.escape(re.sub(rb"(?s)\\(.)", rb"\1", members))


@pytest.mark.real
def test_pattern_lets_redis_send_every_match(redis_url: str) -> None:
    """Redis's own glob agrees: SCAN with the pattern brings all matching keys and leases."""
    values = [
        "a*b",
        "a?b",
        "[ab]",
        "\\",
        "^-]",
        "a\nb",
        "é",
        1,
        -1,
        1e21,
        [1, 2],
        [10, 1, 5],
        None,
        b"\xff",
        "x_B=1",
    ]
    prefixes = ["", "shop:", "-:", "^:", "]\\:", "é:"]
    calls = [(value, prefix) for value in values for prefix in prefixes]
    keys = {make_key("q", [value, 7], ["A", "B"], prefix).encode() for value, prefix in calls}
    with redis.Redis.from_url(redis_url) as client:
        client.mset(dict.fromkeys([name for key in keys for name in (key, lease_name(key))], ""))
        for value, prefix in calls:
            for matcher in (
                Matcher(["A"], [value], prefix=prefix),
                Matcher(["A", "C"], [value, 0], False, prefix),
            ):
                sent = set(client.scan_iter(match=scan_pattern([matcher]), count=1000))
                assert sent >= {key for key in keys if carries(matcher, key)} > set()
                sent = set(client.scan_iter(match=scan_pattern([matcher]) + LEASE, count=1000))
                assert sent >= {lease_name(key) for key in keys if carries(matcher, key)} > set()


def test_pattern_of_many_drops_keeps_what_they_share() -> None:
    """A name that all of them need, and the namespace."""
    users = [Matcher(["UserId"], [user], prefix="shop:") for user in range(3)]
    both = Matcher(["StoreId", "UserId"], [6, 7], prefix="shop:")
    store = Matcher(["StoreId"], [6], prefix="shop:")

    assert scan_pattern(users) == scan_pattern([*users, both]) == rb"[{\s]*hop:*UserId=*"
    assert scan_pattern([*users, store]) == rb"[{\s]*hop:*=*"


PATTERNS: dict[str, tuple[list[str], list[Any], bool, str, bytes]] = {
    "text": (["Name"], ["bob"], True, "", b"*Name=bob_*"),
    "number": (["Id"], [12], True, "", b"*Id=*12[,_]*"),
    "escaped": (["N[a]"], ["*?[]\\"], True, "", rb"*N\[a\]=\*\?\[\]\\_*"),
    "all_takes_the_longest": (["A", "B", "C"], [1, 12345, 12], True, "", b"*B=*12345[,_]*"),
    "any_of_one_name": (["Id", "Id"], [1, 2], False, "", b"*Id=*"),
    "any_of_two_names": (["A", "B"], [1, 2], False, "", b"*=*"),
    "any_of_one": (["A"], ["x"], False, "", b"*A=x_*"),
    "prefix": (["Id"], ["x"], True, "shop:", rb"[{\s]*hop:*Id=x_*"),
}


@pytest.mark.parametrize(
    ("names", "values", "require_all", "prefix", "glob"), PATTERNS.values(), ids=PATTERNS
)
def test_pattern_is_selective(
    names: list[str], values: list[Any], require_all: bool, prefix: str, glob: bytes
) -> None:
    """The narrowest glob that misses nothing."""
    assert scan_pattern([Matcher(names, values, require_all, prefix)]) == glob


HOSTILE = {
    "equal_elements": b"Id=" + b"1," * 50_000 + b"x_",
    "list_without_an_end": b"Id=" + b"1," * 50_000 + b"1",
    "list_before_no_pair": b"Id=" + b"1," * 50_000 + b"1_x_",
    "many_pairs": b"Id=1_x" * 20_000 + b"_",
    "underscores": b"A=" + b"_" * 100_000,
    "names": b"_Id" * 30_000 + b"=",
    "almost_digests": b"Id=2" + b"_0123456789abcdef0123456789abcdef0123456" * 2_500,
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_take_time_in_proportion(body: bytes) -> None:
    """A user who sends long texts as params must not be able to stop the drops."""
    matchers = [Matcher(["Id"], [1]), Matcher(["Id"], ["x"])]
    started = time.process_time()
    for matcher in matchers:
        carries(matcher, body + DIGEST.encode())
        carries(matcher, body)

    assert time.process_time() - started < 1.0
