"""The binary log over a connection: the commands of a replica, and the packets that answer them.

Protocol: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_replication.html,
https://mariadb.com/kb/en/3-binlog-network-stream/
"""

from __future__ import annotations

import select
import ssl
from contextlib import suppress
from struct import Struct
from typing import TYPE_CHECKING, Any

from pymysql.constants import COMMAND

from mysql_redis_cache.errors import DatabaseUnavailable
from mysql_redis_cache.runtime import SharedContext

from .connection import Connection
from .failures import err, is_unavailable

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from .config import MySQLConfig

__all__ = ["DumpConnection"]

_PIECE = 1 << 18
_LONGEST_PAYLOAD = 2**24 - 1
_REPLICA = Struct("<IBBBHII")


class DumpConnection:
    """A connection of its own that reads the log as a replica does. Not for several threads.

    Args:
        config: where MySQL is.
        read_timeout: how many seconds nothing may come before the connection counts as lost. Heartbeats
            must be more frequent.

    Raises:
        DatabaseUnavailable: MySQL cannot be reached.
        pymysql.err.Error: MySQL refuses.
    """

    def __init__(self, config: MySQLConfig, read_timeout: float) -> None:
        self._address = config.address
        self._timeout = read_timeout
        arguments = {**config.resolved().arguments, "read_timeout": read_timeout}
        self._data = b""
        self._position = 0
        self._parts: list[bytes] = []
        self._has_ended = False
        try:
            self._connection = Connection(SharedContext(), arguments)
        except err.Error as error:
            raise self._translated(error) from error

    @property
    def is_mariadb(self) -> bool:
        """Whether MariaDB answers."""
        return "mariadb" in self._connection.server_version.lower()

    def ask(self, statement: str) -> list[dict[str, Any]]:
        """Run a statement before the dump begins; return its rows.

        Raises:
            DatabaseUnavailable: the connection was lost.
            pymysql.err.Error: MySQL's answer.
        """
        try:
            sets = self._connection.ask(statement, limit=None).result_sets
        except err.Error as error:
            raise self._translated(error) from error
        return sets[0] if sets else []

    def register(self, server_id: int) -> None:
        """Have the server list this connection among its replicas (COM_REGISTER_SLAVE).

        Args:
            server_id: unlike that of any server or replica of the same source.

        Raises:
            pymysql.err.Error: among others, the account lacks REPLICATION SLAVE.
        """
        body = _REPLICA.pack(server_id, 0, 0, 0, 0, 0, 0)
        try:
            self._connection._execute_command(COMMAND.COM_REGISTER_SLAVE, body)  # noqa: SLF001 - the driver's door
            self._connection._read_ok_packet()  # noqa: SLF001
        except err.Error as error:
            raise self._translated(error) from error

    def start(self, command: int, body: bytes) -> None:
        """Send the command after which the server sends nothing but its log.

        Args:
            command: COM_BINLOG_DUMP (18) or COM_BINLOG_DUMP_GTID (30).
            body: what follows the command's byte.
        """
        try:
            self._connection._execute_command(command, body)  # noqa: SLF001 - the driver's door
        except err.Error as error:
            raise self._translated(error) from error
        sock = self._connection._sock  # noqa: SLF001
        if sock is not None:
            sock.settimeout(self._timeout)

    def read(self) -> list[bytes]:
        """Wait for events.

        Returns:
            All that have come, at least one; none if the server has ended its log (only if asked to).

        Raises:
            DatabaseUnavailable: the connection was lost, or nothing came for too long.
            pymysql.err.Error: MySQL's last word, such as 1236: what was asked for is not in its logs.
        """
        events: list[bytes] = []
        while not events and not self._has_ended:
            self._receive()
            while (payload := self._payload()) is not None:
                if payload[:1] == b"\xff":
                    self._raise(payload)
                if payload[:1] == b"\xfe" and len(payload) < 9:
                    self._has_ended = True
                    break
                events.append(payload[1:])
        return events

    @property
    def has_more(self) -> bool:
        """Whether more has come already, or a part of it."""
        sock: Any = self._connection._sock  # noqa: SLF001
        if self._position < len(self._data) or sock is None:
            return sock is not None
        if isinstance(sock, ssl.SSLSocket) and sock.pending():
            return True
        return bool(select.select([sock], [], [], 0)[0])

    def close(self) -> None:
        """Close at once, without a word; never waits."""
        self._connection.drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # The packets

    def _receive(self) -> None:
        missing = self._missing()
        try:
            reply = self._connection._rfile  # noqa: SLF001
            piece = reply.read(missing) if missing > _PIECE else reply.read1(_PIECE)
        except TimeoutError as error:
            raise self._lost(f"nothing came for {self._timeout:g} s, not even a heartbeat") from error
        except (OSError, ValueError, AttributeError) as error:  # the last two: it was closed meanwhile
            raise self._lost(f"the connection was lost ({error})") from error
        if not piece:
            raise self._lost("the server closed the connection")
        self._data = self._data[self._position :] + piece if self._position < len(self._data) else piece
        self._position = 0

    def _missing(self) -> int:
        """Return how many bytes the packet that has begun lacks, so that a long one is read at once."""
        head = self._data[self._position : self._position + 3]
        return self._position + 4 + int.from_bytes(head, "little") - len(self._data) if len(head) == 3 else 0

    def _payload(self) -> bytes | None:
        """Take the next payload out of what has come; ``None`` if not all of it has."""
        while self._missing() <= 0 and len(self._data) - self._position >= 4:
            start = self._position + 4
            size = int.from_bytes(self._data[start - 4 : start - 1], "little")
            self._parts.append(self._data[start : start + size])
            self._position = start + size
            if size != _LONGEST_PAYLOAD:
                parts, self._parts = self._parts, []
                return parts[0] if len(parts) == 1 else b"".join(parts)
        return None

    def _raise(self, payload: bytes) -> None:
        self.close()
        try:
            err.raise_mysql_exception(payload)
        except err.Error as error:
            raise self._translated(error) from error

    def _lost(self, text: str) -> DatabaseUnavailable:
        self.close()
        return DatabaseUnavailable(f"MySQL at {self._address} cannot be followed: {text}")

    def _translated(self, error: err.Error) -> Exception:
        if not is_unavailable(error):
            return error
        with suppress(AttributeError):
            self.close()
        return DatabaseUnavailable(f"MySQL at {self._address} cannot be reached or hung up: {error.args[-1]}")
