"""Values of `with_cache` and `write_to_cache`, both ways: what one side caches, the other reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .cases import UUID_TEXT
from .forms import as_node
from .peer import UNDEFINED, BigInt, Call, Date, PeerError

if TYPE_CHECKING:
    from redis import Redis

    from mysql_redis_cache import MRCClient

    from .peer import Peer

pytestmark = pytest.mark.real


@dataclass
class Place:
    name: str
    raw: bytes


PYTHON_VALUES: dict[str, tuple[Any, Any]] = {
    "none": (None, None),
    "false": (False, False),
    "zero": (0, 0),
    "empty_text": ("", ""),
    "empty_list": ([], []),
    "empty_dict": ({}, {}),
    "nested": ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
    "text": ("é😀\u2028</script>", "é😀\u2028</script>"),
    "buffer_like_key": ({"$": 1}, {"$": 1}),
    "nan": (float("nan"), None),
    "infinity": ([float("inf")], [None]),
    "decimal": (Decimal("1.50"), 1.5),
    "date": (date(2026, 11, 22), "2026-11-22"),
    "datetime": (datetime(2026, 11, 22, 13, 14, 15, 123456), "2026-11-22T13:14:15.123456"),
    "time": (time(1, 2, 3), "01:02:03"),
    "uuid": (UUID(UUID_TEXT), UUID_TEXT),
    "bytes": (b"\0\xff", {"type": "Buffer", "data": [0, 255]}),
    "tuple": ((1, 2), [1, 2]),
    "dataclass": (Place("x", b"\1"), {"name": "x", "raw": {"type": "Buffer", "data": [1]}}),
    "int_beyond_2_to_53": (2**53 + 1, 2**53),
}


@pytest.mark.parametrize(("value", "in_node"), PYTHON_VALUES.values(), ids=PYTHON_VALUES)
def test_value_of_with_cache_read_by_node(value: Any, in_node: Any, client: MRCClient, npm: Peer) -> None:
    """Node's withCache takes our entry for a hit, whatever the value, and does not run its function."""
    client.with_cache(lambda: value, "a_signature", [1], ["Id"])

    assert npm.call("withCache", "not this", "a_signature", [1], ["Id"]) == {"value": in_node, "runs": 0}


NODE_VALUES: dict[str, tuple[Any, Any]] = {
    "null": (None, None),
    "false": (False, False),
    "zero": (0, 0),
    "minus_zero": (-0.0, 0),
    "empty_text": ("", ""),
    "empty_array": ([], []),
    "nested": ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
    "text": ("é😀\u2028</script>", "é😀\u2028</script>"),
    "lone_surrogate": ("\ud83d", "\ud83d"),
    "undefined_property": ({"a": UNDEFINED, "b": 1}, {"b": 1}),
    "undefined_element": ([UNDEFINED], [None]),
    "nan": ({"a": float("nan")}, {"a": None}),
    "large_number": (1e21, 1e21),
    "date": (Date("2026-11-22T13:14:15.123Z"), "2026-11-22T13:14:15.123Z"),
    "invalid_date": ([Date(None)], [None]),
    "buffer": ({"raw": b"\0\xff"}, {"raw": b"\0\xff"}),
    "empty_buffer": (b"", b""),
}


@pytest.mark.parametrize(("value", "in_python"), NODE_VALUES.values(), ids=NODE_VALUES)
def test_value_of_node_read_by_with_cache(value: Any, in_python: Any, client: MRCClient, npm: Peer) -> None:
    """Our with_cache takes npm's entry for a hit and does not run the function."""
    npm.call("withCache", value, "a_signature", [1], ["Id"])

    reading = client.with_cache(lambda: pytest.fail("ran"), "a_signature", [1], ["Id"])

    assert repr(reading) == repr(in_python)


def test_null_of_node_is_told_from_a_miss(client: MRCClient, npm: Peer) -> None:
    """A cached null is None here too, and not the default that means a miss."""
    npm.call("writeToCache", "q", None, [1], ["Id"])

    assert client.read_from_cache("q", [1], ["Id"], default="missed") is None
    assert client.read_from_cache("q", [2], ["Id"], default="missed") == "missed"


def test_bigint_is_not_for_sharing(npm: Peer) -> None:
    """JSON.stringify refuses a BigInt, so Node cannot write one; our ints it reads."""
    with pytest.raises(PeerError, match="BigInt"):
        npm.call("writeToCache", "q", BigInt(2**60), [1], ["Id"])


INTEGERS = st.integers(min_value=-(2**53), max_value=2**53)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | FLOATS | st.text() | st.binary(max_size=20),
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(st.text(max_size=8), parts, max_size=4),
    max_leaves=8,
)
BATCHES = st.lists(VALUES, min_size=10, max_size=20)
BOUNDED = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@BOUNDED
@given(values=BATCHES)
def test_any_value_written_by_python(values: list[Any], client: MRCClient, npm: Peer) -> None:
    """Node reads every JSON value that we write, each float to the last bit."""
    for i, value in enumerate(values):
        client.write_to_cache("any", value, [i], ["i"])

    readings = npm.batch([Call("readFromCache", ("any", [i], ["i"])) for i in range(len(values))])

    assert [as_node(reading) for reading in readings] == [as_node(value) for value in values]


@BOUNDED
@given(values=BATCHES)
def test_any_value_written_by_node(values: list[Any], client: MRCClient, npm: Peer) -> None:
    """We read every JSON value that Node writes, each number as the double it was."""
    npm.batch([Call("writeToCache", ("any", value, [i], ["i"])) for i, value in enumerate(values)])

    readings = [client.read_from_cache("any", [i], ["i"]) for i in range(len(values))]

    assert [as_node(reading) for reading in readings] == [as_node(value) for value in values]


def test_entry_is_compact_json(client: MRCClient, redis_client: Redis) -> None:
    """What lies under the key is the JSON that JSON.stringify would write."""
    client.write_to_cache("q", {"a": [1, "é"], "b": b"\xff"}, [1], ["Id"])

    entry = redis_client.get(client.get_key_from_query("q", [1], ["Id"]))
    assert (
        entry
        == json.dumps(
            {"a": [1, "é"], "b": {"type": "Buffer", "data": [255]}}, ensure_ascii=False, separators=(",", ":")
        ).encode()
    )
