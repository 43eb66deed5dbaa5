"""Streams that others write, read by a consumer group: what was read and not acknowledged is read again."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from .failures import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .config import Link

__all__ = ["Entry", "LostGroup", "Streams"]

_CONSUMER = b"leader"  # one reads at a time, and takes over what the one before has left
_MOST = 500
_BLOCK = 200
_NEW, _PENDING = b">", b"0"
_BEFORE = 60_000
"""Milliseconds before its making from which on a group reads."""


class LostGroup(Exception):
    """A stream or its group is gone, so that nobody knows what was read."""


class Entry(NamedTuple):
    """An entry of a stream.

    Attributes:
        stream: its name.
        id: its ID.
        fields: names and values in turn; ``None`` if it is gone, trimmed before it was acknowledged.
    """

    stream: str
    id: str
    fields: Sequence[bytes] | None


class Streams:
    """Some streams, for one group.

    Args:
        link: the way to their Redis, 7.0 or later.
        group: its name.
    """

    def __init__(self, link: Link, group: str) -> None:
        self._link = link
        self._group = group.encode()
        self._names: list[bytes] = []

    def have(self, name: str) -> bool:
        """Whether there is such a stream."""
        return bool(self._link.call(b"TYPE", name.encode()) == b"stream")

    def knows_counts(self) -> bool:
        """Whether the Redis tells what was trimmed, as it does from 7.0 on."""
        info = self._link.call(b"INFO", b"server").decode()
        versions = [line.partition(":")[2] for line in info.split() if line.startswith("redis_version:")]
        return bool(versions) and int(versions[0].partition(".")[0]) >= 7

    def choose(self, names: Iterable[str]) -> list[str]:
        """Be for these from now on; return those of which the group does not read yet."""
        self._names = [name.encode() for name in names]
        return [name.decode() for name in self._names if self._group_of(name) is None]

    def begin(self, names: Iterable[str]) -> None:
        """Have the group read some: what was added within the last minute, and what comes."""
        seconds, _ = self._link.call(b"TIME")
        start = b"%d-0" % max(int(seconds) * 1000 - _BEFORE, 0)
        for name in names:
            self._link.call(b"XGROUP", b"CREATE", name.encode(), self._group, start, b"MKSTREAM")

    def delivered(self) -> dict[str, str]:
        """Return the ID up to which each stream was read.

        Raises:
            LostGroup: a group is gone.
        """
        return {name.decode(): self._known(name)["last-delivered-id"].decode() for name in self._names}

    def skipped(self, known: Mapping[str, str]) -> list[str]:
        """Return the streams of which something was acknowledged behind the ID that is known.

        Args:
            known: by stream, the ID up to which entries were acknowledged, as far as it is known.

        Raises:
            LostGroup: a group is gone.
        """
        return [name.decode() for name in self._names if self._is_skipped(name, known.get(name.decode(), ""))]

    def _is_skipped(self, name: bytes, known: str) -> bool:
        following = self._ask(b"XRANGE", name, f"({known}" if known else "-", b"+", b"COUNT", 1)
        if not following or _order(following[0][0]) > _order(self._known(name)["last-delivered-id"]):
            return False
        _, first, *_ = self._ask(b"XPENDING", name, self._group)
        return bool(first != following[0][0])

    def gaps(self) -> list[str]:
        """Return the streams that were trimmed of what was not read.

        Raises:
            LostGroup: a group is gone.
        """
        return [name.decode() for name in self._names if self._removed(name) > self._read(name)]

    def count_unread(self) -> int:
        """Count the entries that were not read; those of a stream of which Redis cannot tell for nothing.

        Raises:
            LostGroup: a group is gone.
        """
        return sum(self._known(name)["lag"] or 0 for name in self._names)

    def pass_over(self, names: Iterable[str]) -> None:
        """Go on behind the gaps of some."""
        for name in [name.encode() for name in names]:
            place = (self._group, self._known(name)["last-delivered-id"], b"ENTRIESREAD", self._removed(name))
            self._link.call(b"XGROUP", b"SETID", name, *place)

    def _removed(self, name: bytes) -> int:
        stream = _fields(self._ask(b"XINFO", b"STREAM", name))
        return int(stream["entries-added"] - stream["length"])

    def _read(self, name: bytes) -> float:
        """How many were read; Redis does not know before it was any."""
        read = self._known(name)["entries-read"]
        return math.inf if read is None else int(read)

    def _known(self, name: bytes) -> dict[str, Any]:
        group = self._group_of(name)
        if group is None:
            raise LostGroup(f"the group of the stream {name.decode()} is gone")
        return group

    def _group_of(self, name: bytes) -> dict[str, Any] | None:
        try:
            groups = map(_fields, self._ask(b"XINFO", b"GROUPS", name))
        except LostGroup:  # the stream is not there yet
            return None
        return next((group for group in groups if group["name"] == self._group), None)

    def read(self, *, again: bool) -> list[Entry]:
        """Read entries; wait a fifth of a second for new ones.

        Args:
            again: those that were read before and not acknowledged, instead of new ones.

        Raises:
            LostGroup: a stream or its group is gone.
            CacheUnavailable: Redis did not answer.
        """
        start = [_PENDING if again else _NEW] * len(self._names)
        how = (b"GROUP", self._group, _CONSUMER, b"COUNT", _MOST, b"BLOCK", _BLOCK, b"STREAMS")
        replies = self._ask(b"XREADGROUP", *how, *self._names, *start) or []
        return [
            Entry(name.decode(), place.decode(), fields)
            for name, entries in replies
            for place, fields in entries
        ]

    def acknowledge(self, entries: Iterable[Entry]) -> None:
        """Have entries not be read again."""
        by_stream: dict[str, list[str]] = {}
        for entry in entries:
            by_stream.setdefault(entry.stream, []).append(entry.id)
        for name, ids in by_stream.items():
            with suppress(LostGroup):  # whoever reads next sees that
                self._ask(b"XACK", name.encode(), self._group, *ids)

    def _ask(self, *command: Any) -> Any:
        try:
            return self._link.call(*command)
        except Refused as error:
            if "NOGROUP" in str(error) or "no such key" in str(error).lower():
                raise LostGroup("a stream that was followed, or its group, is gone") from error
            raise


def _order(place: bytes) -> tuple[int, int]:
    milliseconds, _, number = place.partition(b"-")
    return int(milliseconds), int(number)


def _fields(reply: Sequence[Any]) -> dict[str, Any]:
    return {name.decode(): value for name, value in zip(reply[::2], reply[1::2], strict=True)}
