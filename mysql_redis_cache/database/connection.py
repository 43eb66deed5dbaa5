"""One connection to MySQL: PyMySQL's, with bounded connecting and a fast way to read rows."""

from __future__ import annotations

import os
import select
import struct
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from pymysql.connections import Connection as PyMySQLConnection
from pymysql.constants import COMMAND, CR, SERVER_STATUS

from .failures import err
from .wire import ErrorPacket, GarbledReply, Packets, Reply, read_reply

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Iterator, Mapping
    from io import BufferedReader

    from mysql_redis_cache.runtime import SharedContext
    from mysql_redis_cache.values import Dates

__all__ = ["Connection", "LostUnanswered", "Overdue"]

_PIECE = 1 << 17


class LostUnanswered(err.OperationalError):
    """The connection was lost before anything of the reply came."""


class Overdue(Exception):
    """A statement's time was over before its reply was read; the connection is of no more use."""


class Connection(PyMySQLConnection):
    """A PyMySQL connection: cursors behave as there; the rest is for this package.

    Args:
        tls: keeps the TLS context of a pool.
        arguments: of PyMySQL's ``connect``.

    Attributes:
        idle_since: when it was last used, on the monotonic clock.
    """

    if TYPE_CHECKING:  # private to PyMySQL, so its stubs do not have them
        _sock: socket.socket | None
        _rfile: BufferedReader
        _result: Any
        _read_timeout: float
        _write_timeout: float
        _current_timeout: float

        def _force_close(self) -> None: ...

    def __init__(self, tls: SharedContext, arguments: Mapping[str, Any]) -> None:
        self._tls = tls
        self._pid = os.getpid()
        self.idle_since = time.monotonic()
        super().__init__(**arguments)

    def _create_ssl_ctx(self, sslp: Any) -> ssl.SSLContext:
        context = self._tls.get()
        if context is None:
            try:
                context = super()._create_ssl_ctx(sslp)  # type: ignore[misc]  # not in the stubs
            except OSError as error:
                text = f"the files of ssl_ca, ssl_cert and ssl_key (or its password) are of no use: {error}"
                raise err.OperationalError(CR.CR_SSL_CONNECTION_ERROR, text) from error
            if isinstance(sslp, dict) and sslp.get("check_hostname"):
                context.check_hostname = True  # PyMySQL leaves it out where the authorities are the system's
            self._tls.keep(context)
        return context

    def connect(self, sock: Any = None) -> None:
        """Connect; ``connect_timeout`` bounds each wait, for the greeting and the login too."""
        with self._waiting_at_most(self.connect_timeout or self._read_timeout):
            super().connect(sock)

    @contextmanager
    def _waiting_at_most(self, seconds: float) -> Iterator[None]:
        read_timeout, write_timeout = self._read_timeout, self._write_timeout
        self._read_timeout = self._write_timeout = seconds
        try:
            yield
        finally:
            self._read_timeout, self._write_timeout = read_timeout, write_timeout

    def ask(self, statement: str, dates: Dates = "iso", limit: float | None = None) -> Reply:
        """Send a statement and read the whole reply.

        Args:
            statement: the SQL, complete.
            dates: ``"iso"`` or ``"npm"``, see ``codec.encode``.
            limit: how many seconds that may take.

        Returns:
            The reply, rows as dicts.

        Raises:
            Overdue: *limit* has passed.
            LostUnanswered: the connection was lost, with nothing of the reply read.
            pymysql.err.Error: the server's error, or the connection was lost; then it is closed.
        """
        try:
            if limit is None:
                return self._read_reply(self._send(statement), dates)
            return self._read_reply(self._send_within(limit, statement), dates)
        except ErrorPacket as packet:
            if packet.is_notice:
                raise self._lost(LostUnanswered, "the server closed the connection") from None
            raise _server_error(packet.payload) from None
        except Overdue:
            raise  # who asked for the limit ends the connection
        except GarbledReply as error:
            raise self._lost(err.OperationalError, str(error), CR.CR_MALFORMED_PACKET) from error
        except err.Error:
            raise
        except BaseException:
            self._force_close()  # the rest of the reply may still be on its way
            raise

    def _send(self, statement: str) -> Packets:
        try:
            self._execute_command(COMMAND.COM_QUERY, statement)
        except err.OperationalError as error:
            if isinstance(error.__context__, TimeoutError):
                raise
            raise LostUnanswered(*error.args) from error
        if self._sock is not None:
            self._sock.settimeout(self._read_timeout)
            self._current_timeout = self._read_timeout  # so PyMySQL knows, from 1.2.1 on
        return Packets(self._rfile.read, self._rfile.read1)

    def _send_within(self, limit: float, statement: str) -> Packets:
        until = time.monotonic() + limit
        try:
            with self._waiting_at_most(limit):
                self._send(statement)
        except err.OperationalError as error:
            if isinstance(error.__context__, TimeoutError):
                raise Overdue from error
            raise

        def read(size: int) -> bytes:
            """Read what has come, up to *size* bytes; what comes later than *until* is not looked at."""
            left = until - time.monotonic()
            if left <= 0 or self._sock is None:
                raise Overdue
            self._current_timeout = left
            self._sock.settimeout(left)
            try:
                data = self._rfile.read1(min(size, _PIECE))
            except TimeoutError:
                raise Overdue from None
            if time.monotonic() > until:
                raise Overdue
            return data

        return Packets(read, read)

    def _read_reply(self, packets: Packets, dates: Dates) -> Reply:
        try:
            reply = read_reply(packets, dates)
        except TimeoutError as error:
            text = f"no reply within read_timeout={self._read_timeout:g} s"
            raise self._lost(err.OperationalError, text) from error
        except (EOFError, OSError) as error:
            kind = err.OperationalError if packets.has_begun else LostUnanswered
            raise self._lost(kind, f"Lost connection to MySQL server during query ({error})") from error
        except (IndexError, KeyError, struct.error) as error:
            raise self._lost(err.OperationalError, "malformed packet", CR.CR_MALFORMED_PACKET) from error
        self.server_status = reply.status
        return reply

    def _lost(
        self, kind: type[err.OperationalError], text: str, errno: int = CR.CR_SERVER_LOST
    ) -> err.OperationalError:
        self._force_close()
        return kind(errno, text)

    def _execute_command(self, command: int, sql: str | bytes) -> None:
        if os.getpid() != self._pid:
            self._force_close()  # it is the parent's: closed here without a word, it goes on working there
        super()._execute_command(command, sql)  # type: ignore[misc]  # not in the stubs

    @property
    def is_silent(self) -> bool:
        """Whether nothing came since the last reply: neither the server's farewell nor a late answer."""
        if self._sock is None:
            return False
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return not poll.poll(0)

    @property
    def is_at_rest(self) -> bool:
        """Whether it is fit for the next user: open, all replies read, no transaction, autocommit on."""
        flags = self.server_status & (
            SERVER_STATUS.SERVER_STATUS_IN_TRANS | SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT
        )
        unread = self._result is not None and (self._result.has_next or self._result.unbuffered_active)
        return self.open and not unread and flags == SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT

    def answers(self, seconds: float) -> bool:
        """Whether the server answers a ping within *seconds*."""
        try:
            with self._waiting_at_most(seconds):
                self.ping(reconnect=False)
        except (err.Error, OSError):
            return False
        return True

    def close(self) -> None:
        """Take leave of the server and close; in a forked child close without a word."""
        if os.getpid() != self._pid:
            self._force_close()
            return
        with self._waiting_at_most(1.0):
            super().close()

    @property
    def peer(self) -> object:
        """The address at the other end; ``None`` if there is none any more."""
        with suppress(OSError):
            return self._sock and self._sock.getpeername()
        return None

    def drop(self) -> None:
        """Close at once, without a word; never waits."""
        if self._result is not None:
            self._result.unbuffered_active = False  # its finalizer would go on reading
        self._force_close()


def _server_error(payload: bytes) -> err.Error:
    try:
        err.raise_mysql_exception(payload)
    except err.Error as error:
        return error
