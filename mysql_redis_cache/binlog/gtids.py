"""Sets of MySQL's GTIDs as the bytes that the log and the dump command hold.

Source: libs/mysql/gtid/gtid_set.h and ``Gtid_set::encode`` of sql/rpl_gtid_set.cc in MySQL's source; tags
came with 8.3, and with them a second form.
"""

from __future__ import annotations

from uuid import UUID

from mysql_redis_cache.gtids import GtidSet, by_bytes, merged

from .cursor import Cursor  # noqa: TC001

__all__ = ["decode_gtid_set", "encode_gtid_set", "varlen"]

_TAGGED = 1


def encode_gtid_set(gtids: GtidSet) -> bytes:
    """Write a set as COM_BINLOG_DUMP_GTID takes it; with tags only if it has any."""
    is_tagged = any(tag for _, tag in gtids)
    count = len(gtids)
    parts = [(_TAGGED << 56 | count << 8 | _TAGGED if is_tagged else count).to_bytes(8, "little")]
    for (source, tag), ranges in sorted(gtids.items(), key=by_bytes):
        parts.append(source.bytes)
        if is_tagged:
            parts.append(bytes([len(tag) << 1]) + tag.encode("ascii"))
        parts.append(len(ranges).to_bytes(8, "little"))
        parts += [bound.to_bytes(8, "little") for first, last in ranges for bound in (first, last + 1)]
    return b"".join(parts)


def decode_gtid_set(body: Cursor) -> GtidSet:
    """Read a set from such bytes, to their end.

    Raises:
        ValueError: they are none.
    """
    head = body.uint(8)
    is_tagged = head >> 56 == _TAGGED
    gtids: GtidSet = {}
    for _ in range(head >> 8 & 0xFFFF_FFFF_FFFF if is_tagged else head):
        source = UUID(bytes=body.take(16))
        tag = body.take(varlen(body)).decode("ascii") if is_tagged else ""
        bounds = [(body.uint(8), body.uint(8) - 1) for _ in range(body.uint(8))]
        gtids[source, tag] = merged(bounds)
    body.finish()
    return gtids


def varlen(body: Cursor) -> int:
    """Take an integer of 1 to 9 bytes; the number of ones at the low end of the first says how many follow.

    Source: libs/mysql/serialization/variable_length_integers.h
    """
    first = body.uint(1)
    more = ((first + 1) & ~first).bit_length() - 1
    if more >= 8:
        return body.uint(8)
    return body.uint(more) << 7 - more | first >> more + 1
