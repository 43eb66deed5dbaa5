"""The reply to a query, as MySQL's text protocol sends it: packets, result sets, the final OK.

No sockets here: bytes come from two functions. They are taken in big pieces and the rows cut out of them in
one loop, because in pure Python the price of a result is the number of calls per value.

Protocol: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response.html
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

from mysql_redis_cache.values.rows import Row, RowBuilder, lenenc_bytes, lenenc_int, parse_column, row_builder

from .endings import MORE_RESULTS, parse_end, parse_ok

if TYPE_CHECKING:
    from mysql_redis_cache.values import Dates
    from mysql_redis_cache.values.cells import Cell

    from .endings import End, Ok

__all__ = ["Dialect", "ErrorPacket", "FileAsked", "GarbledReply", "Packets", "Reply", "read_reply"]

Hear = Callable[[int, bytes], None]

_PIECE = 1 << 17
_BLOCK_CELLS = 1 << 13
_LONGEST_PAYLOAD = 2**24 - 1
_NULL = b"\xfb"
_SIZE_WIDTHS = {b"\xfc": 2, b"\xfd": 3, b"\xfe": 8}


class ErrorPacket(Exception):
    """The server answered with an error.

    Attributes:
        payload: the packet's.
        is_notice: it was not an answer but the server's farewell (shutting down, killed, idle too long).
    """

    def __init__(self, payload: bytes, is_notice: bool) -> None:
        super().__init__(payload)
        self.payload = payload
        self.is_notice = is_notice


class GarbledReply(Exception):
    """The bytes are not the reply to this query; the connection is of no more use."""


class FileAsked(GarbledReply):
    """The server asks for a file (LOAD DATA LOCAL); the connection is of no more use."""


class Reply(NamedTuple):
    """All that the server answered to one query, and by which GTID it has committed that."""

    result_sets: list[list[Row]]
    ok: Ok | None
    status: int
    gtid: str | None = None


def _hear_nothing(status: int, changes: bytes) -> None:
    """Let what the server says of the session pass."""


def read_reply(
    packets: Packets, dates: Dates = "iso", hear: Hear = _hear_nothing, *, is_last: bool = True
) -> Reply:
    """Read a reply to its end.

    Args:
        packets: of the reply.
        dates: ``"iso"`` or ``"npm"``, see ``codec.encode``.
        hear: called with the status and the changes of the session that each part of the reply tells.
        is_last: whether nothing may follow it.

    Returns:
        Its result sets and, if it ends with one (statements without rows and CALL do), the OK packet.

    Raises:
        ErrorPacket: the server answered with an error.
        FileAsked: the statement is a LOAD DATA LOCAL.
        GarbledReply: this is no reply to a query.
        EOFError: the connection ended before the reply did.
        UnicodeDecodeError: text is not UTF-8.
    """
    result_sets = []
    ok = None
    while True:
        first = packets.next()
        if first[0] == 0x00:
            ok = parse_ok(first)
            status, changes = ok.status, ok.changes
        elif first[0] == 0xFB:
            raise FileAsked
        else:
            width = lenenc_int(first, 0)[0]
            if not width:
                raise GarbledReply("a result set without columns")
            rows, (status, changes) = _read_result_set(packets, width, dates)
            result_sets.append(rows)
        hear(status, changes)
        if not status & MORE_RESULTS:
            if is_last:
                packets.expect_end()
            return Reply(result_sets, ok, status)


def _read_result_set(packets: Packets, width: int, dates: Dates) -> tuple[list[Row], End]:
    columns = tuple(parse_column(packets.next(), packets.dialect.describes_more) for _ in range(width))
    if not packets.dialect.ends_with_ok:
        packets.next()  # the end of the columns
    return packets.rows(row_builder(columns, dates))


class Dialect(NamedTuple):
    """What client and server have agreed on.

    Attributes:
        ends_with_ok: a result set ends with an OK packet (``CLIENT_DEPRECATE_EOF``).
        describes_more: columns have MariaDB's extended metadata.
    """

    ends_with_ok: bool = False
    describes_more: bool = False


class Packets:
    """The packets of one reply.

    Args:
        read: takes a number of bytes and returns as many, fewer only at the end of the connection.
        read_some: returns what there is, at least one byte and at most that many; none at the end.
        sequence: the number of the first, which is how many packets the request took.
        dialect: that they are in.
    """

    def __init__(
        self,
        read: Callable[[int], bytes],
        read_some: Callable[[int], bytes],
        sequence: int = 1,
        dialect: Dialect = Dialect(),  # noqa: B008 - immutable
    ) -> None:
        self._read = read
        self._read_some = read_some
        self._data = b""
        self._position = 0
        self._sequence = sequence
        self.dialect = dialect
        # A longer one that begins like an end is a row whose first value has 16 MB or more.
        self._end_below = _LONGEST_PAYLOAD if dialect.ends_with_ok else 9

    @property
    def has_begun(self) -> bool:
        """Whether anything of the reply has come."""
        return bool(self._data)

    def expect_another(self) -> None:
        """Be the packets of the next reply, to a request sent together with the last."""
        self._sequence = 1

    def next(self) -> bytes:
        """Return the next packet's payload.

        Raises:
            ErrorPacket: it is an error.
            GarbledReply: its number is not the next.
            EOFError: the connection ended.
        """
        payload = self._next_part()
        if len(payload) == _LONGEST_PAYLOAD:
            parts = [payload]
            while len(parts[-1]) == _LONGEST_PAYLOAD:
                parts.append(self._next_part())
            payload = b"".join(parts)
        if payload[:1] == b"\xff":
            raise ErrorPacket(payload, is_notice=False)
        return payload

    def _next_part(self) -> bytes:
        size = self._need_packet()
        start = self._position + 4
        payload = self._data[start : start + size]
        if self._data[start - 1] != self._sequence:
            raise self._out_of_sequence(payload)
        self._sequence = (self._sequence + 1) & 255
        self._position = start + size
        return payload

    def _out_of_sequence(self, payload: bytes) -> Exception:
        number = self._data[self._position + 3]
        if number == 0 and payload[:1] == b"\xff":
            return ErrorPacket(payload, is_notice=True)
        return GarbledReply(f"packet number {number} where {self._sequence} was due")

    def rows(self, builder: RowBuilder) -> tuple[list[Row], End]:
        """Read the rows of a result set.

        Returns:
            The rows, and what ended them.
        """
        rows: list[Row] | None = None
        cells: list[Cell] = []
        while not self._at_end_of_rows():
            self._cut_rows(builder.width, cells)
            if len(cells) >= _BLOCK_CELLS:
                rows = _joined(rows, builder.build(cells))
                cells = []
        return _joined(rows, builder.build(cells)), parse_end(self.next())

    def _at_end_of_rows(self) -> bool:
        size = self._need_packet()
        first = self._data[self._position + 4]
        if first == 0xFF:
            self.next()  # raises
        return first == 0xFE and size < self._end_below

    def _cut_rows(self, width: int, cells: list[Cell]) -> None:
        """Append the cells of all rows that are in the buffer as a whole, at least one.

        The innermost loop of every miss: reading from a ``BytesIO`` costs less than slicing by positions.
        """
        stream = BytesIO(self._data)
        stream.seek(self._position)
        read, append, from_bytes, end_below = stream.read, cells.append, int.from_bytes, self._end_below
        columns, sequence, left = range(width), self._sequence, len(self._data) - self._position
        while left > 4:
            header = from_bytes(read(4), "little")
            size = header & _LONGEST_PAYLOAD
            if header >> 24 != sequence or size + 4 > left or size == _LONGEST_PAYLOAD:
                break
            for _ in columns:
                head = read(1)
                if head < _NULL:
                    append(read(head[0]))
                elif head == _NULL:
                    append(None)
                elif head == b"\xff" or (head == b"\xfe" and size < end_below):
                    break  # not a row but an error or the end
                else:
                    append(read(from_bytes(read(_SIZE_WIDTHS[head]), "little")))
            else:
                sequence = (sequence + 1) & 255
                left -= size + 4
                continue
            break
        if len(cells) % width:
            raise GarbledReply("a row that is no row")
        position = len(self._data) - left
        if position == self._position:
            self._cut_long_row(width, cells)
        else:
            self._position, self._sequence = position, sequence

    def _cut_long_row(self, width: int, cells: list[Cell]) -> None:
        """Append the cells of one row, which may be longer than a packet."""
        payload = self.next()
        position = 0
        for _ in range(width):
            if payload[position] == _NULL[0]:
                cells.append(None)
                position += 1
            else:
                cell, position = lenenc_bytes(payload, position)
                cells.append(cell)

    def expect_end(self) -> None:
        """Check that nothing follows.

        Raises:
            GarbledReply: something does, so whose reply this was is not certain.
        """
        if self._position != len(self._data):
            raise GarbledReply(f"{len(self._data) - self._position} bytes follow the end of the reply")

    def _need_packet(self) -> int:
        """Have the next packet in the buffer as a whole; return the size of its payload."""
        self._need(4)
        size = int.from_bytes(self._data[self._position : self._position + 3], "little")
        self._need(4 + size)
        return size

    def _need(self, size: int) -> None:
        missing = self._position + size - len(self._data)
        if missing <= 0:
            return
        pieces = [self._data[self._position :]]
        while missing > 0:
            piece = self._read(missing) if missing > _PIECE else self._read_some(_PIECE)
            if not piece:
                raise EOFError
            pieces.append(piece)
            missing -= len(piece)
        self._data = b"".join(pieces)
        self._position = 0


def _joined(rows: list[Row] | None, block: list[Row]) -> list[Row]:
    if rows is None:
        return block
    rows += block  # which brings along what is kept beside them
    return rows
