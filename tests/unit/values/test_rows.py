"""Result sets: from the bytes of a reply to JSON-native rows."""

from __future__ import annotations

import struct
from datetime import date, datetime
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_redis_cache.database.wire import Dialect, ErrorPacket, GarbledReply, Reply, read_reply
from mysql_redis_cache.values import codec
from mysql_redis_cache.values.rows import Column, RowBuilder
from tests.support.replies import (
    MORE_RESULTS,
    NEW,
    OLD,
    Source,
    end_payload,
    error_payload,
    framed,
    new_result_set,
    ok_payload,
    result_set,
)

if TYPE_CHECKING:
    from mysql_redis_cache.values.codec import Dates

UTF8, BINARY = 255, 63
TINY, LONGLONG, DOUBLE, DECIMAL = 1, 8, 5, 246
TIMESTAMP, DATE, TIME, DATETIME, YEAR = 7, 10, 11, 12, 13
BIT, VECTOR, JSON, BLOB, VARCHAR, CHAR, GEOMETRY = 16, 242, 245, 252, 253, 254, 255
ZEROFILL, BINARY_FLAG = 0x40, 0x80


def col(type_code: int, charset: int = BINARY, flags: int = 0, decimals: int = 0, name: str = "v") -> Column:
    return Column(name, type_code, charset, flags, decimals)


def values(column: Column, *cells: bytes | None, dates: Dates = "iso") -> list[Any]:
    return [row["v"] for row in RowBuilder([column], dates=dates).build(list(cells))]


CONVERTED = {
    "tinyint": (col(TINY), b"-5", -5),
    "zerofill": (col(TINY, flags=ZEROFILL), b"005", 5),
    "bigint": (col(LONGLONG), b"-9223372036854775808", -(2**63)),
    "bigint unsigned": (col(LONGLONG), b"18446744073709551615", 2**64 - 1),
    "year": (col(YEAR), b"0000", 0),
    "double": (col(DOUBLE), b"1.7976931348623157e308", 1.7976931348623157e308),
    "double whole": (col(DOUBLE), b"1", 1.0),
    "double minus zero": (col(DOUBLE), b"-0", -0.0),
    "decimal": (col(DECIMAL, decimals=2), b"1.50", 1.5),
    "decimal whole": (col(DECIMAL), b"12345678901234567890", 12345678901234567890.0),
    "decimal zerofill": (col(DECIMAL, flags=ZEROFILL, decimals=2), b"0007.50", 7.5),
    "decimal long": (col(DECIMAL, decimals=30), b"9" * 35 + b"." + b"9" * 30, 1e35),
    "date": (col(DATE), b"2026-11-22", "2026-11-22"),
    "date in february": (col(DATE), b"2024-02-29", "2024-02-29"),
    "date impossible": (col(DATE), b"2026-02-31", "2026-02-31"),
    "date partial": (col(DATE), b"2026-11-00", "2026-11-00"),
    "date zero": (col(DATE), b"0000-00-00", "0000-00-00"),
    "datetime": (col(DATETIME), b"2026-11-22 13:14:15", "2026-11-22T13:14:15"),
    "datetime fraction": (
        col(DATETIME, decimals=6),
        b"2026-11-22 13:14:15.123456",
        "2026-11-22T13:14:15.123456",
    ),
    "datetime milliseconds": (
        col(DATETIME, decimals=3),
        b"2026-11-22 13:14:15.123",
        "2026-11-22T13:14:15.123000",
    ),
    "datetime fraction zero": (
        col(DATETIME, decimals=6),
        b"2026-11-22 13:14:15.000000",
        "2026-11-22T13:14:15",
    ),
    "datetime unannounced fraction": (
        col(DATETIME, decimals=31),
        b"2026-11-22 13:14:15.5",
        "2026-11-22T13:14:15.500000",
    ),
    "datetime zero": (col(DATETIME), b"0000-00-00 00:00:00", "0000-00-00 00:00:00"),
    "datetime impossible": (col(DATETIME), b"2026-04-31 01:02:03", "2026-04-31 01:02:03"),
    "timestamp": (col(TIMESTAMP), b"1970-01-01 00:00:01", "1970-01-01T00:00:01"),
    "time": (col(TIME), b"-838:59:59", "-838:59:59"),
    "time fraction": (col(TIME, decimals=1), b"-12:34:56.5", "-12:34:56.5"),
    "varchar": (col(VARCHAR, UTF8), "é😀00123".encode(), "é😀00123"),
    "varchar that looks like a number": (col(VARCHAR, UTF8), b"00123", "00123"),
    "text of a binary collation": (col(BLOB, UTF8, BINARY_FLAG), b"ab", "ab"),
    "enum": (col(CHAR, UTF8, 0x100), b"large", "large"),
    "varbinary": (col(VARCHAR), b"\xff\x00", b"\xff\x00"),
    "blob": (col(BLOB, flags=BINARY_FLAG), b"ab", b"ab"),
    "bit": (col(BIT), b"\x01", b"\x01"),
    "json": (col(JSON), '{"a":[1,2.0,"é",null]}'.encode(), {"a": [1, 2.0, "é", None]}),
    "json text": (col(JSON, UTF8), b'"00123"', "00123"),
    "json null": (col(JSON), b"null", None),
    "json with a buffer": (col(JSON), b'[{"type":"Buffer","data":[1]}]', [b"\x01"]),
    "json as mysql sorts it": (
        col(JSON),
        b'{"data": [1], "type": "Buffer"}',
        {"data": [1], "type": "Buffer"},
    ),
    "json that is none": (col(JSON), b"{", "{"),
    "vector": (col(VECTOR), struct.pack("<3f", 1, 2.5, -3), [1.0, 2.5, -3.0]),
    "vector of what JSON has not": (
        col(VECTOR),
        struct.pack("<2f", float("nan"), float("inf")),
        [None, None],
    ),
    "unknown binary type": (col(200), b"\xff", b"\xff"),
    "unknown text type": (col(200, UTF8), b"a", "a"),
}


@pytest.mark.parametrize(("column", "cell", "expected"), CONVERTED.values(), ids=CONVERTED)
def test_each_column_type_has_one_form(column: Column, cell: bytes, expected: object) -> None:
    """Alone, among NULLs, and beside others of its kind; and hit equals miss."""
    assert repr([expected]) == repr(values(column, cell))
    assert repr([None, expected, None]) == repr(values(column, None, cell, None))
    assert repr([expected] * 3) == repr(values(column, cell, cell, cell))
    rows = RowBuilder([column]).build([cell])
    assert repr(rows) == repr(codec.decode(codec.encode_rows(rows)))


@pytest.mark.parametrize("column", [column for column, _, _ in CONVERTED.values()], ids=list(CONVERTED))
def test_null_is_none_in_every_type(column: Column) -> None:
    """A column of NULLs only has no value to guess a type from."""
    assert [None, None] == values(column, None, None)
    assert [] == values(column)


NPM_DATES = {
    "date": (col(DATE), b"2026-11-22", "2026-11-22T00:00:00.000Z"),
    "datetime": (col(DATETIME), b"2026-11-22 13:14:15", "2026-11-22T13:14:15.000Z"),
    "cut, not rounded": (col(DATETIME), b"2026-11-22 13:14:15.999999", "2026-11-22T13:14:15.999Z"),
    "short fraction": (col(DATETIME), b"2026-11-22 13:14:15.5", "2026-11-22T13:14:15.500Z"),
    "early": (col(DATE), b"0001-01-01", "0001-01-01T00:00:00.000Z"),
    "zero moment": (col(TIMESTAMP), b"0000-00-00 00:00:00", None),
    "zero date": (col(DATE), b"0000-00-00", "0000-00-00"),
    "partial": (col(DATE), b"2026-11-00", "2026-11-00"),
    "impossible": (col(DATETIME), b"2026-02-31 01:02:03", "2026-02-31 01:02:03"),
    "time": (col(TIME), b"01:02:03", "01:02:03"),
}


@pytest.mark.parametrize(("column", "cell", "expected"), NPM_DATES.values(), ids=NPM_DATES)
def test_npm_dates(column: Column, cell: bytes, expected: object) -> None:
    """``dates="npm"`` is what Node.js at UTC writes, except where mysql2 would make up a date."""
    assert [expected] == values(column, cell, dates="npm")


moments = st.datetimes() | st.datetimes(timezones=st.none()).map(lambda moment: moment.replace(microsecond=0))


@given(st.lists(st.none() | moments), st.integers(0, 6))
def test_moments_are_what_isoformat_makes_of_them(moments: list[datetime | None], decimals: int) -> None:
    """The way that takes a whole column at once differs in nothing."""
    cells, expected = [], []
    for moment in moments:
        text = moment and f"{moment.isoformat(' ', 'microseconds')[: 20 + decimals if decimals else 19]}"
        cells.append(text and text.encode())
        expected.append(text and datetime.fromisoformat(text).isoformat())

    assert expected == values(col(DATETIME, decimals=decimals), *cells)


@given(st.lists(st.none() | st.dates().map(date.isoformat) | st.sampled_from(["0000-00-00", "2023-02-29"])))
def test_dates_are_what_the_server_says(dates: list[str | None]) -> None:
    """Whatever stands beside them."""
    assert dates == values(col(DATE), *(text and text.encode() for text in dates))


@given(st.lists(st.none() | st.integers(-(2**63), 2**64 - 1)))
def test_integers_keep_every_digit(numbers: list[int | None]) -> None:
    """Also those that no double holds."""
    assert numbers == values(col(LONGLONG), *(None if n is None else str(n).encode() for n in numbers))


@given(st.lists(st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=5)))
def test_decimals_are_the_nearest_floats(numbers: list[Any]) -> None:
    """As ``float`` would make them of the text."""
    cells = [None if number is None else f"{number:f}".encode() for number in numbers]

    assert repr([cell and float(cell) for cell in cells]) == repr(values(col(DECIMAL, decimals=5), *cells))


# --- shapes ------------------------------------------------------------------------------------------------


def wkb(kind: int, *parts: bytes, order: str = "<") -> bytes:
    return bytes([order == "<"]) + struct.pack(f"{order}I", kind) + b"".join(parts)


def count(number: int) -> bytes:
    return struct.pack("<I", number)


def xy(x: float, y: float) -> bytes:
    return struct.pack("<dd", x, y)


POINT = wkb(1, xy(1.5, -2))
LINE = wkb(2, count(2), xy(0, 0), xy(1, 1))
POLYGON = wkb(3, count(2), count(1), xy(0, 0), count(2), xy(1, 1), xy(2, 2))
POINT_VALUE, LINE_VALUE = {"x": 1.5, "y": -2.0}, [{"x": 0.0, "y": 0.0}, {"x": 1.0, "y": 1.0}]
POLYGON_VALUE = [[{"x": 0.0, "y": 0.0}], [{"x": 1.0, "y": 1.0}, {"x": 2.0, "y": 2.0}]]
SHAPES = {
    "point": (POINT, POINT_VALUE),
    "big-endian point": (wkb(1, struct.pack(">dd", 1.5, -2), order=">"), POINT_VALUE),
    "empty point": (wkb(1, xy(float("nan"), float("nan"))), {"x": None, "y": None}),
    "line": (LINE, LINE_VALUE),
    "polygon": (POLYGON, POLYGON_VALUE),
    "points": (wkb(4, count(2), POINT, POINT), [POINT_VALUE, POINT_VALUE]),
    "lines": (wkb(5, count(1), LINE), [LINE_VALUE]),
    "polygons": (wkb(6, count(1), POLYGON), [POLYGON_VALUE]),
    "collection": (wkb(7, count(2), POINT, wkb(7, count(1), LINE)), [POINT_VALUE, [LINE_VALUE]]),
    "empty collection": (wkb(7, count(0)), []),
}


@pytest.mark.parametrize(("shape", "expected"), SHAPES.values(), ids=SHAPES)
def test_shapes_are_those_of_mysql2(shape: bytes, expected: object) -> None:
    """A point is an object, everything else lists; the number of the reference system is not kept."""
    assert [expected] == values(col(GEOMETRY), count(4326) + shape)


@pytest.mark.parametrize("cell", [b"", b"\0\0\0\0\1", count(0) + wkb(99), count(0) + LINE[:-1]])
def test_unknown_shapes_stay_bytes(cell: bytes) -> None:
    """Nothing is lost of what is not understood."""
    assert [cell] == values(col(GEOMETRY), cell)


@given(st.binary())
def test_any_bytes_are_some_shape(cell: bytes) -> None:
    """The server is not trusted to send well-formed shapes."""
    assert values(col(GEOMETRY), cell)


# --- rows --------------------------------------------------------------------------------------------------


def test_of_columns_with_one_name_the_last_counts() -> None:
    """In the place of the first, as in JavaScript."""
    columns = [col(TINY, name="a"), col(TINY, name="b"), col(TINY, name="a")]

    (row,) = RowBuilder(columns).build([b"1", b"2", b"3"])

    assert [("a", 3), ("b", 2)] == list(row.items())


TYPE_CELLS = [(col(VARCHAR, UTF8, name="type"), b"Buffer"), (col(JSON, name="type"), b'"Buffer"')]
DATA_CELLS = [
    (col(JSON, name="data"), b"[1, 2]"),
    (col(GEOMETRY, name="data"), bytes(4) + struct.pack("<BII", 1, 7, 0)),  # an empty collection
    (col(TINY, name="data"), b"0"),
    (col(BLOB, name="data"), b"[1, 2]"),
]


@pytest.mark.parametrize("width", [2, 3, 4])
def test_a_row_that_looks_like_a_buffer_is_no_buffer(width: int) -> None:
    """On a hit it is what it was on the miss: with columns ``type`` and ``data`` in any order and number."""
    for cells in product([*TYPE_CELLS, *DATA_CELLS], repeat=width):
        columns = [column for column, _ in cells]
        rows = RowBuilder(columns).build([cell for _, cell in cells])

        expected = {c.name: RowBuilder([c]).build([cell])[0][c.name] for c, cell in cells}
        assert rows == [expected]
        for are_rows in (False, True):
            assert rows == codec.decode(codec.encode_rows(rows), are_rows=are_rows)


def test_ordinary_rows_of_type_and_data_stay_in_order() -> None:
    """Where no list can be in them, nothing is to be told apart."""
    columns = [TYPE_CELLS[0][0], DATA_CELLS[3][0]]

    assert [list(row) for row in RowBuilder(columns).build([b"Buffer", b"a"])] == [["type", "data"]]


@pytest.mark.parametrize("name", ["__class__", "a b", "'", "ж", "", "lambda", "n0"])
def test_columns_may_have_any_name(name: str) -> None:
    """Rows are assembled by generated code, which names do not get into."""
    assert [{name: 1}] == RowBuilder([col(TINY, name=name)]).build([b"1"])


def test_rows_may_be_very_wide() -> None:
    """MySQL has at most 4096 columns."""
    columns = [col(TINY, name=str(i)) for i in range(4096)]

    assert [{str(i): 1 for i in range(4096)}] * 2 == RowBuilder(columns).build([b"1"] * 8192)


# --- replies -----------------------------------------------------------------------------------------------

COLUMNS = [col(LONGLONG, name="id"), col(VARCHAR, UTF8, name="name"), col(BLOB, name="data")]


def read(data: bytes, piece: int = 2**30, dialect: Dialect = OLD) -> Reply:
    return read_reply(Source(data, piece).packets(dialect))


cells = st.none() | st.binary(max_size=300)
sizes = st.integers(1, 300) | st.just(2**30)


@given(st.lists(st.tuples(cells, cells, cells), max_size=600), sizes)
def test_rows_are_read_whatever_pieces_they_come_in(rows: list[tuple[bytes | None, ...]], piece: int) -> None:
    """The network cuts where it likes."""
    columns = [col(BLOB, name=name) for name in "abc"]

    reply = read(framed(result_set(columns, rows)), piece)

    assert [dict(zip("abc", row, strict=True)) for row in rows] == reply.result_sets[0]


def test_packet_numbers_go_round() -> None:
    """They have eight bits, results have more rows."""
    rows = [(str(i).encode(), b"x" * (i % 7), None) for i in range(2000)]

    (result,) = read(framed(result_set(COLUMNS, rows)), 1000).result_sets

    assert [(i, "x" * (i % 7), None) for i in range(2000)] == [tuple(row.values()) for row in result]


LONG = [250, 251, 2**16 - 1, 2**16, 2**24 - 5, 2**24 - 4, 2**24 + 9]


@pytest.mark.parametrize("size", LONG)
def test_long_values_are_read(size: int) -> None:
    """On both sides of every way to write a length, and of the longest packet."""
    rows = [(b"1", b"", b"z" * size), (b"2", None, b"")]

    (result,) = read(framed(result_set(COLUMNS, rows)), 1 << 16).result_sets

    assert [{"id": 1, "name": "", "data": b"z" * size}, {"id": 2, "name": None, "data": b""}] == result


def test_a_first_value_of_16_mib_is_not_the_end() -> None:
    """Its length begins with the byte that the end of the rows has, too."""
    data = b"z" * 2**24

    assert [[{"v": data}]] == read(framed(result_set([col(BLOB)], [(data,)]))).result_sets


@pytest.mark.parametrize("size", [2**24 - 20, 2**24 - 10, 2**24 - 9, 2**24, 2**24 + 5])
def test_nor_is_it_where_rows_end_with_an_ok_packet(size: int) -> None:
    """That one is never as long as a packet can be."""
    rows = [(b"z" * size,), (b"",)]

    data = framed(new_result_set([(col(BLOB), b"")], rows))

    assert [[{"v": b"z" * size}, {"v": b""}]] == read(data, 1 << 20, NEW).result_sets


@given(st.lists(st.tuples(cells, cells, cells), max_size=50), sizes)
def test_the_newer_dialect_is_read_too(rows: list[tuple[bytes | None, ...]], piece: int) -> None:
    """Columns that are described at more length, and no packet at their end."""
    columns = [(col(BLOB, name=name), b"\x00\x04uuid") for name in "abc"]

    reply = read(framed(new_result_set(columns, rows)), piece, NEW)

    assert [dict(zip("abc", row, strict=True)) for row in rows] == reply.result_sets[0]


@pytest.mark.parametrize(
    ("more", "value"),
    [
        (b"", '{"a": 1}'),
        (b"\x01\x04json", {"a": 1}),
        (b"\x00\x04json", '{"a": 1}'),
        (b"\x00\x05inet4", '{"a": 1}'),
    ],
)
def test_mariadb_s_json_is_known_by_its_format(more: bytes, value: object) -> None:
    """The type is that of text."""
    data = framed(new_result_set([(col(BLOB, UTF8), more)], [(b'{"a": 1}',)]))

    assert [[{"v": value}]] == read(data, dialect=NEW).result_sets


def test_an_ok_packet_is_all_the_answer_to_a_write() -> None:
    """No result set, and what it did."""
    reply = read(framed([ok_payload(2, 7, info=b"Rows matched: 3  Changed: 2  Warnings: 0")]))

    assert reply.result_sets == []
    assert reply.ok is not None
    assert reply.ok.as_npm() == {
        "fieldCount": 0,
        "affectedRows": 2,
        "insertId": 7,
        "info": "Rows matched: 3  Changed: 2  Warnings: 0",
        "serverStatus": 2,
        "warningStatus": 0,
        "changedRows": 2,
    }


def test_a_call_has_several_result_sets_and_an_ok_packet() -> None:
    """All are read, the connection would be out of step otherwise."""
    one = result_set([col(TINY)], [(b"1",)], status=2 | MORE_RESULTS)
    two = result_set([col(TINY)], [(b"2",)], status=2 | MORE_RESULTS)

    reply = read(framed([*one, *two, ok_payload()]))

    assert [[{"v": 1}], [{"v": 2}]] == reply.result_sets
    assert reply.ok is not None


ERRORS = {
    "at once": [error_payload()],
    "between rows": [*result_set(COLUMNS, [(b"1", b"a", b"b")] * 2)[:-1], error_payload()],
    "in a later result set": [*result_set(COLUMNS, [], status=2 | MORE_RESULTS), error_payload()],
}


@pytest.mark.parametrize("payloads", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("piece", [1, 2**30])
def test_an_error_may_come_at_any_time(payloads: list[bytes], piece: int) -> None:
    """It ends the reply."""
    with pytest.raises(ErrorPacket) as caught:
        read(framed(payloads), piece)

    assert caught.value.payload == error_payload()
    assert not caught.value.is_notice


def test_a_farewell_is_told_from_an_answer() -> None:
    """A server that shuts down says so with packet number 0."""
    with pytest.raises(ErrorPacket) as caught:
        read(framed([error_payload(1053)], first=0))

    assert caught.value.is_notice


GARBLED = {
    "wrong number at the start": framed([ok_payload()], first=5),
    "wrong number among rows": framed(result_set([col(TINY)], [])[:-1])
    + framed([b"\x011"], first=9)
    + framed([end_payload()], first=10),
    "more than the reply": framed([ok_payload(), ok_payload()]),
    "a request for a local file": framed([b"\xfb/etc/passwd"]),
}


@pytest.mark.parametrize("data", GARBLED.values(), ids=GARBLED)
def test_what_is_no_reply_to_a_query_is_refused(data: bytes) -> None:
    """It may be the reply to another one."""
    with pytest.raises(GarbledReply):
        read(data)


def test_a_reply_may_end_anywhere() -> None:
    """A lost connection is noticed at every byte."""
    whole = framed(result_set(COLUMNS, [(b"1", b"a" * 300, None)] * 3))
    for size in range(len(whole)):
        with pytest.raises(EOFError):
            read(whole[:size])


def test_blocks_are_joined_in_order() -> None:
    """Long results are converted in blocks."""
    rows = [(str(i).encode(), b"n", b"d") for i in range(20_000)]

    (result,) = read(framed(result_set(COLUMNS, rows)), 1 << 16).result_sets

    assert all(a["id"] + 1 == b["id"] for a, b in pairwise(result))
    assert len(result) == 20_000
