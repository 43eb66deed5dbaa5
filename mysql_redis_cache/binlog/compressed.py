"""What the servers compress: MySQL's transactions (zstd), MariaDB's events and columns (zlib).

Nothing is unpacked beyond the size that is announced, nothing announced beyond what a server could write is
believed, and a transaction is unpacked a piece at a time, so that memory holds one event of it.
"""

from __future__ import annotations

import zlib
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .cursor import Malformed
from .events import HEADER_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .cursor import Cursor

__all__ = ["LARGEST", "inflate", "inner_events", "parse_payload", "unzip_column"]


def _find_zstd() -> Any:
    """Return the module, which is Python's own from 3.14 on; ``None`` if there is none."""
    for name in ("compression.zstd", "backports.zstd"):
        with suppress(ImportError):
            return import_module(name)
    return None


_zstd = _find_zstd()

LARGEST = 1 << 30
"""The size of the largest event or value: the most that ``max_allowed_packet`` can be."""

_PIECE = 1 << 18
_END, _SIZE, _COMPRESSION, _UNCOMPRESSED_SIZE = 0, 1, 2, 3
_ZSTD, _NONE = 0, 255
_ZLIB, _RAW = 0x80, 0x08


def inflate(data: bytes) -> bytes:
    """Unpack the body of one of MariaDB's compressed events.

    Source: the comment above ``binlog_buf_compress`` in sql/log_event.cc of MariaDB's source: a byte of
    0x80 | size of the size, the size (the highest byte first), a zlib stream.

    Raises:
        Malformed: it is not packed in this way.
    """
    if data[:1] < b"\x80" or data[0] & 0xF8 != _ZLIB:
        raise Malformed("compressed in a way that is not known")
    return _unpack(data, zlib.MAX_WBITS)


def unzip_column(data: bytes) -> bytes:
    """Unpack a value of a COMPRESSED column of MariaDB.

    Source: ``Field_longstr::uncompress`` in sql/field.cc of MariaDB's source: a byte of 0 before what is not
    packed; else of 0x80 | 0x08 (if the stream has neither header nor checksum) | size of the size.

    Raises:
        Malformed: it is not packed in this way.
    """
    if not data or data[0] == 0:
        return data[1:]
    if data[0] & 0xF0 != _ZLIB:
        raise Malformed("a column compressed in a way that is not known")
    return _unpack(data, -zlib.MAX_WBITS if data[0] & _RAW else zlib.MAX_WBITS)


def _unpack(data: bytes, window: int) -> bytes:
    start = 1 + (data[0] & 0x07)
    size = int.from_bytes(data[1:start], "big")
    if not 0 < size <= LARGEST:
        raise Malformed(f"{size} bytes are said to be packed in {len(data)}")
    stream = zlib.decompressobj(window)
    try:
        unpacked = stream.decompress(data[start:], size + 1)
    except zlib.error as error:
        raise Malformed(f"a broken zlib stream ({error})") from None
    if len(unpacked) != size or not stream.eof:
        raise Malformed(f"{len(unpacked)} bytes came out where {size} were announced")
    return unpacked


# --- transactions ------------------------------------------------------------------------------------------


def parse_payload(body: Cursor) -> tuple[int, int, bytes]:
    """Parse a TRANSACTION_PAYLOAD_EVENT: fields of type, length and value up to a type 0, then the payload.

    Source: https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Transaction__payload__event.html

    Returns:
        Compression (0 is zstd, 255 none), size of the unpacked payload (0 if it is not said), payload.

    Raises:
        Malformed: it is none.
    """
    found: dict[int, int] = {}
    while (kind := body.lenenc()) != _END:
        size = body.lenenc()
        start = body.position
        if kind in {_SIZE, _COMPRESSION, _UNCOMPRESSED_SIZE}:
            found[kind] = body.lenenc()
        body.skip(start + size - body.position)
    if _SIZE not in found or _COMPRESSION not in found:
        raise Malformed("a compressed transaction without its size or way of compression")
    payload = body.take(found[_SIZE])
    return found[_COMPRESSION], found.get(_UNCOMPRESSED_SIZE, 0), payload


def inner_events(compression: int, size: int, payload: bytes) -> Iterator[bytes]:
    """Unpack a transaction, one event after the other.

    Args:
        compression: as ``parse_payload`` returned it, like the others.
        size: of the unpacked payload; 0 if it is not known.
        payload: the packed bytes.

    Yields:
        Each event, header first, without checksum.

    Raises:
        Malformed: after the events before it, at a place where it is broken, or longer than *size*.
    """
    if compression == _NONE:
        return _split([payload])
    if compression != _ZSTD:
        raise Malformed(f"a transaction compressed in way {compression}, which is not known")
    if _zstd is None:
        raise Malformed("a compressed transaction: install mysql-redis-cache[follow] to read it")
    return _split(_unpacked(payload, size))


def _unpacked(payload: bytes, size: int) -> Iterator[bytes]:
    done = 0
    while payload:
        frame = _zstd.ZstdDecompressor()
        while not frame.eof:
            try:
                piece = frame.decompress(payload, _PIECE)
            except _zstd.ZstdError as error:
                raise Malformed(f"a broken zstd stream ({error})") from None
            payload = b""
            done += len(piece)
            if size and done > size:
                raise Malformed(f"more came out than the {size} bytes that were announced")
            if not piece and frame.needs_input and not frame.eof:
                raise Malformed(f"a zstd stream that ends after {done} bytes")
            yield piece
        payload = frame.unused_data
    if size and done != size:
        raise Malformed(f"{done} bytes came out where {size} were announced")


def _split(pieces: Iterable[bytes]) -> Iterator[bytes]:
    kept = bytearray()
    for piece in pieces:
        kept += piece
        start = 0
        while (size := _size_at(kept, start)) is not None and len(kept) - start >= size:
            yield bytes(kept[start : start + size])
            start += size
        del kept[:start]
    if kept:
        raise Malformed(f"{len(kept)} bytes at the end of a transaction are no event")


def _size_at(data: bytearray, start: int) -> int | None:
    if len(data) - start < HEADER_SIZE:
        return None
    size = int.from_bytes(data[start + 9 : start + 13], "little")
    if not HEADER_SIZE <= size <= LARGEST:
        raise Malformed(f"an event of {size} bytes in a compressed transaction")
    return size
