"""Statements over a connection: a fast way to rows, each reply read to its end or the connection closed."""

from __future__ import annotations

import os
import struct
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pymysql.constants import COMMAND, CR

from mysql_redis_cache.runtime import forget_errors

from .driver import Driver
from .effects import effects_of
from .failures import err, mark_unanswered
from .wire import ErrorPacket, FileAsked, GarbledReply, Packets, Reply, read_reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mysql_redis_cache.values import Dates

    from .effects import Effects

__all__ = ["Command", "Overdue", "Talk"]

Command = tuple[int, str]

_PIECE = 1 << 17
_TOO_LARGE = 1153
_OVERHEAD = 2  # the command's byte, and what a server takes must be below its limit
_SURELY_TAKEN = 1_000_000
"""Bytes of a statement for which the server need not be asked how many it takes."""

_LOCAL_FILE = "LOAD DATA LOCAL sends a file: use a connection of get_mysql_pool(), with local_infile"


class Overdue(Exception):
    """A statement's time was over before its reply was read; the connection is of no more use."""


class Talk(Driver):
    """A connection that can be asked."""

    def __init__(self, **arguments: Any) -> None:
        self._pid = os.getpid()
        self._largest_statement: int | None = None
        super().__init__(**arguments)

    def ask(
        self, statement: str, dates: Dates = "iso", limit: float | None = None, effects: Effects | None = None
    ) -> Reply:
        """Send a statement and read the whole reply.

        Args:
            statement: the SQL, complete.
            dates: ``"iso"`` or ``"npm"``, see ``codec.encode``.
            limit: how many seconds that may take.
            effects: what it may do to the session; looked for if not given.

        Returns:
            The reply, rows as dicts.

        Raises:
            Overdue: *limit* has passed.
            pymysql.err.Error: the server's error, or the connection was lost; then it is closed, and the
                error marked if nothing of the reply had come.
        """
        data = statement.encode()
        if len(data) >= _SURELY_TAKEN:
            self._check_size(len(data))
        effects = effects or effects_of(statement)
        packets = None
        try:
            packets = self._send(data, effects) if limit is None else self._send_within(limit, data, effects)
            reply = read_reply(packets, dates, self.state.hear)
            if reply.ok is not None:
                self.state.note_id(reply.ok.insert_id)
            if self.state.gtid is not None:
                reply = reply._replace(gtid=self.state.gtid)
            return reply  # noqa: TRY300 - the hottest way, kept short
        except ErrorPacket as packet:
            raise self._failure(packet, packets) from None
        except BaseException as error:
            failure = self._failure(error, packets)
            if failure is error:
                raise
            raise failure from error

    def _check_size(self, size: int) -> None:
        most = self._largest_statement
        if most is None:
            ((row,),) = self.ask("SELECT @@max_allowed_packet AS most").result_sets
            most = self._largest_statement = row["most"] - _OVERHEAD
        if size > most:
            raise err.OperationalError(
                _TOO_LARGE,
                f"the statement has {size:,} bytes and the server takes {most:,} at most "
                "(max_allowed_packet); nothing was sent",
            )

    def _run(self, effects: Effects, command: int, sql: str | bytes) -> None:
        if os.getpid() != self._pid:
            self._force_close()  # it is the parent's: closed here without a word, it goes on working there
        super()._run(effects, command, sql)

    def _force_close(self) -> None:
        super()._force_close()
        if self._secure and os.getpid() == self._pid:
            forget_errors()

    def _send(self, statement: bytes, effects: Effects) -> Packets:
        try:
            self._run(effects, COMMAND.COM_QUERY, statement)
        except err.Error as error:
            if not isinstance(error.__context__, TimeoutError):
                mark_unanswered(error)
            raise
        return self._packets()

    def _packets(self) -> Packets:
        """The packets of the reply to what was just sent, awaited for ``read_timeout``."""
        if self._sock is not None:
            self._sock.settimeout(self._read_timeout)
            self._current_timeout = self._read_timeout  # so PyMySQL knows, from 1.2.1 on
        return Packets(self._rfile.read, self._rfile.read1, self._next_seq_id, self.dialect)

    def _send_within(self, limit: float, statement: bytes, effects: Effects) -> Packets:
        until = time.monotonic() + limit
        try:
            with self._waiting_at_most(limit):
                self._send(statement, effects)
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

        return Packets(read, read, self._next_seq_id, self.dialect)

    def _failure(self, error: BaseException, packets: Packets | None) -> BaseException:
        """Return what to raise for what reading a reply has raised; close, unless it was a clean answer."""
        match error:
            case ErrorPacket(is_notice=False):
                self.state.hear_error()
                return _server_error(error.payload)
            case err.Error() | Overdue():  # who asked for a limit ends the connection
                return error
        self._force_close()  # the rest of the reply may still be on its way
        failure = self._loss(error)
        nothing_came = packets is None or not packets.has_begun
        is_cut = isinstance(error, (EOFError, OSError)) and not isinstance(error, TimeoutError)
        if isinstance(error, ErrorPacket) or (is_cut and nothing_came):
            mark_unanswered(failure)
        return failure

    def _loss(self, error: BaseException) -> BaseException:
        """Return what to raise for what has ended a connection."""
        texts: tuple[tuple[type | tuple[type, ...], str], ...] = (
            (ErrorPacket, "the server closed the connection"),
            (TimeoutError, f"no reply within read_timeout={self._read_timeout:g} s"),
            ((EOFError, OSError), f"Lost connection to MySQL server during query ({error})"),
        )
        if isinstance(error, FileAsked):
            return err.NotSupportedError(_LOCAL_FILE)
        if isinstance(error, (GarbledReply, IndexError, KeyError, struct.error)):
            text = str(error) if isinstance(error, GarbledReply) else "malformed packet"
            return err.OperationalError(CR.CR_MALFORMED_PACKET, text)
        text = next((text for kind, text in texts if isinstance(error, kind)), "")
        return err.OperationalError(CR.CR_SERVER_LOST, text) if text else error

    def _exchange(self, commands: Sequence[Command]) -> list[Reply | err.Error]:
        """Send several commands at once and read the answers, errors of the server among them."""
        packets = None
        try:
            self._write_bytes(b"".join(map(_packet, commands)))
            packets = self._packets()
            outcomes = [self._outcome(packets) for _ in commands]
            packets.expect_end()
        except BaseException as error:
            raise self._failure(error, packets) from error
        return outcomes

    def _outcome(self, packets: Packets) -> Reply | err.Error:
        packets.expect_another()
        try:
            return read_reply(packets, hear=self.state.hear, is_last=False)
        except ErrorPacket as packet:
            if packet.is_notice:
                raise
            return _server_error(packet.payload)

    @contextmanager
    def _waiting_at_most(self, seconds: float) -> Iterator[None]:
        read_timeout, write_timeout = self._read_timeout, self._write_timeout
        self._read_timeout = self._write_timeout = seconds
        try:
            yield
        finally:
            self._read_timeout, self._write_timeout = read_timeout, write_timeout


def _packet(command: Command) -> bytes:
    number, text = command
    data = text.encode()
    return struct.pack("<iB", len(data) + 1, number) + data


def _server_error(payload: bytes) -> err.Error:
    try:
        err.raise_mysql_exception(payload)
    except err.Error as error:
        return error
