"""Money is exact: the digits of a DECIMAL stand in the JSON, and dict rows have the floats they had."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_redis_cache.database.wire import read_reply
from mysql_redis_cache.values import codec, rows_as_list
from mysql_redis_cache.values.decimals import ExactRows, decimal_json
from mysql_redis_cache.values.rows import Column, RowBuilder
from tests.support.replies import Source, framed, result_set

BINARY, ZEROFILL = 63, 0x40
TINY, DECIMAL, LONGLONG = 1, 246, 8


def col(type_code: int = DECIMAL, name: str = "v", flags: int = 0) -> Column:
    return Column(name, type_code, BINARY, flags, 0)


def exact(payload: bytes) -> Any:
    """What a reader that keeps all digits finds."""
    return json.loads(payload, parse_float=Decimal)


def read(columns: list[Column], rows: list[tuple[bytes | None, ...]]) -> list[dict[str, Any]]:
    (result,) = read_reply(Source(framed(result_set(columns, rows)), 2**30).packets()).result_sets
    return result


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        (b"10.00", b"10.00"),
        (b"-0.50", b"-0.50"),
        (b"0.00", b"0.00"),
        (b"5", b"5e0"),
        (b"-5", b"-5e0"),
        (b"0", b"0e0"),
        (b"9" * 35 + b"." + b"9" * 30, b"9" * 35 + b"." + b"9" * 30),
        (b"9" * 65, b"9" * 65 + b"e0"),
    ],
)
def test_the_servers_digits_stand_in_the_json(cell: bytes, written: bytes) -> None:
    """As they were sent, in a number that no reader takes for an int."""
    rows = RowBuilder([col()]).build([cell, None])

    payload = codec.encode_rows(rows)

    assert payload == b'[{"v":%b},{"v":null}]' % written
    assert str(exact(payload)[0]["v"]) == cell.decode()


@pytest.mark.parametrize(
    ("cell", "written"), [(b"00007.50", b"7.50"), (b"000.05", b"0.05"), (b"000", b"0e0"), (b"0070", b"70e0")]
)
def test_zeros_that_fill_are_left_out(cell: bytes, written: bytes) -> None:
    """JSON has no numbers with leading zeros."""
    rows = RowBuilder([col(flags=ZEROFILL)]).build([cell, None])

    assert codec.encode_rows(rows) == b'[{"v":%b},{"v":null}]' % written


amounts = st.decimals(allow_nan=False, allow_infinity=False, places=4) | st.integers().map(Decimal)


@given(st.lists(st.tuples(st.none() | amounts, st.none() | amounts), max_size=20))
def test_dict_rows_are_what_they_were(amounts: list[tuple[Decimal | None, ...]]) -> None:
    """Floats, on the miss and on the hit alike, and the same ones after they were written."""
    cells = [tuple(None if x is None else f"{x:f}".encode() for x in row) for row in amounts]
    floats = [{"a": a if a is None else float(a), "b": b if b is None else float(b)} for a, b in amounts]

    rows = read([col(name="a"), col(name="b")], cells)
    payload = codec.encode_rows(rows)

    assert repr(rows) == repr(floats)
    assert repr(codec.decode(payload)) == repr(floats)
    assert exact(payload) == [{"a": a, "b": b} for a, b in amounts]


def test_blocks_of_rows_keep_their_digits() -> None:
    """A long result is converted piece by piece."""
    cells = [(b"%d" % i, b"%d.10" % i) for i in range(20_000)]

    payload = codec.encode_rows(read([col(LONGLONG, "id"), col(name="total")], cells))

    assert all(str(row["total"]) == f"{row['id']}.10" for row in exact(payload))
    assert len(exact(payload)) == 20_000


def test_of_columns_with_one_name_the_last_is_written() -> None:
    """Its digits if it is a DECIMAL, its value if it is none."""
    money, number = col(name="a"), col(TINY, name="a")

    assert codec.encode_rows(RowBuilder([money, number]).build([b"1.10", b"2"])) == b'[{"a":2}]'
    assert codec.encode_rows(RowBuilder([number, money]).build([b"2", b"1.10"])) == b'[{"a":1.10}]'


def test_each_result_set_of_a_call_keeps_its_digits() -> None:
    """They stand in a list, beside the header."""
    money, plain = RowBuilder([col()]).build([b"1.10"]), RowBuilder([col(TINY)]).build([b"2"])

    payload = codec.encode_rows([money, plain, money, {"affectedRows": 0}])

    assert payload == b'[[{"v":1.10}],[{"v":2}],[{"v":1.10}],{"affectedRows":0}]'


def test_rows_are_unharmed_when_they_cannot_be_written() -> None:
    """Their floats are back in place."""
    rows = RowBuilder([col(name="a"), col(TINY, "b")]).build([b"1.10", b"2"])
    rows[0]["b"] = object()

    with pytest.raises(TypeError, match="of type object"):
        codec.encode_rows(rows)

    assert rows[0]["a"] == 1.1
    assert type(rows[0]["a"]) is float


def test_callers_get_a_plain_list() -> None:
    """What is kept for the JSON is none of their business."""
    money, plain = RowBuilder([col()]).build([b"1.10"]), RowBuilder([col(TINY)]).build([b"2"])

    assert type(rows_as_list(money)) is list
    assert rows_as_list(money) == [{"v": 1.1}]
    assert rows_as_list(plain) is plain
    assert not isinstance(plain, ExactRows)


@given(st.decimals())
def test_any_decimal_is_a_json_number_or_null(value: Decimal) -> None:
    """It reads as the float it was written as before, and with all its digits where they are wanted."""
    written = decimal_json(value)

    number = float(value) if value.is_finite() else float("inf")
    if abs(number) == float("inf"):
        assert written == "null"
    else:
        assert repr(json.loads(written)) == repr(number)
        assert repr(codec.decode(written.encode())) == repr(number)
        assert Decimal(written) == value
