"""What every event of a binary log has, and those that could not be read. Pure data.

The others stand beside their parsing: ``files``, ``transactions``, ``statements``, ``tables``, ``rows``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["HEADER_SIZE", "Corrupt", "Event", "Header", "Ignorable", "Unknown"]

HEADER_SIZE = 19

_ARTIFICIAL, _IGNORABLE = 0x20, 0x80


class Header(NamedTuple):
    """The first 19 bytes of every event.

    Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_replication_binlog_event.html

    Attributes:
        timestamp: when the statement began, in whole seconds since 1970; 0 in events made up for the stream.
        type: the number of the event's type.
        server_id: of the server where it happened first.
        size: of the event in bytes, checksum included.
        next_position: where the next event of the file begins, modulo 2^32; 0 if the event is in no file, and
            in newer MariaDB within a transaction. Events out of a compressed transaction have that of the
            whole.
        flags: see ``is_artificial`` and ``is_ignorable``.
    """

    timestamp: int
    type: int
    server_id: int
    size: int
    next_position: int
    flags: int

    @property
    def is_artificial(self) -> bool:
        """Whether the server made the event up for the stream: it is in no file."""
        return bool(self.flags & _ARTIFICIAL)

    @property
    def is_ignorable(self) -> bool:
        """Whether the server says that who does not know the type may go on."""
        return bool(self.flags & _IGNORABLE)


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""

    header: Header


@dataclass(frozen=True, slots=True)
class Unknown(Event):
    """An event of a type that is not known, or whose bytes are not what its type says.

    Anything may have happened: drop whatever depends on the log. A header of zeros means that not even the
    header was there.

    Attributes:
        reason: why, for people.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Corrupt(Unknown):
    """An event whose checksum is wrong, so that nothing in it can be believed, its type included."""


@dataclass(frozen=True, slots=True)
class Ignorable(Event):
    """An event without changes, by the server's own word.

    It has the flag ``LOG_EVENT_IGNORABLE_F``, or is the rows event without table and rows with which MySQL
    ends some statements.
    """
