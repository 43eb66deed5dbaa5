"""Where in a log a follower is: file and offset, transactions, and what tells the file from a later one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from mysql_redis_cache.binlog import files
from mysql_redis_cache.gtids import parse_gtid_set, show_gtid_set

from .outdated import Outdated

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from mysql_redis_cache.binlog import Event

__all__ = ["Followed", "Place", "Position", "is_exact"]

_FIRST = 4


@dataclass(frozen=True, slots=True)
class Position:
    """All that is needed to go on.

    Attributes:
        server: what tells the server from others.
        file: of its log; ``""`` if only the GTIDs are known.
        offset: in that file, behind what was followed.
        born: when the file was begun, in seconds since 1970; 0 if unknown.
        gtids: what was followed: MySQL's set, MariaDB's last of each domain.
        stamp: when the last transaction was, in seconds since 1970; 0 if there was none.
        prepared: by name, what prepared transactions will make outdated.
    """

    server: str
    file: str = ""
    offset: int = _FIRST
    born: int = 0
    gtids: str = ""
    stamp: int = 0
    prepared: Mapping[str, Outdated] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it in types that JSON has."""
        prepared = {xid: outdated.as_json() for xid, outdated in self.prepared.items()}
        return {**{name: getattr(self, name) for name in _PLAIN}, "prepared": prepared}

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> Self | None:
        """Make it of what ``as_json`` returned; ``None`` if it is anything else."""
        try:
            plain = {name: kind(data[name]) for name, kind in _PLAIN.items()}  # type: ignore[index]
            prepared = {xid: Outdated.from_json(each) for xid, each in data["prepared"].items()}  # type: ignore[index]
        except (TypeError, LookupError, ValueError, AttributeError):
            return None
        return cls(**plain, prepared=prepared)


_PLAIN: dict[str, Any] = {"server": str, "file": str, "offset": int, "born": int, "gtids": str, "stamp": int}


def is_exact(file: str, offset: int) -> bool:
    """Whether file and offset tell where to go on: a start by GTIDs begins at no more than a file."""
    return bool(file) and offset > _FIRST


class Followed:
    """The transactions that were followed.

    Args:
        gtids: those before.
        is_mariadb: whose they are.
    """

    def __init__(self, gtids: str, is_mariadb: bool) -> None:
        self._domains: dict[str, str] | None = None
        self._ranges: dict[tuple[UUID, str], list[tuple[int, int]]] = {}
        if is_mariadb:
            self._domains = {gtid.partition("-")[0]: gtid for gtid in filter(None, gtids.split(","))}
        else:
            self._ranges = {source: list(ranges) for source, ranges in parse_gtid_set(gtids).items()}

    def add(self, gtid: str) -> None:
        """Add one."""
        if self._domains is not None:
            self._domains[gtid.partition("-")[0]] = gtid
            return
        source, *tag, number = gtid.split(":")
        ranges = self._ranges.setdefault((UUID(source), "".join(tag)), [])
        following = int(number)
        if ranges and ranges[-1][1] + 1 == following:
            ranges[-1] = (ranges[-1][0], following)
        else:
            ranges.append((following, following))

    def __str__(self) -> str:
        if self._domains is not None:
            return ",".join(self._domains.values())
        merged = {source: tuple(ranges) for source, ranges in self._ranges.items()}
        return show_gtid_set(parse_gtid_set(show_gtid_set(merged)))


class Place:
    """Follows events through the files of a log.

    Args:
        position: where it begins.

    Attributes:
        file, offset, born, stamp: as of ``Position``.
        has_crashed: whether a file ended otherwise than in order: its server had crashed. To be put back.
    """

    def __init__(self, position: Position) -> None:
        self.file, self.offset = position.file, position.offset
        self.born, self.stamp = position.born, position.stamp
        self._expected_birth = position.born if position.file else 0
        self._has_ended = False
        self.has_crashed = False

    def feed(self, event: Event) -> str | None:
        """Take the next event.

        Returns:
            why the log cannot be the one that it was; ``None`` nearly always.
        """
        header = event.header
        if isinstance(event, files.Rotate):
            self._rotate(event)
        elif isinstance(event, files.FormatDescription):
            return self._describe(event)
        elif isinstance(event, files.Heartbeat):
            if event.file == self.file and event.position > self.offset:
                self._move(event.position)  # all before it was sent, or need not be
        elif not header.is_artificial:
            self._has_ended = isinstance(event, files.Stop)
            self._move(header.next_position)
            self.stamp = header.timestamp or self.stamp
        return None

    def _rotate(self, event: files.Rotate) -> None:
        if not event.header.is_artificial:
            self._has_ended = True
        if event.file != self.file:
            self.has_crashed |= bool(self.file) and not self._has_ended
            self.file, self.offset, self.born = event.file, event.position, 0
            self._expected_birth = 0

    def _describe(self, event: files.FormatDescription) -> str | None:
        born = event.header.timestamp
        if self._expected_birth and born != self._expected_birth:
            return f"{self.file} is not the file that it was: the log was reset"
        self.born = born
        self._expected_birth = 0
        return None

    def _move(self, following: int) -> None:
        """Move on; an offset beyond 2^32 stands in no event, and can be asked for by GTID alone."""
        if not following or not self.file:
            return
        if following < self.offset:
            self.file = ""
        else:
            self.offset = following
