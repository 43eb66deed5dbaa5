"""Replies as a MySQL server sends them, made by hand."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from mysql_redis_cache.database.wire import Dialect, Packets

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mysql_redis_cache.values.rows import Column

LONGEST = 2**24 - 1
OLD = Dialect()
NEW = Dialect(ends_with_ok=True, describes_more=True)
MORE_RESULTS = 8


def lenenc(data: bytes | None) -> bytes:
    """Length-encoded bytes, or NULL."""
    if data is None:
        return b"\xfb"
    size = len(data)
    if size < 251:
        return bytes([size]) + data
    if size < 2**16:
        return b"\xfc" + struct.pack("<H", size) + data
    if size < 2**24:
        return b"\xfd" + struct.pack("<I", size)[:3] + data
    return b"\xfe" + struct.pack("<Q", size) + data


def column_payload(column: Column, more: bytes | None = None) -> bytes:
    """A column definition, with MariaDB's extended metadata if there are *more*."""
    names = [b"def", b"schema", b"t", b"t", column.name.encode(), column.name.encode()]
    fixed = struct.pack("<BHIBHBxx", 12, column.charset, 80, column.type_code, column.flags, column.decimals)
    return b"".join(map(lenenc, names)) + (b"" if more is None else lenenc(more)) + fixed


def end_payload(status: int = 2, warnings: int = 0) -> bytes:
    """The end of the columns or of the rows."""
    return struct.pack("<BHH", 0xFE, warnings, status)


def ok_payload(affected: int = 0, insert_id: int = 0, status: int = 2, info: bytes = b"") -> bytes:
    """An OK packet."""
    return bytes([0, affected, insert_id]) + struct.pack("<HH", status, 0) + (lenenc(info) if info else b"")


def error_payload(errno: int = 1064, text: bytes = b"no") -> bytes:
    """An error packet."""
    return b"\xff" + struct.pack("<H", errno) + b"#42000" + text


def result_set(
    columns: Sequence[Column], rows: Iterable[Sequence[bytes | None]], status: int = 2
) -> list[bytes]:
    """The payloads of one result set."""
    return [
        bytes([len(columns)]),
        *map(column_payload, columns),
        end_payload(),
        *(b"".join(map(lenenc, row)) for row in rows),
        end_payload(status),
    ]


def new_result_set(
    columns: Sequence[tuple[Column, bytes]], rows: Iterable[Sequence[bytes | None]], status: int = 2
) -> list[bytes]:
    """The same with extended metadata, and an OK packet for its end."""
    return [
        bytes([len(columns)]),
        *(column_payload(column, more) for column, more in columns),
        *(b"".join(map(lenenc, row)) for row in rows),
        b"\xfe" + ok_payload(status=status)[1:],
    ]


def framed(payloads: Iterable[bytes], first: int = 1) -> bytes:
    """The bytes of a reply; payloads too long for a packet are split."""
    out = bytearray()
    number = first
    for payload in payloads:
        rest = payload
        while True:
            part, rest = rest[:LONGEST], rest[LONGEST:]
            out += struct.pack("<I", len(part))[:3] + bytes([number & 255]) + part
            number += 1
            if len(part) < LONGEST:
                break
    return bytes(out)


class Source:
    """A connection that delivers *data* in pieces of at most *piece* bytes."""

    def __init__(self, data: bytes, piece: int = 2**30) -> None:
        self.data = data
        self.piece = piece
        self.position = 0

    def packets(self, dialect: Dialect = OLD) -> Packets:
        """The reply's packets."""
        return Packets(self.read, lambda size: self.read(min(size, self.piece)), dialect=dialect)

    def read(self, size: int) -> bytes:
        """Up to *size* bytes."""
        data = self.data[self.position : self.position + size]
        self.position += len(data)
        return data
