"""Cells of rows to values, by the column that they are of.

A row is cut into cells first, a cell being an integer, a float or bytes, and the cells of a column are read
together: most columns need a call of C for many rows, or nothing at all.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from . import temporal
from .charsets import decoder
from .columns import INTEGERS
from .compressed import unzip_column
from .cursor import Malformed
from .decimals import decimal_reader
from .json_binary import json_text
from .kinds import (
    BIT,
    BLOB_COMPRESSED,
    CHARACTERS,
    DATE,
    DATETIME,
    DATETIME2,
    DOUBLE,
    ENUM,
    FLOAT,
    INT24,
    JSON,
    NEWDATE,
    NEWDECIMAL,
    NUMBERS,
    SET,
    STRING,
    TIME,
    TIME2,
    TIMESTAMP,
    TIMESTAMP2,
    VARCHAR_COMPRESSED,
    YEAR,
)
from .networks import ADDRESSES, pad
from .spellings import Bits, JsonText, Single, Undecodable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from .columns import Column
    from .spellings import Value

    Read = Callable[[Any], Value]
    ReadColumn = Callable[[list[Any]], list[Value]]

__all__ = ["column_reader"]

_COMPRESSED = {BLOB_COMPRESSED, VARCHAR_COMPRESSED}
_ERRORS = (ValueError, LookupError, ArithmeticError, RecursionError)


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
    others: dict[int, Read] = {BIT: Bits, JSON: _json}
    return others.get(kind)


# --- numbers -----------------------------------------------------------------------------------------------


def _number_reader(column: Column) -> Read | None:
    kind = column.type
    if kind == INT24:
        return _unsure(column, partial(_int24, not column.is_unsigned))
    if kind in INTEGERS:
        return _unsure(column, None)
    if kind == NEWDECIMAL:
        return decimal_reader(column.metadata & 0xFF, column.metadata >> 8)
    others: dict[int, Read] = {FLOAT: _float, DOUBLE: partial(_double, column.decimals), YEAR: temporal.year}
    return others[kind]


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


def _double(decimals: int | None, cell: float) -> float:
    if not math.isfinite(cell):
        raise Malformed("a number that is not finite")
    return cell if decimals is None else float(f"{cell:.{decimals}f}")


def _float(cell: float) -> Single:
    return Single(_double(None, cell))


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
