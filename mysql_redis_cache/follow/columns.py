"""Types of columns: how many bytes a value takes in a row, and what it is.

A row is cut into cells first, a cell being an integer, a float or bytes, and the cells of a column are read
together: most columns need a call of C for many rows, or nothing at all.

Source: "Table map event" and "Rows event" of
https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_replication_binlog_event.html, and
``calc_field_size`` of libs/mysql/binlog/event/binary_log_funcs.cpp in MySQL's source.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from . import temporal
from .charsets import decoder
from .compressed import unzip_column
from .cursor import Malformed
from .decimals import decimal_reader, decimal_size
from .json_binary import json_text
from .networks import ADDRESSES, pad
from .spellings import Bits, JsonText, Single, Undecodable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from .spellings import Value

    Read = Callable[[Any], Value]
    ReadColumn = Callable[[list[Any]], list[Value]]

__all__ = ["CHARACTERS", "ENUM", "GEOMETRY", "NUMBERS", "SET", "STRING", "VECTOR", "Column", "Shape", "column_reader", "metadata_width", "shape_of"]

# https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html; the last two are MariaDB's.
TINY, SHORT, LONG, FLOAT, DOUBLE, NULL, TIMESTAMP, LONGLONG, INT24 = 1, 2, 3, 4, 5, 6, 7, 8, 9
DATE, TIME, DATETIME, YEAR, NEWDATE, VARCHAR, BIT = 10, 11, 12, 13, 14, 15, 16
TIMESTAMP2, DATETIME2, TIME2 = 17, 18, 19
VECTOR, JSON, NEWDECIMAL, ENUM, SET, BLOB, VAR_STRING, STRING, GEOMETRY = (
    242, 245, 246, 247, 248, 252, 253, 254, 255,
)  # fmt: skip
BLOB_COMPRESSED, VARCHAR_COMPRESSED = 140, 141

NUMBERS = frozenset([TINY, SHORT, INT24, LONG, LONGLONG, NEWDECIMAL, FLOAT, DOUBLE, YEAR])
"""Those of which a table map says whether they are unsigned."""

CHARACTERS = frozenset([STRING, VAR_STRING, VARCHAR, BLOB, BLOB_COMPRESSED, VARCHAR_COMPRESSED])
"""Those of which a table map says the collation."""

_INTEGERS = {TINY: "b", SHORT: "h", LONG: "i", LONGLONG: "q"}
_FIXED = {
    FLOAT: "f",
    DOUBLE: "d",
    NULL: "",
    TIMESTAMP: "I",
    INT24: "3s",
    DATE: "3s",
    NEWDATE: "3s",
    TIME: "3s",
    DATETIME: "Q",
    YEAR: "B",
}
_FRACTIONAL = {TIMESTAMP2: 4, DATETIME2: 5, TIME2: 3}
_COUNTED = {BLOB, BLOB_COMPRESSED, JSON, GEOMETRY, VECTOR}
_STRINGS = {VARCHAR, VAR_STRING, STRING, VARCHAR_COMPRESSED}
_COMPRESSED = {BLOB_COMPRESSED, VARCHAR_COMPRESSED}
_METADATA = {
    **dict.fromkeys([FLOAT, DOUBLE, TIMESTAMP2, DATETIME2, TIME2], 1),
    **dict.fromkeys(_COUNTED, 1),
    **dict.fromkeys([*_STRINGS, NEWDECIMAL, BIT, ENUM, SET], 2),
}
_ERRORS = (ValueError, LookupError, ArithmeticError, RecursionError)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, as its table map describes it.

    Attributes:
        name: ``@3`` for the third if the log does not say (``binlog_row_metadata=MINIMAL``).
        type: its number; ENUM and SET are told apart from the STRING that they are logged as.
        metadata: of that type: bytes of length, decimals, precision and scale; 16 bits.
        is_nullable: whether it may be NULL.
        is_unsigned: of numbers; ``None`` if the log does not say.
        charset: of texts; ``binary`` for bytes, ``None`` if the log does not say or the set is not known.
        members: the texts of ENUM and SET; ``None`` if the log does not say.
        is_visible: whether ``SELECT *`` shows it.
        declared: the type that ``information_schema`` gives it, for what the log does not tell apart.
    """

    name: str
    type: int
    metadata: int
    is_nullable: bool = True
    is_unsigned: bool | None = None
    charset: str | None = None
    members: tuple[str, ...] | None = None
    is_visible: bool = True
    declared: str | None = None


def metadata_width(kind: int) -> int:
    """Return how many bytes of metadata a type has in a table map.

    Raises:
        Malformed: the type is not known.
    """
    if kind in _METADATA:
        return _METADATA[kind]
    if kind in _INTEGERS or kind in _FIXED:
        return 0
    raise Malformed(f"columns of type {kind} are not known")


class Shape(NamedTuple):
    """How a value lies in a row: fixed, as *code* of ``struct`` says; or behind a length of *prefix* bytes."""

    code: str
    prefix: int


def shape_of(column: Column) -> Shape:
    """Return how a column's values lie in a row.

    Raises:
        Malformed: its type or metadata are not known, so that nobody can tell where the next value begins.
    """
    kind, metadata = column.type, column.metadata
    if kind in _INTEGERS:
        return Shape(_INTEGERS[kind].upper() if column.is_unsigned else _INTEGERS[kind], 0)
    if kind in _FIXED:
        return Shape(_FIXED[kind], 0)
    if kind in _STRINGS:
        return Shape("", 2 if metadata > 255 else 1)
    if kind in _COUNTED and 1 <= metadata <= 4:
        return Shape("", metadata)
    return Shape(f"{_size(kind, metadata)}s", 0)


def _size(kind: int, metadata: int) -> int:
    if kind in _FRACTIONAL and metadata <= 6:
        return _FRACTIONAL[kind] + (metadata + 1) // 2
    if kind == NEWDECIMAL:
        return decimal_size(metadata & 0xFF, metadata >> 8)
    if kind == BIT and metadata & 0xFF < 8 and metadata >> 8 <= 8:
        return (metadata >> 8) + bool(metadata & 0xFF)
    if kind in {ENUM, SET} and 1 <= metadata <= 8:
        return metadata
    raise Malformed(f"columns of type {kind} with metadata {metadata} are not known")


def column_reader(column: Column, zone: tzinfo, is_mariadb: bool) -> ReadColumn:
    """Return the function that makes values of a column's cells.

    Args:
        column: the column.
        zone: the time zone in which TIMESTAMP is told.
        is_mariadb: whether MariaDB wrote the log.

    Returns:
        A function of a list of cells (``None`` for NULL), which never raises: what does not decode is
        ``Undecodable``.
    """
    try:
        read = _reader(column, zone, is_mariadb)
    except Malformed as error:
        whole = Undecodable(f"column {column.name}: {error}")
        return lambda cells: [None if cell is None else whole for cell in cells]
    return list if read is None else partial(_read_all, read, column.name)


def _read_all(read: Read, name: str, cells: list[Any]) -> list[Value]:
    try:
        if None in cells:
            return [None if cell is None else read(cell) for cell in cells]
        return list(map(read, cells))
    except _ERRORS:
        return [_read_one(read, name, cell) for cell in cells]


def _read_one(read: Read, name: str, cell: Any) -> Value:
    if cell is None or isinstance(cell, Undecodable):
        return cell
    try:
        return read(cell)
    except _ERRORS as error:
        what = type(error).__name__ if isinstance(error, UnicodeError) else error
        return Undecodable(f"column {name}: {what}")


def _reader(column: Column, zone: tzinfo, is_mariadb: bool) -> Read | None:
    """Return the function that makes a value of a cell; ``None`` if a cell is its value."""
    kind, metadata = column.type, column.metadata
    if kind in NUMBERS:
        return _number_reader(column)
    if kind in CHARACTERS:
        return _string_reader(column, is_mariadb)
    if kind == ENUM:
        return partial(_enum, _members(column))
    if kind == SET:
        return partial(_set, _members(column))
    if kind in _TEMPORAL:
        return _TEMPORAL[kind](metadata, zone)
    return {BIT: Bits, JSON: _json}.get(kind)


# --- numbers -----------------------------------------------------------------------------------------------


def _number_reader(column: Column) -> Read | None:
    kind = column.type
    if kind == INT24:
        return _unsure(column, partial(_int24, not column.is_unsigned))
    if kind in _INTEGERS:
        return _unsure(column, None)
    if kind == NEWDECIMAL:
        return decimal_reader(column.metadata & 0xFF, column.metadata >> 8)
    return {FLOAT: _float, DOUBLE: _double, YEAR: temporal.year}[kind]


def _unsure(column: Column, read: Callable[[Any], int] | None) -> Read | None:
    """Refuse numbers that would be others if they were unsigned, where the log does not say."""
    if column.is_unsigned is not None:
        return read

    def sure(cell: Any) -> int:
        number: int = cell if read is None else read(cell)
        if number < 0:
            raise Malformed("the log does not say whether it is unsigned")
        return number

    return sure


def _int24(is_signed: bool, cell: bytes) -> int:
    return int.from_bytes(cell, "little", signed=is_signed)


def _double(cell: float) -> float:
    if not math.isfinite(cell):
        raise Malformed("a number that is not finite")
    return cell


def _float(cell: float) -> Single:
    return Single(_double(cell))


# --- texts and bytes ---------------------------------------------------------------------------------------


def _string_reader(column: Column, is_mariadb: bool) -> Read | None:
    decode = _decode(column, is_mariadb)
    if column.type not in _COMPRESSED:
        return decode
    return unzip_column if decode is None else lambda cell: decode(unzip_column(cell))


def _decode(column: Column, is_mariadb: bool) -> Read | None:
    if column.charset is None:
        raise Malformed("the log does not say in which known character set it is")
    if column.charset != "binary":
        decode = decoder(column.charset)
        if decode is None:
            raise Malformed(f"character set {column.charset} is not known")
        return decode
    if column.type != STRING:
        return None
    return _binary_reader(column.metadata, column.declared) if is_mariadb else partial(pad, column.metadata)


def _binary_reader(size: int, declared: str | None) -> Read:
    """MariaDB logs UUID, INET6 and INET4 as the BINARY in which it keeps them."""
    if declared in ADDRESSES:
        return ADDRESSES[declared]
    if declared is None and size in {4, 16}:
        raise Malformed(f"BINARY({size}), UUID or INET are one in the log; declare the table's columns")
    return partial(pad, size)


def _members(column: Column) -> tuple[str, ...]:
    if column.members is None:
        raise Malformed("the log does not say what its numbers stand for (binlog_row_metadata is not FULL)")
    return column.members


def _enum(members: tuple[str, ...], cell: bytes) -> str:
    place = int.from_bytes(cell, "little")
    return members[place - 1] if place else ""


def _set(members: tuple[str, ...], cell: bytes) -> str:
    bits = int.from_bytes(cell, "little")
    if bits >> len(members):
        raise Malformed("it has more members than the table says")
    return ",".join([member for place, member in enumerate(members) if bits >> place & 1])


def _json(cell: bytes | Undecodable) -> JsonText | Undecodable:
    return cell if isinstance(cell, Undecodable) else JsonText(json_text(cell))


# --- dates and times ---------------------------------------------------------------------------------------

_TEMPORAL: dict[int, Callable[[int, tzinfo], Read]] = {
    DATE: lambda _, __: lambda cell: temporal.date_text(int.from_bytes(cell, "little")),
    NEWDATE: lambda _, __: lambda cell: temporal.date_text(int.from_bytes(cell, "little")),
    TIME: lambda _, __: lambda cell: temporal.time_text(int.from_bytes(cell, "little", signed=True)),
    DATETIME: lambda _, __: temporal.datetime_text,
    TIMESTAMP: lambda _, zone: temporal.timestamp_text(zone),
    TIME2: lambda decimals, _: temporal.time2(decimals),
    DATETIME2: lambda decimals, _: temporal.datetime2(decimals),
    TIMESTAMP2: temporal.timestamp2,
}
