"""A MySQL or MariaDB server: statements, each executed once, and sessions of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

from mysql_redis_cache import sql
from mysql_redis_cache.errors import DatabaseUnavailable, QueryTimeout

from .config import parse_mysql_config
from .connection import Connection, LostUnanswered, Overdue
from .failures import err
from .pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from mysql_redis_cache.sql import Statement
    from mysql_redis_cache.values import Dates, Row

    from .wire import Reply

__all__ = ["Database", "Session", "WriteResult"]

_NO_BACKSLASH_ESCAPES = 512


class WriteResult(NamedTuple):
    """What a write did.

    Attributes:
        affected_rows: how many rows it changed; MySQL counts an updated row of an upsert as 2.
        insert_id: the first AUTO_INCREMENT value it made, or 0.
    """

    affected_rows: int
    insert_id: int


class Database:
    """A MySQL or MariaDB server. Opens nothing until it is first used; safe to share between threads.

    Args:
        config: see ``parse_mysql_config``.
        dates: ``"npm"`` writes DATE, DATETIME and TIMESTAMP columns as Node.js does, see ``codec.encode``.

    Raises:
        ValueError: an option is unknown, refused or out of range.
        TypeError: an option is of the wrong type.
    """

    def __init__(self, config: Mapping[str, object] | str, *, dates: Dates = "iso") -> None:
        self._config = parse_mysql_config(config)
        self._dates: Dates = dates
        self.pool = Pool(self._config)

    def query(
        self,
        text: str,
        params: Sequence[object] | None = None,
        *,
        before_sending: Callable[[], object] | None = None,
    ) -> list[Row]:
        """Run a statement and return its rows.

        Args:
            text: SQL with ``?`` placeholders, see ``sql.statement``.
            params: a value for each.
            before_sending: called once there is a connection to send it over.

        Returns:
            Rows as dicts of JSON-native values and bytes; none if the statement has none. A ``CALL`` gives
            what it gives with npm: ``[rows, …, header]``, or the header alone if there are no rows.

        Raises:
            TypeError: the text or a param is of a type that cannot be sent; nothing was sent.
            ValueError: the text is empty, or the params do not fit it; nothing was sent.
            PoolTimeout: no connection became free in time.
            DatabaseUnavailable: MySQL cannot be reached, or hung up. A read is tried once more first.
            QueryTimeout: it took longer than ``query_timeout``, and was stopped.
            ClosedError: after ``close``.
            pymysql.err.Error: the server's answer is an error.
        """
        return _rows(text, self._ask(text, params, before_sending))

    def execute(self, text: str, params: Sequence[object] | None = None) -> WriteResult:
        """Run a write, once, and commit it.

        Args:
            text: SQL with ``?`` placeholders, see ``sql.statement``.
            params: a value for each.

        Returns:
            How many rows it changed, and the AUTO_INCREMENT value it made.

        Raises:
            Exception: as ``query``. After ``DatabaseUnavailable`` or ``QueryTimeout`` it may have happened or
                not.
        """
        return _write_result(self._ask(text, params))

    def run(self, text: str, params: Sequence[object] | None = None) -> list[Row] | WriteResult:
        """Run a statement of any kind: as ``query`` if it has rows or is a CALL, else as ``execute``."""
        reply = self._ask(text, params)
        return _rows(text, reply) if reply.result_sets or _is_call(text) else _write_result(reply)

    def session(self) -> Session:
        """Return a context manager: a session on one connection, for transactions."""
        return Session(self.pool, self._dates)

    def close(self) -> None:
        """Close all connections, those in use when their calls end. Final; never waits for long."""
        self.pool.close()

    def __repr__(self) -> str:
        return f"<Database {self._config.address}>"

    def _ask(
        self,
        text: str,
        params: Sequence[object] | None,
        before_sending: Callable[[], object] | None = None,
    ) -> Reply:
        statement = sql.statement(text)
        statement.check(params)
        lease, limit = self.pool.connection(), self.pool.query_timeout
        with lease as connection:
            if before_sending is not None:
                before_sending()
            try:
                return _ask(self.pool, connection, statement, params, self._dates, limit=limit)
            except DatabaseUnavailable as error:
                if not _may_repeat(statement, error):
                    raise
            return _ask(self.pool, lease.renew(), statement, params, self._dates, limit=limit)


class Session:
    """One connection for several statements. Made by ``Database.session``; not to be shared between threads.

    A transaction that is neither committed nor rolled back at the end of the block is rolled back.
    """

    def __init__(self, pool: Pool, dates: Dates) -> None:
        self._pool = pool
        self._dates: Dates = dates
        self._lease = pool.connection()
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        self._connection = self._lease.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection = None
        self._lease.__exit__(kind, error, traceback)

    def query(self, text: str, params: Sequence[object] | None = None) -> list[Row]:
        """Run a statement and return its rows, as ``Database.query``, but never twice."""
        return _rows(text, self._ask(text, params, self._pool.query_timeout))

    def execute(self, text: str, params: Sequence[object] | None = None) -> WriteResult:
        """Run a write, as ``Database.execute``; within a transaction it is not committed yet."""
        return _write_result(self._ask(text, params, self._pool.query_timeout))

    def begin(self) -> None:
        """Begin a transaction."""
        self._ask("START TRANSACTION", None, None)

    def commit(self) -> None:
        """Commit the transaction.

        Raises:
            DatabaseUnavailable: the connection was lost: it may be committed or not.
        """
        self._ask("COMMIT", None, None)  # without limit: its outcome must be known

    def rollback(self) -> None:
        """Undo the transaction."""
        self._ask("ROLLBACK", None, None)

    def _ask(self, text: str, params: Sequence[object] | None, limit: float | None) -> Reply:
        if self._connection is None:
            raise RuntimeError("a session is used inside its with block only")
        statement = sql.statement(text)
        statement.check(params)
        return _ask(self._pool, self._connection, statement, params, self._dates, limit=limit)


def _ask(
    pool: Pool,
    connection: Connection,
    statement: Statement,
    params: Sequence[object] | None,
    dates: Dates,
    *,
    limit: float | None,
) -> Reply:
    """Bind *params* as the session's sql_mode asks for, send, and read the reply."""
    bound = ""
    try:
        ansi_quotes = statement.needs_sql_mode and _has_ansi_quotes(connection)
        bound = statement.bind(
            params,
            no_backslash_escapes=bool(connection.server_status & _NO_BACKSLASH_ESCAPES),
            ansi_quotes=ansi_quotes,
        )
        return connection.ask(bound, dates, limit)
    except Overdue:
        pool.stop(connection)
        raise QueryTimeout(limit or 0.0) from None
    except err.Error as error:
        translated = pool.translated(error, len(bound))
        if translated is error:
            raise
        raise translated from error


def _has_ansi_quotes(connection: Connection) -> bool:
    ((row,),) = connection.ask("SELECT @@sql_mode AS modes").result_sets
    return "ANSI_QUOTES" in row["modes"].split(",")


def _may_repeat(statement: Statement, error: DatabaseUnavailable) -> bool:
    """Whether it is a read, which does no harm twice, and was lost before anything came back."""
    return isinstance(error.__cause__, LostUnanswered) and statement.is_read and not _is_call(statement.text)


def _is_call(text: str) -> bool:
    return next((word for _, word in sql.tokens(text)), "") == "CALL"


def _rows(text: str, reply: Reply) -> list[Any]:
    """Return a reply in the shape npm's users know."""
    if reply.ok is None:
        return reply.result_sets[0]
    if reply.result_sets:
        return [*reply.result_sets, reply.ok.as_npm()]
    return reply.ok.as_npm() if _is_call(text) else []  # type: ignore[return-value]  # npm's shape


def _write_result(reply: Reply) -> WriteResult:
    if reply.ok is None:
        return WriteResult(len(reply.result_sets[0]), 0)
    return WriteResult(reply.ok.affected_rows, reply.ok.insert_id)
