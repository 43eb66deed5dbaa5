"""Values and their JSON bytes."""

from __future__ import annotations

import json
import random
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from math import inf, nan
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_redis_cache.values import codec


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Order:
    id: int
    _note: object = None


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Name(StrEnum):
    ADA = "Ada"


class Text(str):
    __slots__ = ()


class Real(float):
    __slots__ = ()


class Moment(datetime):
    pass


EAST = timezone(timedelta(hours=5, minutes=30))

WRITTEN = {
    "none": (None, "null"),
    "true": (True, "true"),
    "int": (7, "7"),
    "int64 min": (-(2**63), "-9223372036854775808"),
    "uint64 max": (2**64 - 1, "18446744073709551615"),
    "float": (1.5, "1.5"),
    "float whole": (1.0, "1.0"),
    "nan": (nan, "null"),
    "infinities": ([inf, -inf], "[null,null]"),
    "str": ('é\u2028"\\\n', '"é\u2028\\"\\\\\\n"'),
    "decimal": (Decimal("1.10"), "1.10"),
    "decimal without a fraction": (Decimal(-12), "-12e0"),
    "decimal of many digits": (Decimal(f"{2**100}.0001"), f"{2**100}.0001"),
    "decimal with an exponent": ([Decimal("1E+5"), Decimal("0E-10")], "[1E+5,0E-10]"),
    "decimal beyond all floats": (Decimal("-1E+400"), "null"),
    "decimal nan": (Decimal("NaN"), "null"),
    "decimal signalling nan": (Decimal("sNaN"), "null"),
    "date": (date(33, 1, 2), '"0033-01-02"'),
    "datetime": (datetime(2025, 12, 23, 10, 30), '"2025-12-23T10:30:00"'),
    "datetime with microseconds": (datetime(2025, 12, 23, 10, 30, 0, 5), '"2025-12-23T10:30:00.000005"'),
    "datetime aware": (datetime(2025, 12, 23, 10, 30, tzinfo=EAST), '"2025-12-23T10:30:00+05:30"'),
    "datetime subclass": (Moment(2025, 12, 23), '"2025-12-23T00:00:00"'),
    "time": (time(1, 2, 3, 5), '"01:02:03.000005"'),
    "uuid": (UUID(int=5), '"00000000-0000-0000-0000-000000000005"'),
    "bytes": (b"\x00\xff", '{"type":"Buffer","data":[0,255]}'),
    "bytes empty": (b"", '{"type":"Buffer","data":[]}'),
    "bytearray": (bytearray(b"a"), '{"type":"Buffer","data":[97]}'),
    "memoryview": (memoryview(b"a"), '{"type":"Buffer","data":[97]}'),
    "tuple": ((1, (2,)), "[1,[2]]"),
    "namedtuple": (Point(1, 2), "[1,2]"),
    "dataclass": (Order(1, [b"a"]), '{"id":1,"_note":[{"type":"Buffer","data":[97]}]}'),
    "enum": (Colour.RED, '"red"'),
    "int enum": (Level.HIGH, "3"),
    "str enum": ({Name.ADA: Name.ADA}, '{"Ada":"Ada"}'),
    "str subclass": ({Text("a"): Text("b")}, '{"a":"b"}'),
    "float subclass": (Real(1.5), "1.5"),
    "dict subclass": (OrderedDict(b=1, a=2), '{"b":1,"a":2}'),
    "half a surrogate pair": (["\ud83d", b"a", nan, 1], r'["\ud83d",{"type":"Buffer","data":[97]},null,1]'),
    "half a surrogate pair beside decimals": (
        ["\ud83d", Decimal("0.10"), Decimal(5)],
        r'["\ud83d",0.10,5e0]',
    ),
    "half a surrogate pair as a key": ({"\ude00": "é"}, r'{"\ude00":"é"}'),
}


@pytest.mark.parametrize(("value", "expected"), WRITTEN.values(), ids=WRITTEN)
def test_encode_writes_compact_json(value: object, expected: str) -> None:
    """Each type has one form."""
    assert expected.encode() == codec.encode(value)


NPM_DATES = {
    "date": (date(2025, 12, 23), '"2025-12-23T00:00:00.000Z"'),
    "naive": (datetime(2025, 12, 23, 10, 30), '"2025-12-23T10:30:00.000Z"'),
    "cut, not rounded": (datetime(2025, 12, 23, 10, 30, 0, 999_999), '"2025-12-23T10:30:00.999Z"'),
    "aware": (datetime(2025, 12, 23, 10, 30, tzinfo=EAST), '"2025-12-23T05:00:00.000Z"'),
    "early": (date(99, 12, 31), '"0099-12-31T00:00:00.000Z"'),
    "nested with a surrogate": ([date(2025, 1, 2), "\ud83d"], r'["2025-01-02T00:00:00.000Z","\ud83d"]'),
    "time is as ever": (time(1, 2), '"01:02:00"'),
}


@pytest.mark.parametrize(("value", "expected"), NPM_DATES.values(), ids=NPM_DATES)
def test_encode_writes_dates_as_node_does_when_asked(value: object, expected: str) -> None:
    """``dates="npm"`` is what ``JSON.stringify`` makes of a Date in a process at UTC."""
    assert expected.encode() == codec.encode(value, dates="npm")


async def coroutine() -> None: ...


UNENCODABLE = {
    "set": ({"orders": [{}, {"price": {1}}]}, r"\$\.orders\[1\]\.price is of type set"),
    "generator": ((i for i in ()), r"\$ is of type generator"),
    "timedelta": ([timedelta(1)], r"\$\[0\] is of type timedelta"),
    "function": ({"a b": len}, r"\$\['a b'\] is of type builtin_function"),
    "object": ((1, object()), r"\$\[1\] is of type object"),
    "class": ([Order], r"\$\[0\] is of type type"),
    "mapping that is no dict": (MappingProxyType({}), r"\$ is of type mappingproxy"),
    "in a dataclass": (Order(1, 1j), r"\$\._note is of type complex"),
    "aware time": (time(1, tzinfo=UTC), r"\$ is of type time"),
    "int as key": ({"a": {1: 2}}, r"\$\.a has a key of type int"),
    "none as key": ({None: 2}, r"\$ has a key of type NoneType"),
    "int too large": ({"n": [2**64]}, r"\$\.n\[0\] is an int beyond 64 bits"),
    "int too small": (-(2**63) - 1, r"\$ is an int beyond 64 bits"),
    "moment outside the calendar of UTC": (
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=5))),
        "datetime",
    ),
}


@pytest.mark.parametrize(("value", "message"), UNENCODABLE.values(), ids=UNENCODABLE)
def test_encode_names_the_type_and_the_path(value: object, message: str) -> None:
    """What has no JSON form is a TypeError that says what and where."""
    with pytest.raises(TypeError, match=message):
        codec.encode(value, dates="npm")


def test_encode_does_not_quote_values() -> None:
    """Values may be secrets; paths are not."""
    with pytest.raises(TypeError) as caught:
        codec.encode({"password": [2**70, "hunter2"]})

    assert str(2**70) not in str(caught.value)


def test_encode_refuses_a_coroutine() -> None:
    """The commonest mistake: a coroutine function called, not awaited."""
    unawaited = coroutine()
    with pytest.raises(TypeError, match=r"\$ is of type coroutine"):
        codec.encode(unawaited)
    unawaited.close()


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_encode_refuses_what_contains_itself() -> None:
    """A circle is an error with the path, not an endless loop."""
    circle: dict[str, Any] = {}
    circle["self"] = circle

    with pytest.raises(
        ValueError, match=r"\$\.self\.self.* nests deeper than 250 levels, or contains itself"
    ):
        codec.encode(circle)


def test_encode_takes_what_nests_deep_and_refuses_what_nests_deeper() -> None:
    """The limit is that of the JSON library, rounded down."""
    deep = _nested(codec.MAX_DEPTH)

    assert codec.decode(codec.encode(deep)) == deep
    with pytest.raises(ValueError, match="nests deeper"):
        codec.encode(_nested(codec.MAX_DEPTH + 50))


def test_encode_rows_writes_long_binary_values_piece_by_piece() -> None:
    """Pieces join without a seam."""
    long = random.Random(1).randbytes(200_001)

    payload = codec.encode_rows([{"v": long}])

    assert {"type": "Buffer", "data": list(long)} == json.loads(payload)[0]["v"]
    assert [{"v": long}] == codec.decode(payload)


REVIVED = {
    "at the top": ('{"type":"Buffer","data":[0,255]}', b"\x00\xff"),
    "empty": ('{"type":"Buffer","data":[]}', b""),
    "deep": ('[{"a":{"b":[{"type":"Buffer","data":[1]}]}}]', [{"a": {"b": [b"\x01"]}}]),
    "with spaces": ('{ "type" : "Buffer" , "data" : [ 1 ] }', b"\x01"),
}
NUMBERS = ",".join(map(str, range(256)))
LONG_NUMBERS = ",".join([NUMBERS] * 500)
LONG_LOOKALIKES = {
    "too large": f"{LONG_NUMBERS},256",
    "negative": f"-1,{LONG_NUMBERS}",
    "float": f"{LONG_NUMBERS},1.0",
    "true": f"{LONG_NUMBERS},true",
    "text": f'{LONG_NUMBERS},"a"',
}
LONG_BROKEN = {
    "comma at the end": f"{LONG_NUMBERS},",
    "two commas": f"{LONG_NUMBERS},,1",
    "leading zero": f"{LONG_NUMBERS},01",
    "no number": f"{LONG_NUMBERS},a",
}
LEFT_ALONE = {
    "more keys": {"type": "Buffer", "data": [1], "x": 1},
    "other type": {"type": "Buffers", "data": [1]},
    "no list": {"type": "Buffer", "data": "ab"},
    "too large": {"type": "Buffer", "data": [256]},
    "negative": {"type": "Buffer", "data": [-1]},
    "true": {"type": "Buffer", "data": [True]},
    "float": {"type": "Buffer", "data": [1.0]},
    "null": {"type": "Buffer", "data": [None]},
    "keys the other way round, as MySQL sorts them": {"data": [1], "type": "Buffer"},
    "just the word": ["Buffer", {"Buffer": "Buffer"}],
}


@pytest.mark.parametrize(("payload", "expected"), REVIVED.values(), ids=REVIVED)
def test_decode_revives_buffers(payload: str, expected: object) -> None:
    """What Node.js wrote for a Buffer is bytes, at any depth."""
    assert expected == codec.decode(payload.encode())


@pytest.mark.parametrize("value", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_decode_leaves_other_objects_alone(value: object) -> None:
    """Only the exact shape is a Buffer."""
    assert value == codec.decode(json.dumps(value).encode())


LOOKALIKE = {"type": "Buffer", "data": [1, 2]}
LONG_LOOKALIKE = {"type": "Buffer", "data": list(bytes(range(256))) * 600}
ROWS_LIKE_BUFFERS: dict[str, tuple[Any, Any]] = {
    "rows": ([LOOKALIKE, {"a": 1}], [LOOKALIKE, {"a": 1}]),
    "long": ([LONG_LOOKALIKE, LOOKALIKE], [LONG_LOOKALIKE, LOOKALIKE]),
    "result sets": ([[LOOKALIKE], [LONG_LOOKALIKE], {"a": 1}], [[LOOKALIKE], [LONG_LOOKALIKE], {"a": 1}]),
    "bytes in rows": (
        [{"a": LOOKALIKE, "b": [LONG_LOOKALIKE]}],
        [{"a": b"\1\2", "b": [bytes(range(256)) * 600]}],
    ),
    "a row with bytes": ([{"type": "Buffer", "data": LOOKALIKE}], [{"type": "Buffer", "data": b"\1\2"}]),
    "bytes instead of rows": (LOOKALIKE, b"\1\2"),
}


@pytest.mark.parametrize(("written", "rows"), ROWS_LIKE_BUFFERS.values(), ids=ROWS_LIKE_BUFFERS)
@pytest.mark.parametrize("between", [None, lambda: None])
def test_rows_that_look_like_buffers_are_rows(written: Any, rows: Any, between: codec.Between) -> None:
    """As other writers leave them; what is in a row's columns is looked at as everywhere."""
    assert rows == codec.decode(codec.encode(written), between, are_rows=True)


def test_decode_takes_long_binary_values_out_before_parsing() -> None:
    """As the parser's list of numbers they would need many times their memory."""
    long = bytes(range(256)) * 500
    text = 'x{"type":"Buffer","data":[1,2]}' * 10_000
    value = {"a": [long, b"", text], "b": {"c": long[::-1], "d": b"\x01"}}

    payload = codec.encode(value)

    assert len(payload) > 1 << 20
    assert value == codec.decode(payload)


@pytest.mark.parametrize("numbers", LONG_LOOKALIKES.values(), ids=LONG_LOOKALIKES)
def test_long_look_alikes_stay_objects(numbers: str) -> None:
    """The same rule as for short ones."""
    payload = f'["{"x" * (1 << 20)}",{{"type":"Buffer","data":[{numbers}]}}]'.encode()

    assert json.loads(payload) == codec.decode(payload)


@pytest.mark.parametrize("numbers", LONG_BROKEN.values(), ids=LONG_BROKEN)
def test_broken_json_is_not_mended_by_taking_buffers_out(numbers: str) -> None:
    """What is not JSON does not become JSON."""
    for padding in range(8):
        data = "1," * padding + numbers
        payload = f'["{"x" * (1 << 20)}",{{"type":"Buffer","data":[{data}]}}]'.encode()
        with pytest.raises(ValueError):
            codec.decode(payload)


UNDECODABLE = {
    "nothing": b"",
    "spaces": b"  ",
    "nan": b"[NaN]",
    "infinity": b"-Infinity",
    "nan beside a surrogate": rb'["\ud83d",NaN]',
    "overflow beside a surrogate": rb'["\ud83d",1e999]',
    "byte order mark": b"\xef\xbb\xbf1",
    "byte order mark beside a surrogate": b'\xef\xbb\xbf"\\ud83d"',
    "bad utf-8": b'"\xff"',
    "raw surrogate": b'"\xed\xa0\xbd"',
    "cut off": b'[{"v":1},{"v"',
    "two values": b"1 2",
    "single quotes": b"{'a':1}",
    "too deep": b"[" * 100_000,
    "too deep beside a surrogate": rb'["\ud83d",' + b"[" * 100_000,
    "buffer too deep": b"[" * 1000 + b'"Buffer"' + b"]" * 1000,
}


@pytest.mark.parametrize("payload", UNDECODABLE.values(), ids=UNDECODABLE)
def test_decode_refuses_what_is_not_json(payload: bytes) -> None:
    """Whatever is wrong with it, the error is a ValueError."""
    with pytest.raises(ValueError):
        codec.decode(payload)


DECODED = {
    "half a surrogate pair": (rb'["\ud83d","\uDE00"]', ["\ud83d", "\ude00"]),
    "beside a large number": (
        rb'["\ud83d",123456789012345678901234567890]',
        ["\ud83d", 1.2345678901234568e29],
    ),
    "beside a buffer": (rb'["\ud83d",{"type":"Buffer","data":[1]}]', ["\ud83d", b"\x01"]),
    "a number beyond 64 bits": (b"123456789012345678901234567890", 1.2345678901234568e29),
}


@pytest.mark.parametrize(("payload", "expected"), DECODED.values(), ids=DECODED)
def test_decode_reads_what_javascript_writes(payload: bytes, expected: object) -> None:
    """``JSON.stringify`` escapes half pairs; its numbers are doubles."""
    assert expected == codec.decode(payload)


json_native = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
encodable = st.recursive(
    json_native
    | st.binary()
    | st.floats()
    | st.text(st.characters())
    | st.decimals()
    | st.datetimes()
    | st.dates()
    | st.times()
    | st.uuids(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(json_native)
def test_json_native_values_come_back_equal(value: object) -> None:
    """Nothing of a JSON-native value is lost, types included."""
    decoded = codec.decode(codec.encode(value))

    assert value == decoded
    assert repr(value) == repr(decoded)


@given(encodable)
def test_a_decoded_value_stays_what_it_is(value: object) -> None:
    """A miss returns the decoded form, so that form must survive being cached again."""
    decoded = codec.decode(codec.encode(value))

    assert repr(decoded) == repr(codec.decode(codec.encode(decoded)))


@given(encodable)
def test_what_is_plain_is_decoded_alike_in_the_short_way(value: object) -> None:
    """What is not has a Buffer or an escape somewhere, or is large."""
    payload = codec.encode(value)
    if codec.is_plain(payload):
        assert repr(codec.decode_plain(payload)) == repr(codec.decode(payload))
    else:
        assert b"Buffer" in payload or b"\\u" in payload


def test_a_buffer_a_surrogate_and_much_are_not_plain() -> None:
    """``orjson`` alone gives something else, refuses it, or lets nobody else run for long."""
    for value in (b"x", ["\ud83d"], ["x" * codec.LARGE]):
        assert not codec.is_plain(codec.encode(value))
    assert codec.is_plain(b'[{"id":1}]')


@given(st.lists(st.dictionaries(st.text(), json_native | st.binary(), max_size=5), max_size=5))
def test_rows_come_back_equal(rows: list[dict[str, object]]) -> None:
    """``encode_rows`` loses nothing."""
    assert repr(rows) == repr(codec.decode(codec.encode_rows(rows)))


@given(encodable)
def test_other_readers_see_the_same(value: object) -> None:
    """What is written is JSON for the standard library too."""
    payload = codec.encode(value)

    assert json.loads(payload) == _with_buffers(codec.decode(payload))


def _with_buffers(value: object) -> object:
    if isinstance(value, bytes):
        return {"type": "Buffer", "data": list(value)}
    if isinstance(value, list):
        return [_with_buffers(item) for item in value]
    return {k: _with_buffers(v) for k, v in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("name", ["é", "é\ud83d"])
def test_decode_never_raises_anything_but_value_errors(name: str) -> None:
    """Damaged entries: each is a value or a ValueError, so a reader can treat it as a miss."""
    chance = random.Random(7)
    whole = codec.encode(
        [{"id": 1, "name": name, "price": 1.5e10, "blob": b"abc", "json": {"a": [None, True]}}] * 3
    )
    for _ in range(10_000):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 5)):
            at = chance.randrange(len(damaged))
            damaged[at : at + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
        with suppress(ValueError):
            codec.decode(bytes(damaged))


TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(['},{"', '[{"a":1},{"a":2}]', '\\"},{\\"', "é},{\U0001f600"])
    | st.binary(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(st.dictionaries(st.text(max_size=5), TREES, max_size=4), max_size=12) | TREES)
def test_a_value_read_in_parts_is_the_value(value: object) -> None:
    """Wherever the parts begin and end, also amid what only looks like the border of two rows."""
    payload = codec.encode(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "LARGE", 1)
        patch.setattr(codec, "_PART", 8)
        assert codec.decode(payload, lambda: None) == codec.decode(payload)


def test_much_is_read_with_breaks() -> None:
    """About every millisecond something else may run."""
    rows = [{"n": number, "text": "x" * 80} for number in range(20_000)]
    breaks: list[int] = []

    assert codec.decode(codec.encode(rows), lambda: breaks.append(1)) == rows
    assert len(breaks) >= 10


@pytest.mark.parametrize("text", ['[{"a":1},{"a":2', '[{"a":1},{"a":2}', '[{"a":1},{"a":x}]', '[{"a":1},{"'])
def test_what_is_not_json_is_not_in_parts_either(text: str) -> None:
    """A part that reads well does not make the whole so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "LARGE", 1)
        patch.setattr(codec, "_PART", 1)
        with pytest.raises(ValueError, match="not JSON"):
            codec.decode(text.encode(), lambda: None)
