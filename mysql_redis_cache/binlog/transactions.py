"""Events that begin, name and end transactions."""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING
from uuid import UUID

from .cursor import Malformed
from .events import Event
from .gtids import decode_gtid_set, varlen

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mysql_redis_cache.gtids import GtidSet

    from .cursor import Cursor
    from .events import Header

__all__ = [
    "Gtid",
    "PreviousGtids",
    "TransactionContext",
    "ViewChange",
    "XaPrepare",
    "Xid",
    "parse_gtid",
    "parse_previous_gtids",
    "parse_tagged_gtid",
    "parse_transaction_context",
    "parse_view_change",
    "parse_xa_prepare",
    "parse_xid",
    "xid_text",
]

_GTID = Struct("<B16sq")
_CLOCK = Struct("<Bqq")
_LOGICAL_CLOCK = 2
_XA = Struct("<BIII")
_CONTEXT = Struct("<BIBIII")
_VIEW = Struct("<40sqI")


@dataclass(frozen=True, slots=True)
class Gtid(Event):
    """MySQL: a transaction begins here.

    Attributes:
        source: the server's; zeros for an anonymous transaction.
        tag: ``""`` if there is none.
        number: from 1 on; 0 for an anonymous transaction.
        may_have_statements: whether part of it may be logged as statements.
        last_committed: the logical clock when it was prepared.
        sequence_number: its own place on that clock, which starts anew with each file.
        committed: when this server committed it, in microseconds since 1970; 0 if unknown.
        originally_committed: when the server of its origin did.
        length: of the whole transaction in bytes; 0 if unknown.
        server_version: of this server, such as 90704; 0 if unknown.
        original_server_version: of that of its origin.
        ticket: of its group of commits; 0 if there is none.
    """

    source: UUID
    tag: str
    number: int
    may_have_statements: bool
    last_committed: int = 0
    sequence_number: int = 0
    committed: int = 0
    originally_committed: int = 0
    length: int = 0
    server_version: int = 0
    original_server_version: int = 0
    ticket: int = 0

    @property
    def gtid(self) -> str | None:
        """``uuid:number`` or ``uuid:tag:number``; ``None`` for an anonymous transaction."""
        if not self.number:
            return None
        return ":".join(filter(None, (str(self.source), self.tag, str(self.number))))


@dataclass(frozen=True, slots=True)
class PreviousGtids(Event):
    """MySQL: what the files before hold."""

    gtids: GtidSet


@dataclass(frozen=True, slots=True)
class Xid(Event):
    """COMMIT, by an engine that has transactions; the number means nothing outside its server."""

    xid: int


@dataclass(frozen=True, slots=True)
class XaPrepare(Event):
    """XA PREPARE, or XA COMMIT … ONE PHASE."""

    is_one_phase: bool
    format_id: int
    global_id: bytes
    branch: bytes

    @property
    def xid(self) -> str:
        """The transaction's name as XA COMMIT is logged with it: ``X'61',X'',1``."""
        return xid_text(self.global_id, self.branch, self.format_id)


@dataclass(frozen=True, slots=True)
class TransactionContext(Event):
    """Group replication: what a transaction wrote, for its certification."""

    server_uuid: str
    thread_id: int
    is_gtid_specified: bool
    snapshot: bytes = field(repr=False)
    write_set: tuple[bytes, ...] = field(repr=False)
    read_set: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ViewChange(Event):
    """Group replication: a member came or went."""

    view_id: str
    sequence_number: int
    certification: tuple[tuple[bytes, bytes], ...] = field(repr=False)


def parse_gtid(header: Header, body: Cursor) -> Gtid:
    """Parse a GTID_LOG_EVENT or ANONYMOUS_GTID_LOG_EVENT; servers of old leave out what stands last."""
    flags, source, number = body.unpack(_GTID)
    is_anonymous = header.type == 34
    if number < 0 or (number == 0) != is_anonymous:
        raise Malformed(f"a GTID with number {number}")
    values = _clock(body) if body.left else ()
    return Gtid(header, UUID(bytes=source), "", number, bool(flags & 1), *values)


def _clock(body: Cursor) -> tuple[int, ...]:
    kind, last_committed, sequence_number = body.unpack(_CLOCK)
    if kind != _LOGICAL_CLOCK:
        raise Malformed(f"a logical clock of type {kind}")
    clock = (last_committed, sequence_number)
    if not body.left:
        return clock
    committed, original = _twice(body, 7)
    length = body.lenenc() if body.left else 0
    version, original_version = _twice(body, 4) if body.left else (0, 0)
    ticket = body.uint(8) if body.left else 0
    return (*clock, committed, original, length, version, original_version, ticket)


def _twice(body: Cursor, width: int) -> tuple[int, int]:
    """Take a number, and a second one if the highest bit of the first says that it differs."""
    number, bit = body.uint(width), 1 << width * 8 - 1
    if not number & bit:
        return number, number
    return number & ~bit, body.uint(width)


def parse_tagged_gtid(header: Header, body: Cursor) -> Gtid:
    """Parse a GTID_TAGGED_LOG_EVENT: a message of numbered fields, some left out.

    Source: https://dev.mysql.com/doc/dev/mysql-server/latest/PageLibsMysqlSerialization.html
    """
    version, size, last_needed = varlen(body), varlen(body), varlen(body)
    if version != 1 or size > len(body.data):
        raise Malformed(f"a message of version {version} and {size} bytes")
    found: dict[str, Any] = {}
    while body.left:
        number = varlen(body)
        if number not in _FIELDS:
            if number <= last_needed:
                raise Malformed(
                    f"field {number} of a tagged GTID is not known, and the server says it matters"
                )
            break
        name, take = _FIELDS[number]
        found[name] = take(body)
    if not {"source", "number", "tag"} <= found.keys():
        raise Malformed("a tagged GTID without its source, tag or number")
    found.setdefault("originally_committed", found.get("committed", 0))
    found.setdefault("original_server_version", found.get("server_version", 0))
    found["may_have_statements"] = bool(found.get("may_have_statements", 1) & 1)
    return Gtid(header, **found)


def _signed(body: Cursor) -> int:
    number = varlen(body)
    return (number >> 1) ^ -(number & 1)


_FIELDS: dict[int, tuple[str, Callable[[Cursor], Any]]] = {
    0: ("may_have_statements", varlen),
    1: ("source", lambda body: UUID(bytes=bytes([varlen(body) for _ in range(16)]))),
    2: ("number", _signed),
    3: ("tag", lambda body: body.take(varlen(body)).decode("ascii")),
    4: ("last_committed", _signed),
    5: ("sequence_number", _signed),
    6: ("committed", varlen),
    7: ("originally_committed", varlen),
    8: ("length", varlen),
    9: ("server_version", varlen),
    10: ("original_server_version", varlen),
    11: ("ticket", varlen),
}


def parse_previous_gtids(header: Header, body: Cursor) -> PreviousGtids:
    """Parse a PREVIOUS_GTIDS_LOG_EVENT."""
    return PreviousGtids(header, decode_gtid_set(body))


def parse_xid(header: Header, body: Cursor) -> Xid:
    """Parse a XID_EVENT."""
    xid = body.uint(8)
    body.finish()
    return Xid(header, xid)


def parse_xa_prepare(header: Header, body: Cursor) -> XaPrepare:
    """Parse a XA_PREPARE_LOG_EVENT."""
    is_one_phase, format_id, global_size, branch_size = body.unpack(_XA)
    if max(global_size, branch_size) > 64:
        raise Malformed(f"an XA transaction with names of {global_size} and {branch_size} bytes")
    return XaPrepare(header, bool(is_one_phase), format_id, body.take(global_size), body.take(branch_size))


def xid_text(global_id: bytes, branch: bytes, format_id: int) -> str:
    """Write the name of an XA transaction as the log has it in statements."""
    return f"X'{global_id.hex()}',X'{branch.hex()}',{format_id}"


def parse_transaction_context(header: Header, body: Cursor) -> TransactionContext:
    """Parse a TRANSACTION_CONTEXT_EVENT."""
    uuid_size, thread_id, is_specified, snapshot_size, writes, reads = body.unpack(_CONTEXT)
    server = body.take(uuid_size).decode("ascii")
    snapshot = body.take(snapshot_size)
    sets = [tuple([body.take(body.uint(2)) for _ in range(count)]) for count in (writes, reads)]
    return TransactionContext(header, server, thread_id, bool(is_specified), snapshot, *sets)


def parse_view_change(header: Header, body: Cursor) -> ViewChange:
    """Parse a VIEW_CHANGE_EVENT."""
    view, number, count = body.unpack(_VIEW)
    items = tuple([(body.take(body.uint(2)), body.take(body.uint(4))) for _ in range(count)])
    return ViewChange(header, view.partition(b"\0")[0].decode("ascii"), number, items)
