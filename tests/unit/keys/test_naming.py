"""A key is npm's wherever that is unambiguous, and never two different calls' elsewhere."""

from __future__ import annotations

import json
import math
import re
import struct
from collections import OrderedDict, namedtuple
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, IntFlag, StrEnum
from hashlib import sha1
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.crc import key_slot

from mysql_redis_cache.keys.jstext import NUMBER, number_text
from mysql_redis_cache.keys.namespace import check_namespace
from mysql_redis_cache.keys.naming import (
    lease_name,
    make_key,
    pair_texts,
    slot_safe_lease_name,
)

ROOT = Path(__file__).parents[3]
VECTORS = json.loads((ROOT / "tests/data/keys.json").read_text())
PAGE = (ROOT / "docs/explanation/keys.md").read_text()
DIFFERENCES = PAGE.partition("## Where keys differ from npm's")[2]

unhurried = settings(deadline=None)  # the machine may be busy

QUERY = "SELECT * FROM users WHERE id = ? AND store = ?"
DIGEST = sha1(QUERY.encode()).hexdigest()


def unfolded(*pairs: str) -> str:
    """The key that npm makes of these pairs."""
    return "".join(f"{pair}_" for pair in pairs) + DIGEST


def visible(key: str) -> str:
    """A key without its digest."""
    return key[:-40]


# ---- npm's vectors ----

NOT_EQUAL = set(re.findall(r"`([^`]+)`", "".join(re.findall(r"^\| (`[^|]*)\|", DIFFERENCES, re.MULTILINE))))
NPM_VECTORS = {record["id"]: record for record in VECTORS["records"] if record["js_call"] is not None}
PYTHON_NAMES = {
    "datetime": __import__("datetime"),
    "UUID": UUID,
    "Decimal": Decimal,
    "nan": math.nan,
    "inf": math.inf,
}


def call_of(record: dict[str, Any]) -> tuple[Any, ...]:
    """The arguments of make_key that a vector stands for; LookupError if Python has no such call."""
    if record["python_call"] is None:
        raise LookupError
    if record["id"].startswith("q_"):
        pair = re.match(r"(\w+)=1_", record["npm_key"] or "")
        return eval(record["python_call"], PYTHON_NAMES), [1] if pair else None, [pair[1]] if pair else []
    call = record["python_call"]
    if call[0] == "[" and eval(f"len(({call},))", PYTHON_NAMES) == 1 and record["id"] not in UNNAMED:
        call += ", ['p']"
    return (record["query"], *eval(f"({call},)", PYTHON_NAMES))


UNNAMED = {"names_omitted"}


def key_of(record: dict[str, Any]) -> str | None:
    """Our key for a vector, ``None`` if we refuse the call as npm's None means that it does."""
    try:
        return make_key(*call_of(record))
    except (TypeError, ValueError):
        return None
    except LookupError:
        return "(no such call in Python)"


@pytest.mark.parametrize("record", NPM_VECTORS.values(), ids=NPM_VECTORS)
def test_key_equals_npms_or_is_listed(record: dict[str, Any]) -> None:
    """Every key of npm is made byte for byte, or docs/explanation/keys.md says why not."""
    assert (key_of(record) == record["npm_key"]) == (record["id"] not in NOT_EQUAL)


def test_list_of_differences_has_no_strangers() -> None:
    """The table names vectors only."""
    assert NOT_EQUAL <= set(NPM_VECTORS)


def test_visible_part_equals_npms_for_folded_params() -> None:
    """A folded key shows what npm shows, so that either side's drop finds it."""
    folded = [
        "str_true",
        "str_null",
        "str_1c2",
        "buffer_ascii",
        "buffer_bin2",
        "arr_empty_nested",
        "arr_bool",
    ]
    folded += [
        "arr_str",
        "arr_null",
        "arr_obj",
        "obj_empty",
        "float_1e16",
        "collide_2",
        "unnamed_a",
        "no_names",
    ]
    shown = {name: visible(make_key(*call_of(NPM_VECTORS[name]))) for name in folded}
    assert shown == {name: visible(NPM_VECTORS[name]["npm_key"]) for name in folded}


def test_floats_are_written_as_javascript_does() -> None:
    """Number::toString, on every recorded double."""
    written = [
        number_text(struct.unpack(">d", bytes.fromhex(vector["be_hex"]))[0])
        for vector in VECTORS["js_number_to_string"]
    ]
    assert written == [vector["js"] for vector in VECTORS["js_number_to_string"]]


@unhurried
@given(st.floats())
def test_float_text_reads_back(value: float) -> None:
    """No digit that matters is lost, and the text is one that NUMBER knows."""
    written = number_text(value)

    assert re.fullmatch(NUMBER, written)
    assert float(written) == value or math.isnan(value)


# ---- texts ----


class Colour(Enum):
    RED = "red"
    NOTHING = None


class Size(IntEnum):
    SMALL = 1


class Right(IntFlag):
    READ = 4


class Mode(StrEnum):
    FAST = "fast"


class OldMode(str, Enum):  # noqa: UP042 - what people wrote before StrEnum; its str() is "OldMode.SLOW"
    SLOW = "slow"


class OddInt(int):
    def __repr__(self) -> str:
        return "OddInt"

    __str__ = __repr__


class OddFloat(float):
    def __repr__(self) -> str:
        return f"np.float64({float(self)!r})"

    __str__ = __repr__


class OddDecimal(Decimal):
    def __format__(self, *_: object) -> str:
        return "odd"


class OddStr(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "odd"


class OddDatetime(datetime):
    def isoformat(self, *_: object) -> str:
        return "odd"


Point = namedtuple("Point", "x y")  # noqa: PYI024 - a tuple subclass is all that is asked of it

TEXTS = {
    "int": (5, "5"),
    "int_keeps_all_digits": (2**63 - 1, "9223372036854775807"),
    "huge_int": (10**21, "1000000000000000000000"),
    "true_is_no_1": (True, "true"),
    "false": (False, "false"),
    "none": (None, "null"),
    "integral_float": (1.0, "1"),
    "negative_zero": (-0.0, "0"),
    "fraction": (0.1, "0.1"),
    "small_float": (1e-7, "1e-7"),
    "nan": (math.nan, "NaN"),
    "infinity": (-math.inf, "-Infinity"),
    "text": ("a_b", "a_b"),
    "empty_text": ("", ""),
    "text_with_equals": ("a=b", "a=b"),
    "text_with_percent": ("50%s", "50%s"),
    "text_not_ascii": ("é日本😀", "é日本😀"),
    "text_with_comma": ("1, 2", "1, 2"),
    "leading_zero_is_no_number": ("01,2", "01,2"),
    "word_inside": ("nullable", "nullable"),
    "name_at_the_start": ("A=1", "A=1"),
    "decimal_keeps_its_zeros": (Decimal("1.50"), "1.50"),
    "decimal_without_exponent": (Decimal("1E+2"), "100"),
    "small_decimal": (Decimal("1E-7"), "0.0000001"),
    "date": (date(2026, 1, 2), "2026-01-02"),
    "datetime": (datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"),
    "datetime_with_fraction": (datetime(2026, 1, 2, 3, 4, 5, 678000), "2026-01-02T03:04:05.678000"),
    "time": (time(3, 4, 5), "03:04:05"),
    "uuid": (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    "list_of_ints": ([1, 2], "1,2"),
    "tuple": ((1, 2), "1,2"),
    "namedtuple": (Point(1, 2.5), "1,2.5"),
    "list_of_numbers": ([1.0, Decimal("2.50"), 1e-7, 10**21], "1,2.50,1e-7,1000000000000000000000"),
    "list_of_one": ([1], "1"),
    "enum": (Colour.RED, "red"),
    "enum_of_none": (Colour.NOTHING, "null"),
    "int_enum": (Size.SMALL, "1"),
    "int_flag": (Right.READ, "4"),
    "str_enum": (Mode.FAST, "fast"),
    "enum_with_str": (OldMode.SLOW, "slow"),
    "int_subclass": (OddInt(7), "7"),
    "float_subclass": (OddFloat(1.5), "1.5"),
    "decimal_subclass": (OddDecimal("1.50"), "1.50"),
    "list_of_subclasses": ([OddInt(1), OddFloat(1.5), OddDecimal("1.50")], "1,1.5,1.50"),
    "str_subclass": (OddStr("plain"), "plain"),
    "datetime_subclass": (OddDatetime(2026, 1, 2), "2026-01-02T00:00:00"),
    "list_of_enums": ([Size.SMALL, OddInt(2)], "1,2"),
}


@pytest.mark.parametrize(("value", "text"), TEXTS.values(), ids=TEXTS)
def test_unambiguous_value_is_shown_as_javascript_text(value: object, text: str) -> None:
    """The text is String(v), and the digest the query's alone."""
    assert make_key(QUERY, [value, 2], ["A", "B"]) == unfolded(f"A={text}", "B=2")


FOLDED = {
    "word_null": ("null", "null"),
    "word_true": ("true", "true"),
    "word_false": ("false", "false"),
    "word_undefined": ("undefined", "undefined"),
    "word_nan": ("NaN", "NaN"),
    "word_infinity": ("Infinity", "Infinity"),
    "word_minus_infinity": ("-Infinity", "-Infinity"),
    "word_of_a_subclass": (OddStr("null"), "null"),
    "number_list_text": ("1,2", "1,2"),
    "number_list_text_of_floats": ("1.5,-2", "1.5,-2"),
    "number_list_text_with_exponent": ("1e+21,3", "1e+21,3"),
    "number_list_text_of_specials": ("NaN,-Infinity", "NaN,-Infinity"),
    "text_with_another_pair": ("x_B=2", "x_B=2"),
    "text_with_its_own_pair": ("x_A=2", "x_A=2"),
    "lone_surrogate": ("a\ud83d", "a\ufffd"),
    "two_halves": ("\ud83d\ude00", "\ufffd\ufffd"),
    "bytes": (b"abc", "abc"),
    "bytes_not_utf8": (b"\xff\x00\xfe", "\ufffd\0\ufffd"),
    "bytearray": (bytearray(b"abc"), "abc"),
    "memoryview": (memoryview(b"abc"), "abc"),
    "float_from_2_to_53": (2.0**53, "9007199254740992"),
    "large_float": (1e21, "1e+21"),
    "large_negative_float": (-1e16, "-10000000000000000"),
    "list_with_large_float": ([1e16, 1], "10000000000000000,1"),
    "list_of_texts": (["a", "b"], "a,b"),
    "list_of_digits": (["1", "2"], "1,2"),
    "list_with_none": ([1, None, 2], "1,,2"),
    "list_with_bool": ([True, 2], "true,2"),
    "list_of_one_text": (["a"], "a"),
    "nested_list": ([[1, 2], [3]], "1,2,3"),
    "list_in_a_list": ([[1]], "1"),
    "dict": ({"a": 1}, "[object Object]"),
    "empty_dict": ({}, "[object Object]"),
    "ordered_dict": (OrderedDict(a=[]), "[object Object]"),
}


@pytest.mark.parametrize(("value", "text"), FOLDED.values(), ids=FOLDED)
def test_ambiguous_value_is_folded(value: object, text: str) -> None:
    """The visible part stays as it is, and the digest takes the params in."""
    key = make_key(QUERY, [value, 2], ["A", "B"])

    assert visible(key) == f"A={text}_B=2_"
    assert re.fullmatch("[0-9a-f]{40}", key[-40:])
    assert not key.endswith(DIGEST)


def test_params_without_a_name_are_folded() -> None:
    """What the visible part does not show goes into the digest."""
    keys = [make_key(QUERY, params, names) for params, names in [([1, 2], []), ([1, 3], []), ([1, 2], ["A"])]]

    assert [visible(key) for key in keys] == ["", "", "A=1_"]
    assert len({*keys, DIGEST}) == 4


def test_documented_digest_of_folded_params() -> None:
    """16 digits of the query's SHA-1, then those of sha1(query + NUL + canonical JSON) from the 17th on.

    Another release must find what this one wrote.
    """
    params = [
        1,
        "1",
        1.5,
        None,
        True,
        b"\x01",
        [1, "a", 2.5, None],
        {"b": 1, "a": [1e16]},
        1e16,
        math.nan,
        [7],
    ]
    canonical = (
        '["1","1","1.5",null,true,{"bytes":"01"},[{"number":"1"},"a",{"number":"2.5"},null],'
        '{"dict":{"a":[{"float":"10000000000000000"}],"b":{"number":"1"}}},{"float":"10000000000000000"},'
        '{"number":"NaN"},"7"]'
    )
    assert make_key(QUERY, params) == DIGEST[:16] + sha1(f"{QUERY}\0{canonical}".encode()).hexdigest()[16:]


def test_no_params_make_the_bare_digest() -> None:
    """Nothing to show, nothing to fold."""
    assert {make_key(QUERY), make_key(QUERY, None), make_key(QUERY, []), make_key(QUERY, (), ())} == {DIGEST}


def test_prefix_stands_in_front() -> None:
    """A namespace sets databases apart, folded or not."""
    assert make_key(QUERY, [1], ["A"], "shop:") == "shop:" + make_key(QUERY, [1], ["A"])
    assert make_key(QUERY, [b""], ["A"], "50%:") == "50%:" + make_key(QUERY, [b""], ["A"])
    assert make_key(QUERY, prefix="shop:") == "shop:" + DIGEST


def test_names_may_hold_anything_but_equals() -> None:
    """A name is shown as it is."""
    names = ["a b", "%s", "x_y", "é", "{t}", "\0"]
    assert make_key(QUERY, [1] * 6, names) == unfolded("a b=1", "%s=1", "x_y=1", "é=1", "{t}=1", "\0=1")


def test_name_of_a_subclass_is_its_text() -> None:
    """A StrEnum member, or a member of an Enum that mixes str in, names a param like the str that it is."""
    names = [Mode.FAST, OldMode.SLOW, OddStr("odd name")]
    assert make_key(QUERY, [1, 2, 3], names) == unfolded("fast=1", "slow=2", "odd name=3")
    assert pair_texts([1, 2, 3], names) == ("fast=1", "slow=2", "odd name=3")


def test_long_query_is_hashed_like_a_short_one() -> None:
    """Whether a query is remembered does not show in its key."""
    query = "SELECT 1 -- " + "x" * 100_000
    digest = sha1(query.encode()).hexdigest()
    assert [make_key(query), make_key(query, [1], ["A"])] == [digest, f"A=1_{digest}"]


def nested(depth: int, innermost: object = 1) -> object:
    """A list in a list, and so on."""
    value = innermost
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("names", [["A"], []])
@pytest.mark.parametrize("depth", range(50, 1000, 50))
def test_any_depth_is_a_key_or_a_value_error(depth: int, names: list[str]) -> None:
    """Wherever Python's patience ends on the way."""
    try:
        make_key(QUERY, [nested(depth)], names)
    except ValueError as error:
        assert "nested too deeply" in str(error)  # noqa: PT017 - it may also be a key


@pytest.mark.parametrize("names", [["A"], []])
@pytest.mark.parametrize(
    "param", [10**5000, -(10**5000), [10**5000], [[10**5000]], {"a": 10**5000}], ids=type
)
def test_an_int_longer_than_python_prints_is_refused(param: object, names: list[str]) -> None:
    """With a message of ours."""
    with pytest.raises(ValueError, match="an int of more digits than Python writes out"):
        make_key(QUERY, [param, *names], names)


@pytest.mark.parametrize("params", [None, [], ()])
def test_no_names_may_be_none_where_there_are_no_params(params: Any) -> None:
    """As the peers take it."""
    assert make_key(QUERY, params, None) == make_key(QUERY)
    assert pair_texts(params, None) == ()


# ---- refusals ----

REFUSED = {
    "query_empty": (("",), ValueError, "query is empty"),
    "query_none": ((None,), TypeError, "query must be a str, got NoneType"),
    "query_bytes": ((b"SELECT 1",), TypeError, "query must be a str, got bytes"),
    "query_unhashable": (([],), TypeError, "query must be a str, got list"),
    "query_surrogate": (("SELECT \ud83d",), ValueError, "lone surrogate"),
    "params_str": ((QUERY, "xy", ["A", "B"]), TypeError, "params must be a list or tuple, got str"),
    "params_dict": ((QUERY, {"A": 1}, ["A"]), TypeError, "params must be a list or tuple, got dict"),
    "params_set": ((QUERY, {1}, ["A"]), TypeError, "params must be a list or tuple, got set"),
    "params_generator": (
        (QUERY, iter([1]), ["A"]),
        TypeError,
        "params must be a list or tuple, got list_iter",
    ),
    "params_bytes": ((QUERY, b"\1\2", ["A", "B"]), TypeError, "params must be a list or tuple, got bytes"),
    "names_str": ((QUERY, [1], "A"), TypeError, "names must be a list or tuple of str, got str"),
    "names_dict": ((QUERY, [1], {"A": 1}), TypeError, "names must be a list or tuple of str, got dict"),
    "names_none": ((QUERY, [1], None), TypeError, "names must be a list or tuple of str, got NoneType"),
    "name_number": ((QUERY, [1], [7]), TypeError, "name 1 must be a str, got int"),
    "name_unhashable": ((QUERY, [1, 2], ["A", []]), TypeError, "name 2 must be a str, got list"),
    "name_empty": ((QUERY, [1], [""]), ValueError, "name 1 is empty"),
    "name_with_equals": ((QUERY, [1], ["A=1_B"]), ValueError, "contains '='"),
    "name_surrogate": ((QUERY, [1], ["\ud83d"]), ValueError, "lone surrogate"),
    "name_repeated": ((QUERY, [1, 2], ["A", "A"]), ValueError, "repeated"),
    "more_names": ((QUERY, [1], ["A", "B"]), ValueError, "more names (2) than params (1)"),
    "names_without_params": ((QUERY, None, ["A"]), ValueError, "more names (1) than params (0)"),
    "empty_list": ((QUERY, [1, []], ["A", "Ids"]), ValueError, "param 2 (Ids) is an empty list"),
    "empty_tuple": ((QUERY, [()]), ValueError, "param 1 is an empty list"),
    "aware_datetime": (
        (QUERY, [datetime(2026, 1, 2, tzinfo=UTC)], ["At"]),
        TypeError,
        "param 1 (At) is an aware datetime",
    ),
    "aware_time": (
        (QUERY, [time(1, tzinfo=UTC)], ["At"]),
        TypeError,
        "param 1 (At) is an aware time",
    ),
    "timedelta": ((QUERY, [timedelta(1)], ["T"]), TypeError, "param 1 (T) is of type timedelta"),
    "set": ((QUERY, [1, {2}], ["A"]), TypeError, "param 2 is of type set"),
    "generator": ((QUERY, list(map(iter, ["ab"])), ["A"]), TypeError, "param 1 (A) is of type str_"),
    "object": ((QUERY, [object()], ["A"]), TypeError, "param 1 (A) is of type object"),
    "complex": ((QUERY, [1j], ["A"]), TypeError, "param 1 (A) is of type complex"),
    "set_in_a_list": ((QUERY, [[1, {2}]], ["A"]), TypeError, "param 1 (A) is of type set"),
    "aware_datetime_in_a_dict": (
        (QUERY, [{"a": datetime(2026, 1, 2, tzinfo=UTC)}]),
        TypeError,
        "param 1 is an aware datetime",
    ),
    "dict_key": ((QUERY, [{1: 2}]), TypeError, "param 1 is a dict with a key of type int"),
    "decimal_nan": (
        (QUERY, [Decimal("NaN")], ["A"]),
        ValueError,
        "param 1 (A) is a Decimal that is not finite",
    ),
    "decimal_infinity": (
        (QUERY, [Decimal("-Infinity")]),
        ValueError,
        "param 1 is a Decimal that is not finite",
    ),
    "decimal_bomb": (
        (QUERY, [Decimal("1E+999999999")]),
        ValueError,
        "param 1 is a Decimal of more than 4300",
    ),
    "decimal_small_bomb": (
        (QUERY, [Decimal("0E-999999999")]),
        ValueError,
        "param 1 is a Decimal of more than",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_refused(call: tuple[Any, ...], error: type[Exception], message: str) -> None:
    """The message says what was wrong and where, and never shows a value."""
    with pytest.raises(error, match=re.escape(message)) as caught:
        make_key(*call)
    assert type(caught.value) is error
    assert "2026" not in str(caught.value)


def test_value_that_contains_itself_is_refused() -> None:
    """Nesting without an end is an error, not a crash."""
    endless: list[object] = [1]
    endless.append(endless)
    with pytest.raises(ValueError, match=r"param 1 \(A\) is nested too deeply, or contains itself"):
        make_key(QUERY, [endless], ["A"])


# ---- around keys ----

NAMESPACES = {
    "none": (None, ""),
    "word": ("shop", "shop:"),
    "parts": ("shop.eu-1/a_b:c", "shop.eu-1/a_b:c:"),
    "é": ("é", "é:"),
}


@pytest.mark.parametrize(("namespace", "prefix"), NAMESPACES.values(), ids=NAMESPACES)
def test_namespace_becomes_a_prefix(namespace: str | None, prefix: str) -> None:
    """A namespace and a colon stand in front of every key."""
    assert check_namespace(namespace) == prefix


@pytest.mark.parametrize(
    "namespace", ["", " ", "a b", "a\n", "a\u00a0", "a=b", "{a}", "a}", "\0", "\ud83d", "x" * 65], ids=ascii
)
def test_bad_namespace_is_refused(namespace: str) -> None:
    """What could be taken for a pair, a hash tag or nothing is no namespace."""
    with pytest.raises(ValueError, match="namespace"):
        check_namespace(namespace)


def test_namespace_of_another_type_is_refused() -> None:
    """A namespace is text."""
    with pytest.raises(TypeError, match="namespace must be a str or None, got bytes"):
        check_namespace(b"shop")  # type: ignore[arg-type]


PAIR_TEXTS = {
    "nothing": (None, [], ()),
    "unnamed": ([1, 2], ["A"], ("A=1",)),
    "number_list": ([[1, 2, 1]], ["A"], ("A=1,2,1", "A=1", "A=2")),
    "text_like_a_number_list": (["1,2"], ["A"], ("A=1,2", "A=1", "A=2")),
    "list_of_one": ([[1]], ["A"], ("A=1",)),
    "list_of_texts": ([["a", "b"]], ["A"], ("A=a,b",)),
    "surrogate": (["\ud83d"], ["A"], ("A=\ufffd",)),
}


@pytest.mark.parametrize(("params", "names", "expected"), PAIR_TEXTS.values(), ids=PAIR_TEXTS)
def test_pair_texts_are_what_a_drop_may_name(
    params: Any, names: list[str], expected: tuple[str, ...]
) -> None:
    """Every named param under its text, a number list under each element too."""
    assert pair_texts(params, names) == expected


LEASES = {
    "plain": (b"A=1_abc", b"{A=1_abc}:lease", b"{A=1_abc}:lease"),
    "own_tag": (b"A={7}_abc", b"A={7}_abc:lease", b"A={7}_abc:lease"),
    "opening_brace": (b"A={_abc", b"{A={_abc}:lease", b"{A={_abc}:lease"),
    "closing_brace": (b"A=}_abc", b"{A=}_abc}:lease", None),
    "empty_tag": (b"A={}_abc", b"{A={}_abc}:lease", None),
    "empty_tag_then_tag": (b"A={}{7}_abc", b"{A={}{7}_abc}:lease", None),
    "closing_before_opening": (b"A=}{_abc", b"{A=}{_abc}:lease", None),
    "closing_before_tag": (b"A=}{7}_abc", b"A=}{7}_abc:lease", b"A=}{7}_abc:lease"),
}


@pytest.mark.parametrize(("key", "name", "safe"), LEASES.values(), ids=LEASES)
def test_lease_has_its_name_beside_the_key(key: bytes, name: bytes, safe: bytes | None) -> None:
    """Braces around a key, unless it has a hash tag of its own."""
    assert (lease_name(key), slot_safe_lease_name(key)) == (name, safe)


@unhurried
@given(st.lists(st.sampled_from([b"{", b"}", b"a", b"_", b"=1", b"\xff"]), min_size=1).map(b"".join))
def test_lease_lies_in_the_slot_of_its_key(key: bytes) -> None:
    """By Redis Cluster's rule; a key of which that cannot be had is given no lease there."""
    lease = slot_safe_lease_name(key)

    assert key in lease_name(key)
    assert b"}" in key if lease is None else key_slot(lease) == key_slot(key)
