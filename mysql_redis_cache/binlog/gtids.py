"""Sets of MySQL's GTIDs, as text and as the bytes that the log and the dump command hold.

Source: libs/mysql/gtid/gtid_set.h and ``Gtid_set::encode`` of sql/rpl_gtid_set.cc in MySQL's source; tags
came with 8.3, and with them a second form of the bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from .cursor import Cursor  # noqa: TC001

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["GtidSet", "decode_gtid_set", "encode_gtid_set", "parse_gtid_set", "show_gtid_set", "varlen"]

GtidSet = dict[tuple[UUID, str], tuple[tuple[int, int], ...]]
"""By source and tag: ranges of numbers, both ends included, in order."""

_TAGGED = 1


def parse_gtid_set(text: str) -> GtidSet:
    """Read a set from its text.

    Args:
        text: as MySQL writes it, ``uuid:1-5:7,uuid:tag:1``; spaces and line ends do not count.

    Returns:
        The set.

    Raises:
        ValueError: it is none.
    """
    ranges: dict[tuple[UUID, str], list[tuple[int, int]]] = {}
    for part in filter(None, "".join(text.split()).split(",")):
        source, *rest = part.split(":")
        tag = ""
        for item in rest:
            if not item[:1].isdigit():
                tag = item.lower()
                continue
            first, _, last = item.partition("-")
            ranges.setdefault((UUID(source), tag), []).append((int(first), int(last or first)))
    return {key: _merged(found) for key, found in sorted(ranges.items(), key=_by_bytes)}


def show_gtid_set(gtids: GtidSet) -> str:
    """Write a set as MySQL does."""
    written: dict[UUID, list[str]] = {}
    for (source, tag), ranges in sorted(gtids.items(), key=_by_bytes):
        numbers = [str(first) if first == last else f"{first}-{last}" for first, last in ranges]
        written.setdefault(source, []).extend([*filter(None, [tag]), *numbers])
    return ",".join([":".join([str(source), *items]) for source, items in written.items()])


def encode_gtid_set(gtids: GtidSet) -> bytes:
    """Write a set as COM_BINLOG_DUMP_GTID takes it; with tags only if it has any."""
    is_tagged = any(tag for _, tag in gtids)
    count = len(gtids)
    parts = [(_TAGGED << 56 | count << 8 | _TAGGED if is_tagged else count).to_bytes(8, "little")]
    for (source, tag), ranges in sorted(gtids.items(), key=_by_bytes):
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
        gtids[source, tag] = _merged(bounds)
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


def _merged(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if not 0 < first <= last < 2**63:
            raise ValueError(f"{first}-{last} is no range of a GTID set")
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


def _by_bytes(item: tuple[tuple[UUID, str], object]) -> tuple[bytes, str]:
    (source, tag), _ = item
    return source.bytes, tag
