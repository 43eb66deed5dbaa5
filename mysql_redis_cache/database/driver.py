"""PyMySQL's connection, every reply of which is heard: to the connect, its own statements, its cursors'.

PyMySQL itself looks at the status of some OK packets and at no end of a result set, so it may believe for
ever that a session is in autocommit. Here each of them goes to the ``SessionState``; so do the changes of
the session that servers tell of where they are asked to in the handshake (``CLIENT_SESSION_TRACK``, and
``CLIENT_DEPRECATE_EOF``, without which results would say nothing of it).

Handshake: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html and
https://mariadb.com/kb/en/connection/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymysql.connections import Connection as PyMySQLConnection
from pymysql.connections import MySQLResult
from pymysql.constants import CLIENT, COMMAND, CR, SERVER_STATUS
from pymysql.protocol import FieldDescriptorPacket, MysqlPacket

from .effects import HARMLESS, effects_of
from .endings import PLAIN_END, parse_ok
from .failures import err
from .state import SessionState
from .wire import Dialect

if TYPE_CHECKING:
    import socket
    from io import BufferedReader

    from .effects import Effects
    from .endings import Ok

__all__ = ["Driver"]

_SESSION_TRACK = 1 << 23
_DEPRECATE_EOF = 1 << 24
_LONGEST_PAYLOAD = 2**24 - 1
# MariaDB's own flags: in the greeting they start that far behind the version, in the answer they end there.
_EXTENDED_METADATA = 1 << 3
_OWN_FLAGS_GREETED = 1 + 4 + 9 + 2 + 6 + 6
_OWN_FLAGS_END = 32
_PROTOCOL = 10
_END_OF_COLUMNS = b"\xfe\0\0\2\0"


class Driver(PyMySQLConnection):
    """A PyMySQL connection that listens to its server.

    Attributes:
        state: what the server has said of the session.
        dialect: what was agreed on in the handshake.
    """

    if TYPE_CHECKING:  # private to PyMySQL, so its stubs do not have them
        _sock: socket.socket | None
        _secure: bool
        _rfile: BufferedReader
        _result: Any
        _affected_rows: int
        _next_seq_id: int
        _read_timeout: float
        _write_timeout: float
        _current_timeout: float
        client_flag: int
        server_capabilities: int
        server_version: str

        def _force_close(self) -> None: ...
        def _write_bytes(self, data: bytes) -> None: ...

    def __init__(self, **arguments: Any) -> None:
        self.state = SessionState()
        self.dialect = Dialect()
        self._own_flags = 0
        self._is_answered = False
        super().__init__(**arguments)

    @property
    def server_status(self) -> int:
        """The status flags of the session."""
        return self.state.status

    @server_status.setter
    def server_status(self, status: int) -> None:
        self.state.status = status

    # The handshake

    def _get_server_information(self) -> None:
        packet = self._read_packet()  # type: ignore[no-untyped-call]  # not in the stubs
        greeting: bytes = packet.get_all_data()
        if greeting[0] != _PROTOCOL:
            raise ValueError(f"it greets with protocol version {greeting[0]}")
        self.__dict__["_read_packet"] = lambda: packet
        try:
            super()._get_server_information()  # type: ignore[misc]  # not in the stubs; it reads the packet again
        finally:
            del self.__dict__["_read_packet"]
        self.client_flag |= self.server_capabilities & (_SESSION_TRACK | _DEPRECATE_EOF)
        self._own_flags, self._is_answered = 0, False
        if not self.server_capabilities & CLIENT.LONG_PASSWORD:  # it is MariaDB, and speaks of itself
            start = greeting.index(b"\0", 1) + _OWN_FLAGS_GREETED
            self._own_flags = int.from_bytes(greeting[start : start + 4], "little") & _EXTENDED_METADATA
        ends_with_ok = bool(self.client_flag & _DEPRECATE_EOF)
        self.dialect = Dialect(ends_with_ok, bool(self._own_flags))
        self.state.tracks = ends_with_ok and bool(self.client_flag & _SESSION_TRACK)

    def write_packet(self, payload: bytes) -> None:
        """Send a packet; the answer to the greeting with MariaDB's own flags."""
        if not self._is_answered:
            # Before it may come a request for TLS, which is its beginning.
            self._is_answered = len(payload) > _OWN_FLAGS_END
            if self._own_flags:
                flags = int.from_bytes(payload[:4], "little") & ~CLIENT.LONG_PASSWORD
                start = flags.to_bytes(4, "little") + payload[4 : _OWN_FLAGS_END - 4]
                payload = start + self._own_flags.to_bytes(4, "little") + payload[_OWN_FLAGS_END:]
        super().write_packet(payload)

    # Commands

    def _execute_command(self, command: int, sql: str | bytes) -> None:
        effects = HARMLESS
        if command == COMMAND.COM_QUERY:
            text = sql if isinstance(sql, str) else sql.decode("utf-8", "surrogateescape")
            effects = effects_of(text, has_values=True)
            self._prepare(effects)
        elif command == COMMAND.COM_INIT_DB:
            self.state.move()
        self._run(effects, command, sql)

    def _prepare(self, effects: Effects) -> None:
        """Make the session ready for a statement of a cursor."""

    def _run(self, effects: Effects, command: int, sql: str | bytes) -> None:
        """Send a command of which it is known what it may do."""
        self.state.send(effects)
        super()._execute_command(command, sql)  # type: ignore[misc]  # not in the stubs

    # Replies

    def _read_ok_packet(self) -> Ok:
        try:
            packet = self._read_packet()  # type: ignore[no-untyped-call]  # not in the stubs
        except err.MySQLError:
            self.state.hear_error()
            raise
        if not packet.is_ok_packet():
            raise err.OperationalError(CR.CR_COMMANDS_OUT_OF_SYNC, "Command Out of Sync")
        ok = parse_ok(packet.get_all_data())
        self.state.hear(ok.status, ok.changes)
        return ok

    def _read_query_result(self, unbuffered: bool = False) -> int:
        self._result = None
        result = _Result(self)
        try:
            if unbuffered:
                result.init_unbuffered_query()
            else:
                result.read()
        except err.MySQLError:
            self.state.hear_error()
            raise
        self._result = result
        return result.affected_rows or 0

    def show_warnings(self) -> Any:
        """Return the rows of SHOW WARNINGS."""
        self._execute_command(COMMAND.COM_QUERY, "SHOW WARNINGS")
        self._read_query_result()
        return self._result.rows


class _Result(MySQLResult):
    """A result whose ends are heard, in the dialect of its connection."""

    if TYPE_CHECKING:
        connection: Any
        message: Any
        has_next: Any

    def __init__(self, connection: Driver) -> None:
        super().__init__(connection)
        self._state = connection.state
        self._end_below = _LONGEST_PAYLOAD if connection.dialect.ends_with_ok else 9

    def _read_ok_packet(self, packet: Any) -> None:
        ok = self._hear(packet)
        self.affected_rows, self.insert_id, self.message = ok.affected_rows, ok.insert_id, ok.info.encode()
        self._state.note_id(ok.insert_id)

    def _check_packet_is_eof(self, packet: Any) -> bool:
        payload: bytes = packet.get_all_data()
        if payload[0] != 0xFE or len(payload) >= self._end_below:
            return False
        if len(payload) <= PLAIN_END:  # by far the most
            self.warning_count = int.from_bytes(
                payload[1:3] if len(payload) < PLAIN_END else payload[5:7], "little"
            )
            self._take(payload[3] | payload[4] << 8, b"")
        else:
            self._hear(packet)
        return True

    def _hear(self, packet: Any) -> Ok:
        ok = parse_ok(packet.get_all_data())
        self._take(ok.status, ok.changes)
        self.warning_count = ok.warnings
        return ok

    def _take(self, status: int, changes: bytes) -> None:
        self._state.hear(status, changes)
        self.server_status = status
        self.has_next = status & SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS

    def _get_descriptions(self) -> None:
        connection = self.connection
        self.connection = _Columns(connection)
        try:
            super()._get_descriptions()  # type: ignore[misc]  # not in the stubs
        finally:
            self.connection = connection

    def _read_rowdata_packet_unbuffered(self) -> Any:
        try:
            return super()._read_rowdata_packet_unbuffered()  # type: ignore[misc]  # not in the stubs
        except err.MySQLError:
            self._state.hear_error()
            raise


class _Columns:
    """A connection while the columns of a result come over it, in the dialect that PyMySQL knows."""

    def __init__(self, connection: Driver) -> None:
        self.use_unicode, self.encoding = connection.use_unicode, connection.encoding
        self.decoders = connection.decoders
        self._read: Any = connection._read_packet  # noqa: SLF001 - it stands for it
        self._dialect = connection.dialect

    def _read_packet(self, packet_type: type | None = None) -> Any:
        if packet_type is not None:
            return self._read(_Column if self._dialect.describes_more else packet_type)
        return MysqlPacket(_END_OF_COLUMNS, "ascii") if self._dialect.ends_with_ok else self._read()


class _Column(FieldDescriptorPacket):
    """A column definition without MariaDB's extended metadata, which cursors do not show."""

    def _parse_field_descriptor(self, encoding: str) -> None:
        read: Any = self.read_length_coded_string
        self.catalog, self.db = read(), read()
        self.table_name, self.org_table = read().decode(encoding), read().decode(encoding)
        self.name, self.org_name = read().decode(encoding), read().decode(encoding)
        read()
        fixed = self.read_struct("<xHIBHBxx")
        self.charsetnr, self.length, self.type_code, self.flags, self.scale = fixed
