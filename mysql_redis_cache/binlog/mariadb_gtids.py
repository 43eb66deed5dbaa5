"""Events that begin and number MariaDB's transactions."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING

from .events import Event
from .transactions import xid_text

if TYPE_CHECKING:
    from .cursor import Cursor
    from .events import Header

__all__ = ["GtidList", "MariaGtid", "parse_gtid_list", "parse_maria_gtid"]

_MARIA_GTID = Struct("<QIB")
_MARIA_LISTED = Struct("<IIQ")
_GROUP, _PREPARED, _COMPLETED = 0x02, 0x40, 0x80
_ENGINES, _ALTERED, _THREAD = 0x01, 0x0C, 0x10


@dataclass(frozen=True, slots=True)
class MariaGtid(Event):
    """MariaDB: a transaction, or a statement by itself, begins here.

    Attributes:
        domain: its domain.
        sequence: its number within the domain.
        flags: the byte of flags.
        commit_group: of transactions that committed together; 0 if there is none.
        xid: as ``XaPrepare.xid``, of XA PREPARE, COMMIT and ROLLBACK.
        thread_id: of the connection; 0 if unknown, as before 11.5.
    """

    domain: int
    sequence: int
    flags: int
    commit_group: int = 0
    xid: str | None = None
    thread_id: int = 0

    @property
    def gtid(self) -> str:
        """``domain-server-sequence``."""
        return f"{self.domain}-{self.header.server_id}-{self.sequence}"

    @property
    def is_standalone(self) -> bool:
        """Whether the next statement is all of it, and no COMMIT will come."""
        return bool(self.flags & 0x01)

    @property
    def is_ddl(self) -> bool:
        """Whether it is DDL."""
        return bool(self.flags & 0x20)

    @property
    def is_prepared_xa(self) -> bool:
        """Whether it ends with XA PREPARE, so that its changes are not visible yet."""
        return bool(self.flags & _PREPARED)

    @property
    def is_completed_xa(self) -> bool:
        """Whether it is XA COMMIT or XA ROLLBACK of one that was prepared."""
        return bool(self.flags & _COMPLETED)


@dataclass(frozen=True, slots=True)
class GtidList(Event):
    """MariaDB: the last ``domain-server-sequence`` of each domain and server before this place."""

    gtids: tuple[str, ...]
    flags: int


def parse_maria_gtid(header: Header, body: Cursor) -> MariaGtid:
    """Parse MariaDB's GTID_EVENT; what its flags do not announce is padding.

    Source: https://mariadb.com/kb/en/gtid_event/
    """
    sequence, domain, flags = body.unpack(_MARIA_GTID)
    group = body.uint(8) if flags & _GROUP else 0
    xid = None
    if flags & (_PREPARED | _COMPLETED):
        format_id, global_size, branch_size = body.uint(4), body.uint(1), body.uint(1)
        xid = xid_text(body.take(global_size), body.take(branch_size), format_id)
    more = body.uint(1) if body.left else 0
    if more & _ENGINES:
        body.skip(1)
    if more & _ALTERED:
        body.skip(8)
    return MariaGtid(header, domain, sequence, flags, group, xid, body.uint(4) if more & _THREAD else 0)


def parse_gtid_list(header: Header, body: Cursor) -> GtidList:
    """Parse MariaDB's GTID_LIST_EVENT."""
    head = body.uint(4)
    listed = [body.unpack(_MARIA_LISTED) for _ in range(head & 0x0FFF_FFFF)]
    return GtidList(
        header, tuple([f"{domain}-{server}-{number}" for domain, server, number in listed]), head >> 28
    )
