"""GTIDs, by which servers name transactions, as text: MySQL's sets, and MariaDB's last of each domain.

MySQL's: ``Gtid_set`` of sql/rpl_gtid_set.cc in its source, with the tags that came with 8.3; MariaDB's:
https://mariadb.com/kb/en/gtid/. In memory alone, no I/O.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "GtidSet",
    "by_bytes",
    "count_missing",
    "covers",
    "is_gtids",
    "is_maria",
    "merged",
    "parse_gtid_set",
    "show_gtid_set",
]

GtidSet = dict[tuple[UUID, str], tuple[tuple[int, int], ...]]
"""By source and tag: ranges of numbers, both ends included, in order."""

_MARIA = re.compile(r"(?:\d+-\d+-\d+(?:,|\Z))*")


def is_maria(text: str) -> bool:
    """Whether a text is a list of MariaDB's ``domain-server-sequence``, none being one too."""
    return _MARIA.fullmatch(text) is not None


def is_gtids(text: str) -> bool:
    """Whether a text names transactions, one at least, in either form."""
    try:
        return bool(text) and (is_maria(text) or bool(parse_gtid_set(text)))
    except ValueError:
        return False


def covers(known: str, wanted: str) -> bool:
    """Whether all of some transactions are among others.

    Args:
        known: the others, in either form. Of MariaDB's a domain may be there several times, and each stands
            for all before it.
        wanted: those that are looked for.

    Returns:
        Whether they are; never if one is of MySQL and the other of MariaDB.

    Raises:
        ValueError: one is in neither form.
    """
    if is_maria(wanted):
        latest = _by_domain(known) if is_maria(known) else {}
        return all(latest.get(domain, 0) >= number for domain, number in _by_domain(wanted).items())
    there = {} if is_maria(known) else parse_gtid_set(known)
    return all(
        any(first <= low and high <= last for first, last in there.get(source, ()))
        for source, ranges in parse_gtid_set(wanted).items()
        for low, high in ranges
    )


def count_missing(known: str, wanted: str) -> int:
    """Count those of some transactions that are not among others.

    Args:
        known: the others, as of ``covers``.
        wanted: those that are counted, in the same form.

    Returns:
        How many; of MariaDB's by their numbers, of which some may be nobody's.

    Raises:
        ValueError: one is in neither form.
    """
    if is_maria(wanted):
        latest = _by_domain(known) if is_maria(known) else {}
        return sum(max(0, number - latest.get(domain, 0)) for domain, number in _by_domain(wanted).items())
    there = {} if is_maria(known) else parse_gtid_set(known)
    counted = 0
    for source, ranges in parse_gtid_set(wanted).items():
        for low, high in ranges:
            shared = [min(high, last) - max(low, first) + 1 for first, last in there.get(source, ())]
            counted += high - low + 1 - sum(max(0, each) for each in shared)
    return counted


def _by_domain(text: str) -> dict[str, int]:
    latest: dict[str, int] = {}
    for gtid in filter(None, text.split(",")):
        domain, _, number = gtid.split("-")
        latest[domain] = max(latest.get(domain, 0), int(number))
    return latest


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
    return {key: merged(found) for key, found in sorted(ranges.items(), key=by_bytes)}


def show_gtid_set(gtids: GtidSet) -> str:
    """Write a set as MySQL does."""
    written: dict[UUID, list[str]] = {}
    for (source, tag), ranges in sorted(gtids.items(), key=by_bytes):
        numbers = [str(first) if first == last else f"{first}-{last}" for first, last in ranges]
        written.setdefault(source, []).extend([*filter(None, [tag]), *numbers])
    return ",".join([":".join([str(source), *items]) for source, items in written.items()])


def merged(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Put ranges in order, those together that touch.

    Raises:
        ValueError: one is none.
    """
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if not 0 < first <= last < 2**63:
            raise ValueError(f"{first}-{last} is no range of a GTID set")
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return tuple(found)


def by_bytes(item: tuple[tuple[UUID, str], object]) -> tuple[bytes, str]:
    """Return what the server sorts the sources of a set by."""
    (source, tag), _ = item
    return source.bytes, tag
