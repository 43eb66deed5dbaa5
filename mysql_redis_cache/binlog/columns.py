"""Types of columns: what a table map says of them, and how many bytes a value takes in a row.

Source: "Table map event" and "Rows event" of
https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_replication_binlog_event.html, and
``calc_field_size`` of libs/mysql/binlog/event/binary_log_funcs.cpp in MySQL's source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .cursor import Malformed
from .decimals import decimal_size
from .kinds import (
    BIT,
    BLOB,
    BLOB_COMPRESSED,
    DATE,
    DATETIME,
    DATETIME2,
    DOUBLE,
    ENUM,
    FLOAT,
    GEOMETRY,
    INT24,
    JSON,
    LONG,
    LONGLONG,
    NEWDATE,
    NEWDECIMAL,
    NULL,
    SET,
    SHORT,
    STRING,
    TIME,
    TIME2,
    TIMESTAMP,
    TIMESTAMP2,
    TINY,
    VAR_STRING,
    VARCHAR,
    VARCHAR_COMPRESSED,
    VECTOR,
    YEAR,
)

__all__ = ["INTEGERS", "Column", "Shape", "metadata_width", "shape_of"]

INTEGERS = {TINY: "b", SHORT: "h", LONG: "i", LONGLONG: "q"}
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
_METADATA = {
    **dict.fromkeys([FLOAT, DOUBLE, TIMESTAMP2, DATETIME2, TIME2], 1),
    **dict.fromkeys(_COUNTED, 1),
    **dict.fromkeys([*_STRINGS, NEWDECIMAL, BIT, ENUM, SET], 2),
}


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
        decimals: how many a FLOAT(M,D) or DOUBLE(M,D) shows; ``None`` if it is none.
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
    decimals: int | None = None


def metadata_width(kind: int) -> int:
    """Return how many bytes of metadata a type has in a table map.

    Raises:
        Malformed: the type is not known.
    """
    if kind in _METADATA:
        return _METADATA[kind]
    if kind in INTEGERS or kind in _FIXED:
        return 0
    raise Malformed(f"columns of type {kind} are not known")


class Shape(NamedTuple):
    """How a value lies in a row: fixed, a *code* of ``struct``; or behind a length of *prefix* bytes."""

    code: str
    prefix: int


def shape_of(column: Column) -> Shape:
    """Return how a column's values lie in a row.

    Raises:
        Malformed: its type or metadata are not known, so that nobody can tell where the next value begins.
    """
    kind, metadata = column.type, column.metadata
    if kind in INTEGERS:
        return Shape(INTEGERS[kind].upper() if column.is_unsigned else INTEGERS[kind], 0)
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
