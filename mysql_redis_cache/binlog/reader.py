"""Bytes of a binary log to events: headers, checksums, and which event is read by what.

Whatever comes in, events come out: what is not understood is an ``Unknown`` that says so; nothing is raised.
"""

from __future__ import annotations

import struct
import zlib
from datetime import UTC
from typing import TYPE_CHECKING

from . import files, mariadb_gtids, statements, transactions
from .compressed import inner_events, parse_payload
from .cursor import Cursor, Malformed
from .events import HEADER_SIZE, Corrupt, Event, Header, Ignorable, Unknown
from .files import FormatDescription, parse_format
from .layouts import Layout
from .payloads import TransactionPayload
from .rows import ROWS_TYPES, parse_rows
from .tables import TableMap, Wanted, parse_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import tzinfo

    from .declared import Declared

__all__ = ["Reader"]

_HEADER = struct.Struct("<IBIIIH")
_NO_HEADER = Header(0, 0, 0, 0, 0, 0)
_CHECKSUM_SIZE = 4
_CRC32 = 1
_IN_USE = 0x1
_FLAGS_AT = 17
_FORMAT_DESCRIPTION, _ROTATE, _TABLE_MAP, _PAYLOAD, _HEARTBEATS = 15, 4, 19, 40, {27, 41}
_NO_TABLE = 0xFFFFFF
_ENDS_STATEMENT = 1
_MOST_LAYOUTS = 1024

_PARSERS: dict[int, Callable[[Header, Cursor], Event]] = {
    2: statements.parse_query,
    3: files.parse_stop,
    _ROTATE: files.parse_rotate,
    5: statements.parse_intvar,
    9: statements.parse_append_block,
    11: statements.parse_delete_file,
    13: statements.parse_rand,
    14: statements.parse_user_var,
    16: transactions.parse_xid,
    17: statements.parse_begin_load,
    18: statements.parse_execute_load,
    26: files.parse_incident,
    27: files.parse_heartbeat,
    29: statements.parse_rows_query,
    33: transactions.parse_gtid,
    34: transactions.parse_gtid,
    35: transactions.parse_previous_gtids,
    36: transactions.parse_transaction_context,
    37: transactions.parse_view_change,
    38: transactions.parse_xa_prepare,
    41: files.parse_heartbeat_v2,
    42: transactions.parse_tagged_gtid,
    160: statements.parse_annotate_rows,
    161: files.parse_checkpoint,
    162: mariadb_gtids.parse_maria_gtid,
    163: mariadb_gtids.parse_gtid_list,
    164: files.parse_start_encryption,
    165: statements.parse_compressed_query,
}
"""By type: those that need to know nothing but their own bytes."""

_ERRORS = (ValueError, LookupError, ArithmeticError, struct.error, RecursionError)


class Reader:
    """Reads the events of one stream or file, in their order.

    Args:
        wanted: by schema and table, whose rows are told and which columns of them; names alone stand for a
            ``Wanted`` without declarations. Rows of other tables are told without values. ``None`` is every
            column of every table.
        zone: the time zone in which TIMESTAMP is told, that of the sessions that read through the cache.

    Attributes:
        format: of the file that is being read; ``None`` before its first event.
    """

    def __init__(
        self, wanted: Mapping[tuple[str, str], Wanted | Sequence[str]] | None, zone: tzinfo = UTC
    ) -> None:
        self.format: FormatDescription | None = None
        self._wanted: dict[tuple[str, str], Wanted] | None = None
        self._zone = zone
        self._tables: dict[int, Layout] = {}
        self._layouts: dict[bytes, Layout] = {}
        self.want(wanted)

    def want(self, wanted: Mapping[tuple[str, str], Wanted | Sequence[str]] | None) -> None:
        """Ask for other tables and columns, from the next statement on."""
        self._wanted = None if wanted is None else {name: _as_wanted(what) for name, what in wanted.items()}
        self._layouts.clear()

    def read(self, data: bytes) -> Iterator[Event]:
        """Read one event.

        Args:
            data: the event, header first and with the checksum, if it has one, as in a file or behind the
                first byte of a packet of the stream.

        Yields:
            The event; of a compressed transaction all that are in it as well, of many rows several. Read
            them to the end before the next.
        """
        if len(data) < HEADER_SIZE:
            yield Unknown(_NO_HEADER, f"{len(data)} bytes are no event")
            return
        header = Header._make(_HEADER.unpack_from(data))
        if header.size != len(data):
            yield Unknown(header, f"an event of {header.size} bytes of which {len(data)} are here")
            return
        end = self._checked(header, data)
        if end is None:
            yield Corrupt(header, "its checksum is wrong")
            return
        yield from self._parsed(header, Cursor(data, HEADER_SIZE, end))

    def _checked(self, header: Header, data: bytes) -> int | None:
        """Return where the event's body ends; ``None`` if its checksum is wrong."""
        end = len(data) - _CHECKSUM_SIZE
        if header.type == _FORMAT_DESCRIPTION:
            has_checksum = data[end - 1 : end] == bytes([_CRC32])
            return len(data) if not has_checksum or _is_right(data, end) else None
        if self.format is None:  # what comes before it in a stream has a checksum or none
            return end if _is_right(data, end) else len(data)
        if self.format.checksum != _CRC32:
            return len(data)
        return end if end >= HEADER_SIZE and _is_right(data, end) else None

    def _parsed(self, header: Header, body: Cursor) -> Iterator[Event]:
        try:
            yield from self._events(header, body)
        except _ERRORS as error:
            what = type(error).__name__ if isinstance(error, UnicodeError) else str(error)
            yield Unknown(header, f"an event of type {header.type} that cannot be read: {what}")

    def _events(self, header: Header, body: Cursor) -> Iterable[Event]:
        if header.type in ROWS_TYPES:
            return self._rows(header, body)
        if header.type == _PAYLOAD:
            return self._payload(header, body)
        return (self._event(header, body),)

    def _event(self, header: Header, body: Cursor) -> Event:
        if header.type == _TABLE_MAP:
            return self._table_map(header, body)
        if header.type in _PARSERS:
            return _PARSERS[header.type](header, body)
        if header.type == _FORMAT_DESCRIPTION:
            return self._begin(header, body)
        if header.is_ignorable:
            return Ignorable(header)
        return Unknown(header, f"events of type {header.type} are not known")

    def _begin(self, header: Header, body: Cursor) -> FormatDescription:
        self._tables.clear()
        self._layouts.clear()
        self.format = None
        self.format = parse_format(header, body)
        if self.format.checksum not in {0, _CRC32}:
            raise Malformed(f"checksums of kind {self.format.checksum}")
        return self.format

    # --- rows ----------------------------------------------------------------------------------------------

    @property
    def _is_mariadb(self) -> bool:
        return self.format is not None and self.format.is_mariadb

    def _table_map(self, header: Header, body: Cursor) -> TableMap:
        table_id, _ = body.uint(6), body.uint(2)
        self._tables.pop(table_id, None)
        description = body.rest()
        layout = self._layouts.get(description) or self._layout(description)
        self._tables[table_id] = layout
        return TableMap(header, table_id, layout.table)

    def _layout(self, description: bytes) -> Layout:
        """Parse a description; a table is described before each statement, in the same words."""
        table = parse_table(Cursor(description), self._is_mariadb, self._declared)
        if len(self._layouts) >= _MOST_LAYOUTS:
            self._layouts.clear()
        wanted = (
            None if self._wanted is None else self._wanted.get((table.schema, table.name), _NOTHING).columns
        )
        layout = self._layouts[description] = Layout(table, wanted, self._zone, self._is_mariadb)
        return layout

    def _declared(self, schema: str, table: str) -> Sequence[Declared]:
        return (self._wanted or {}).get((schema, table), _NOTHING).declared

    def _rows(self, header: Header, body: Cursor) -> Iterable[Event]:
        table_id, flags = body.uint(6), body.uint(2)
        layout = self._tables.get(table_id)
        if flags & _ENDS_STATEMENT:
            self._tables.clear()
        if layout is not None:
            return parse_rows(header, body, layout, ROWS_TYPES[header.type], flags)
        if table_id == _NO_TABLE and flags & _ENDS_STATEMENT:
            return (Ignorable(header),)
        return (Unknown(header, f"rows of table number {table_id}, which was not described"),)

    # --- compressed transactions ---------------------------------------------------------------------------

    def _payload(self, header: Header, body: Cursor) -> Iterator[Event]:
        compression, size, payload = parse_payload(body)
        yield TransactionPayload(header, compression, len(payload), size)
        for data in inner_events(compression, size, payload):
            inner = Header._make(_HEADER.unpack_from(data))._replace(next_position=header.next_position)
            if inner.type in _NEVER_INSIDE:
                raise Malformed(f"an event of type {inner.type} in a compressed transaction")
            yield from self._parsed(inner, Cursor(data, HEADER_SIZE))


_NOTHING = Wanted(())
_NEVER_INSIDE = {_FORMAT_DESCRIPTION, _ROTATE, _PAYLOAD, *_HEARTBEATS}


def _as_wanted(what: Wanted | Sequence[str]) -> Wanted:
    return what if isinstance(what, Wanted) else Wanted(tuple(what))


def _is_right(data: bytes, end: int) -> bool:
    """Whether the CRC32 behind *end* is that of what stands before, the flag of a file in use taken out."""
    if end < HEADER_SIZE:
        return False
    checksum = int.from_bytes(data[end:], "little")
    if data[4] == _FORMAT_DESCRIPTION and data[_FLAGS_AT] & _IN_USE:
        data = data[:_FLAGS_AT] + bytes([data[_FLAGS_AT] & ~_IN_USE]) + data[_FLAGS_AT + 1 :]
    return zlib.crc32(memoryview(data)[:end]) == checksum
