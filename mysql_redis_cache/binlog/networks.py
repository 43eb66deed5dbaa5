"""MariaDB's UUID, INET6 and INET4, which its log holds as BINARY without the zeros at the end."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING
from uuid import UUID

from .cursor import Malformed

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ADDRESSES", "pad"]

_MAPPED = 0xFFFF


def pad(size: int, cell: bytes) -> bytes:
    """Return a BINARY with the zeros at its end, which the log leaves out."""
    if len(cell) > size:
        raise Malformed(f"{len(cell)} bytes in a column of {size}")
    return cell.ljust(size, b"\0")


def _uuid(cell: bytes) -> str:
    return str(UUID(bytes=pad(16, cell)))


def _inet4(cell: bytes) -> str:
    return ".".join(map(str, pad(4, cell)))


def _inet6(cell: bytes) -> str:
    """Write an address as ``Inet6::to_string`` of MariaDB does: the longest gap of zeros as ``::``."""
    raw = pad(16, cell)
    words = [int.from_bytes(raw[place : place + 2], "big") for place in range(0, 16, 2)]
    start, length = _longest_gap(words)
    if start == 0 and (length == 6 or (length == 5 and words[5] == _MAPPED)):
        return f"::{'ffff:' if length == 5 else ''}{_inet4(raw[12:])}"
    if not length:
        return ":".join([f"{word:x}" for word in words])
    head, tail = words[:start], words[start + length :]
    return "::".join([":".join([f"{word:x}" for word in part]) for part in (head, tail)])


def _longest_gap(words: list[int]) -> tuple[int, int]:
    gaps, place = [(0, 0)], 0
    for is_word, group in groupby(words, bool):
        length = len(list(group))
        if not is_word:
            gaps.append((place, length))
        place += length
    return max(gaps, key=lambda gap: gap[1])


ADDRESSES: dict[str | None, Callable[[bytes], str]] = {"uuid": _uuid, "inet6": _inet6, "inet4": _inet4}
"""By declared type."""
