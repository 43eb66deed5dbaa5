"""A MySQL or MariaDB server: statements, each executed once, and sessions of several."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mysql_redis_cache.errors import DatabaseUnavailable, TransactionEnded
from mysql_redis_cache.values import in_zone

from .config import parse_mysql_config
from .failures import is_not_now, is_unanswered
from .pool import Pool
from .session import Session, ask, checked, is_call, outcome_of, rows_of, told, write_result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import tzinfo

    from mysql_redis_cache.observe import Server, Watch
    from mysql_redis_cache.sql import Params, Statement
    from mysql_redis_cache.values import Dates, Row

    from .session import WriteResult
    from .wire import Reply

__all__ = ["Database"]


class Database:
    """A MySQL or MariaDB server. Opens nothing until it is first used; safe to share between threads.

    Args:
        config: see ``parse_mysql_config``.
        dates: ``"npm"`` writes DATE, DATETIME and TIMESTAMP columns as Node.js does, see ``codec.encode``.
        zone: that of DATETIME columns: aware datetimes are sent as its wall clock, and it is the sessions'
            ``time_zone`` if *config* names no other.
        watch: counts the waits for a connection.

    Raises:
        ValueError: an option is unknown, refused or out of range.
        TypeError: an option is of the wrong type.
    """

    def __init__(
        self,
        config: Mapping[str, object] | str,
        *,
        dates: Dates = "iso",
        zone: tzinfo | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._config = parse_mysql_config(config).in_zone(zone)
        self.zone = zone
        self._dates: Dates = dates
        self.pool = Pool(self._config, watch)

    @property
    def server(self) -> Server:
        """Where it is, for those who tell of it."""
        return self.pool.server

    def gauges(self) -> dict[str, int]:
        """Return how many connections there are now."""
        pool = self.pool
        return {"pool_size": pool.size, "pool_in_use": pool.in_use, "pool_idle": pool.idle}

    def query(
        self,
        text: str,
        params: Params = None,
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
            what it gives with npm: ``[rows, …, header]``, or the header alone if there are no rows. All
            digits of DECIMAL columns stand beside them, for ``encode_rows``, until ``rows_as_list``.

        Raises:
            TypeError: the text or a param is of a type that cannot be sent; nothing was sent.
            ValueError: the text is empty, or the params do not fit it; nothing was sent.
            PoolTimeout: no connection became free in time.
            DatabaseUnavailable: MySQL cannot be reached, or hung up. A read is tried once more first.
            QueryTimeout: it took longer than ``query_timeout``, and was stopped.
            TransactionEnded: a procedure has left a transaction open, which is rolled back.
            ClosedError: after ``close``.
            pymysql.err.Error: the server's answer is an error.
        """
        return rows_of(text, self._ask(text, params, before_sending))

    def execute(self, text: str, params: Params = None) -> WriteResult:
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
        return told(self.pool.watch, text, write_result_of(self._ask(text, params, is_write=True)))

    def run(self, text: str, params: Params = None) -> list[Row] | WriteResult:
        """Run a statement of any kind: as ``query`` if it has rows or is a CALL, else as ``execute``."""
        return told(self.pool.watch, text, outcome_of(text, self._ask(text, params, is_write=True)))

    def session(self) -> Session:
        """Return a context manager: a session on one connection, for transactions."""
        return Session(self.pool, self._dates, self.zone)

    def close(self) -> None:
        """Close all connections, those in use when their calls end. Final; never waits for long."""
        self.pool.close()

    def __repr__(self) -> str:
        return f"<Database {self._config.address}>"

    def _ask(
        self,
        text: str,
        params: Params,
        before_sending: Callable[[], object] | None = None,
        *,
        is_write: bool = False,
    ) -> Reply:
        params = params if self.zone is None else in_zone(params, self.zone)
        statement, effects = checked(text, params, inside=False)
        send = partial(ask, dates=self._dates, effects=effects, limit=self.pool.query_timeout)
        lease = self.pool.connection()
        with lease as connection:
            used = connection
            if before_sending is not None:
                before_sending()
            try:
                reply = send(self.pool, used, statement, params)
            except DatabaseUnavailable as error:
                if not _may_repeat(statement, error):
                    raise
                used = lease.renew()
                reply = send(self.pool, used, statement, params)
            if (is_write or effects.is_opaque) and not used.state.is_at_rest:
                raise TransactionEnded("the statement has left a transaction open, now rolled back", None)
            return reply


def _may_repeat(statement: Statement, error: DatabaseUnavailable) -> bool:
    """Whether it is a read, which does no harm twice, and got no answer, or one that speaks of the server."""
    if not (is_unanswered(error.__cause__) or is_not_now(error.__cause__)):
        return False
    return statement.is_read and not is_call(statement.text)
