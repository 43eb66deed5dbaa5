"""The same call has the same key on both sides, so that each finds what the other wrote."""

from __future__ import annotations

import math
import re
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha1
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mysql_redis_cache.keys.naming import make_key

from .peer import UNDEFINED, BigInt, Call, Date

if TYPE_CHECKING:
    from .peer import Peer

SAFE_INTEGER = 2**53  # beyond it, a JavaScript number has not every digit
QUERY = "SELECT * FROM users WHERE id = ?"
UUID_TEXT = "550e8400-e29b-41d4-a716-446655440000"


def to_node(value: object) -> object:
    """The JavaScript value that means the same: BigInt for what a number cannot hold, text for dates."""
    match value:
        case bool():
            return value
        case int() if abs(value) > SAFE_INTEGER:
            return BigInt(value)
        case date() | datetime():
            return value.isoformat()
        case Decimal() | UUID():
            return str(value)
        case list():
            return [to_node(part) for part in value]
        case _:
            return value


class KeyCall(NamedTuple):
    """A call as far as its key is concerned."""

    query: str
    params: list[object] | None
    names: list[str]

    def ours(self) -> str:
        return make_key(self.query, self.params, self.names)

    def for_npm(self) -> Call:
        return Call("getKeyFromQuery", (self.query, to_node(self.params), self.names))


SAME_VALUES: dict[str, object] = {
    "int": 1,
    "zero": 0,
    "negative": -5,
    "int_2_to_53": 2**53,
    "int_beyond_2_to_53_keeps_its_digits": 2**53 + 1,
    "int_64_bits": 2**63 - 1,
    "int_of_22_digits": 12345678901234567890123,
    "float": 0.1,
    "whole_float": 1.0,
    "minus_zero": -0.0,
    "float_below_2_to_53": 2.0**53 - 1,
    "small_float": 0.000001,
    "smaller_float": 1e-7,
    "smallest_float": 5e-324,
    "infinity": math.inf,
    "nan": math.nan,
    "true": True,
    "false": False,
    "none": None,
    "string": "abc",
    "digits": "00123",
    "empty_string": "",
    "underscores": "a_b",
    "equals": "a=b",
    "pattern": "a*b?[x]\\",
    "space_and_newline": " a\n",
    "nul": "a\0b",
    "latin": "café",
    "decomposed": "cafe\u0301",
    "emoji": "👩\u200d👩\u200d👧",
    "beyond_the_bmp": "𝄞",
    "byte_order_mark": "\ufeffa",
    "one_number_list": [7],
    "number_list": [1, 2, 3],
    "float_list": [1.5, 2.0, -0.0],
    "date_is_its_text": date(2026, 1, 2),
    "datetime_is_its_text": datetime(2026, 1, 2, 3, 4, 5),
    "uuid_is_its_text": UUID(UUID_TEXT),
    "decimal_is_its_text": Decimal("1.50"),
}

SAME_CALLS: dict[str, KeyCall] = {
    "no_params": KeyCall(QUERY, None, []),
    "empty_params": KeyCall(QUERY, [], []),
    "two_params": KeyCall(QUERY, [123, "x"], ["UserId", "StoreId"]),
    "order_of_names_counts": KeyCall(QUERY, ["x", 123], ["StoreId", "UserId"]),
    "unicode_name": KeyCall(QUERY, [1], ["Größe 大"]),
    "name_with_underscore": KeyCall(QUERY, [1, 2], ["user_id", "id"]),
    "query_is_taken_as_written": KeyCall(f" {QUERY.lower()} ;\n", [1], ["p"]),
    "query_of_the_other_driver": KeyCall("SELECT %s", [1], ["p"]),
    "unicode_query": KeyCall("SELECT 'ñ😀'", [1], ["p"]),
    "value_holds_another_calls_name": KeyCall(QUERY, ["x_B=2"], ["A"]),
}

FOLDED: dict[str, KeyCall] = {
    "unnamed_param": KeyCall(QUERY, [1], []),
    "second_param_unnamed": KeyCall(QUERY, [1, 2], ["A"]),
    "text_null": KeyCall(QUERY, ["null"], ["p"]),
    "text_true": KeyCall(QUERY, ["true"], ["p"]),
    "text_undefined": KeyCall(QUERY, ["undefined"], ["p"]),
    "text_nan": KeyCall(QUERY, ["NaN"], ["p"]),
    "text_infinity": KeyCall(QUERY, ["-Infinity"], ["p"]),
    "text_number_list": KeyCall(QUERY, ["1,2"], ["p"]),
    "text_holds_a_name_of_the_call": KeyCall(QUERY, ["1_B=2", "3"], ["A", "B"]),
    "lone_surrogate": KeyCall(QUERY, ["\ud800"], ["p"]),
    "bytes": KeyCall(QUERY, [b"abc"], ["p"]),
    "whole_float_from_2_to_53": KeyCall(QUERY, [2.0**53], ["p"]),
    "list_of_strings": KeyCall(QUERY, [["a", "b"]], ["p"]),
    "list_with_a_bool": KeyCall(QUERY, [[True, 1]], ["p"]),
    "nested_list": KeyCall(QUERY, [[[1, 2], [3]]], ["p"]),
    "dict": KeyCall(QUERY, [{"a": 1}], ["p"]),
}


@pytest.mark.parametrize("value", SAME_VALUES.values(), ids=SAME_VALUES)
def test_named_value_has_the_key_of_the_npm_package(npm_process: Peer, value: object) -> None:
    """A named value whose text is unambiguous gives npm's key, byte for byte."""
    call = KeyCall(QUERY, [value], ["p"])

    assert npm_process.batch([call.for_npm()]) == [call.ours()]


@pytest.mark.parametrize("call", SAME_CALLS.values(), ids=SAME_CALLS)
def test_call_has_the_key_of_the_npm_package(npm_process: Peer, call: KeyCall) -> None:
    """Names, their order and the query's text count as they do in npm."""
    assert npm_process.batch([call.for_npm()]) == [call.ours()]


@pytest.mark.parametrize("call", FOLDED.values(), ids=FOLDED)
def test_ambiguous_call_has_a_key_of_its_own(npm_process: Peer, call: KeyCall) -> None:
    """Where npm's key would be shared by other params, ours is not npm's: the entry is not shared either."""
    [theirs] = npm_process.batch([call.for_npm()])

    assert theirs != call.ours()


@pytest.mark.parametrize(
    ("value", "theirs"),
    [
        pytest.param(
            Date("2026-01-02T03:04:05.678Z"), "Fri Jan 02 2026 03:04:05 GMT+0000 (Coordinated Universal Time)"
        ),
        pytest.param(UNDEFINED, "undefined"),
        pytest.param(2**53 + 1, "9007199254740992"),
    ],
    ids=["date_object", "undefined", "number_beyond_2_to_53"],
)
def test_values_that_node_must_not_pass(npm_process: Peer, value: object, theirs: str) -> None:
    """A Date, undefined or a too large number gives npm a text that no other process would guess."""
    key = npm_process.call("getKeyFromQuery", QUERY, [value], ["p"])

    assert key == f"p={theirs}_{sha1(QUERY.encode()).hexdigest()}"


WORDS = {"null", "true", "false", "undefined", "NaN", "Infinity", "-Infinity"}
FINITE = st.one_of(st.integers(), st.floats(1 - 2.0**53, 2.0**53 - 1))
NUMBERS = st.one_of(FINITE, st.sampled_from([math.nan, math.inf, -math.inf]))
NAMES = st.text(st.characters(exclude_characters="=", exclude_categories=["Cs"]), min_size=1, max_size=12)
TEXTS = st.one_of(st.text(), st.from_regex(r"-?\d{1,25}\.?\d*(e[+-]?\d+)?", fullmatch=True))


def is_unambiguous(text: str, names: list[str]) -> bool:
    """Is *text* none of the folded texts (lists of numbers are told by their commas, generously)?"""
    is_number_list = re.fullmatch(r"[\s\d.,eE+\-aINfinty]*,[\s\d.,eE+\-aINfinty]*", text) is not None
    return text not in WORDS and not is_number_list and not any(f"_{name}=" in text for name in names)


@st.composite
def calls(draw: st.DrawFn) -> KeyCall:
    """A call of which every param is named and unambiguous."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    text = TEXTS.filter(lambda value: is_unambiguous(value, names))
    value = st.one_of(
        NUMBERS, text, st.booleans(), st.none(), st.lists(FINITE, min_size=1, max_size=4), st.dates()
    )
    params = [draw(value) for _ in names]
    return KeyCall("SELECT " + draw(st.text()), params, names)


@settings(max_examples=10, deadline=None)
@given(st.lists(calls(), min_size=20, max_size=30))
def test_any_unambiguous_call_has_the_key_of_the_npm_package(npm_process: Peer, batch: list[KeyCall]) -> None:
    """Whatever the numbers, texts, lists, names and queries are."""
    theirs = npm_process.batch([call.for_npm() for call in batch])

    assert theirs == [call.ours() for call in batch]
