"""What ``information_schema`` declares of a table, to fill in what the log leaves open.

With ``binlog_row_metadata=MINIMAL`` (MySQL) or ``NO_LOG`` (MariaDB) a log has no names of columns, and
MariaDB never tells a UUID from a BINARY(16). A declaration counts only if every column of it fits what the
log does say: the schema is that of now, the log's of then.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from . import kinds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .columns import Column

__all__ = ["Declared", "complete"]

_TYPE = re.compile(r"(\w+)(?:\((.*)\))?([^)]*)", re.DOTALL)
_MEMBER = re.compile(r"'((?:[^']|'')*)'")


@dataclass(frozen=True, slots=True)
class Declared:
    """One row of ``information_schema.columns``, in the order of ``ORDINAL_POSITION``.

    Attributes:
        name: ``COLUMN_NAME``.
        type: ``COLUMN_TYPE``, such as ``int(10) unsigned`` or ``enum('a','b')``.
        charset: ``CHARACTER_SET_NAME``; ``None`` if it has none.
    """

    name: str
    type: str
    charset: str | None = None

    @property
    def word(self) -> str:
        """The type's name alone."""
        found = _TYPE.match(self.type.lower())
        return found[1] if found else ""

    @property
    def arguments(self) -> str:
        """What the type has in parentheses."""
        found = _TYPE.match(self.type)
        return found[2] or "" if found else ""

    @property
    def is_unsigned(self) -> bool:
        """Whether it has no sign, as ZEROFILL has none."""
        words = self.type.lower().rpartition(")")[2].split()
        return "unsigned" in words or "zerofill" in words or self.word == "year"

    @property
    def members(self) -> tuple[str, ...] | None:
        """The texts of an ENUM or SET."""
        if self.word not in {"enum", "set"}:
            return None
        return tuple([member.replace("''", "'") for member in _MEMBER.findall(self.arguments)])


_KINDS: dict[str, frozenset[int]] = {
    "tinyint": frozenset([kinds.TINY]),
    "smallint": frozenset([kinds.SHORT]),
    "mediumint": frozenset([kinds.INT24]),
    "int": frozenset([kinds.LONG]),
    "bigint": frozenset([kinds.LONGLONG]),
    "float": frozenset([kinds.FLOAT]),
    "double": frozenset([kinds.DOUBLE]),
    "decimal": frozenset([kinds.NEWDECIMAL]),
    "bit": frozenset([kinds.BIT]),
    "year": frozenset([kinds.YEAR]),
    "date": frozenset([kinds.DATE, kinds.NEWDATE]),
    "time": frozenset([kinds.TIME, kinds.TIME2]),
    "datetime": frozenset([kinds.DATETIME, kinds.DATETIME2]),
    "timestamp": frozenset([kinds.TIMESTAMP, kinds.TIMESTAMP2]),
    **dict.fromkeys(["char", "binary", "uuid", "inet6", "inet4"], frozenset([kinds.STRING])),
    **dict.fromkeys(
        ["varchar", "varbinary"], frozenset([kinds.VARCHAR, kinds.VAR_STRING, kinds.VARCHAR_COMPRESSED])
    ),
    "vector": frozenset([kinds.VECTOR, kinds.VARCHAR]),
    "json": frozenset([kinds.JSON, kinds.BLOB]),
    "enum": frozenset([kinds.ENUM]),
    "set": frozenset([kinds.SET]),
    **dict.fromkeys(
        [f"{size}{kind}" for size in ("tiny", "", "medium", "long") for kind in ("blob", "text")],
        frozenset([kinds.BLOB, kinds.BLOB_COMPRESSED]),
    ),
    **dict.fromkeys(
        [
            f"{many}{shape}"
            for many in ("", "multi")
            for shape in ("point", "linestring", "polygon", "geometry")
        ],
        frozenset([kinds.GEOMETRY]),
    ),
    **dict.fromkeys(["geometrycollection", "geomcollection"], frozenset([kinds.GEOMETRY])),
}
_BYTES = frozenset(
    ["binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "uuid", "inet6", "inet4"]
)


def complete(columns: Sequence[Column], declared: Sequence[Declared]) -> tuple[Column, ...]:
    """Fill in what a table map leaves open.

    Args:
        columns: as the log has them.
        declared: as the schema has them; none is as good as one that does not fit.

    Returns:
        The columns, with names, signs, character sets and members where the log had none.
    """
    if len(columns) != len(declared) or not all(map(_fits, columns, declared)):
        return tuple(columns)
    return tuple(map(_completed, columns, declared))


def _fits(column: Column, declared: Declared) -> bool:
    if column.type not in _KINDS.get(declared.word, ()):
        return False
    if not column.name.startswith("@") and column.name != declared.name:
        return False
    if column.is_unsigned is not None and column.is_unsigned != declared.is_unsigned:
        return False
    if column.members is not None and column.members != declared.members:
        return False
    return _fits_in_detail(column, declared)


def _fits_in_detail(column: Column, declared: Declared) -> bool:
    charset = _charset(declared)
    if None not in {column.charset, charset} and column.charset != charset:
        return False
    if column.type == kinds.NEWDECIMAL:
        return declared.arguments == f"{column.metadata & 0xFF},{column.metadata >> 8}"
    if column.type in {kinds.TIME2, kinds.DATETIME2, kinds.TIMESTAMP2}:
        return (declared.arguments or "0") == str(column.metadata)
    if declared.word in {"uuid", "inet6", "inet4"}:
        return column.metadata == (4 if declared.word == "inet4" else 16)
    return True


def _charset(declared: Declared) -> str | None:
    if declared.word in _BYTES:
        return "binary"
    return "utf8mb3" if declared.charset == "utf8" else declared.charset


def _completed(column: Column, declared: Declared) -> Column:
    is_number = column.type in kinds.NUMBERS and column.is_unsigned is None
    return replace(
        column,
        name=declared.name,
        is_unsigned=declared.is_unsigned if is_number else column.is_unsigned,
        charset=column.charset or _charset(declared),
        members=column.members or declared.members,
        declared=declared.word,
        decimals=_decimals(declared),
    )


def _decimals(declared: Declared) -> int | None:
    _, mark, decimals = declared.arguments.partition(",")
    return int(decimals) if mark and declared.word in {"float", "double"} else None
