"""Numbers of the types of columns, and which of them a table map says more about.

Source: https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html; the last two are MariaDB's.
"""

from __future__ import annotations

__all__ = [
    "BIT",
    "BLOB",
    "BLOB_COMPRESSED",
    "CHARACTERS",
    "DATE",
    "DATETIME",
    "DATETIME2",
    "DOUBLE",
    "ENUM",
    "FLOAT",
    "GEOMETRY",
    "INT24",
    "JSON",
    "LONG",
    "LONGLONG",
    "NEWDATE",
    "NEWDECIMAL",
    "NULL",
    "NUMBERS",
    "SET",
    "SHORT",
    "STRING",
    "TIME",
    "TIME2",
    "TIMESTAMP",
    "TIMESTAMP2",
    "TINY",
    "VARCHAR",
    "VARCHAR_COMPRESSED",
    "VAR_STRING",
    "VECTOR",
    "YEAR",
]

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
