"""Statements on one connection, and a transaction of them, which is over as soon as the server says so."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self, TypeVar

from mysql_redis_cache import sql
from mysql_redis_cache.errors import DatabaseUnavailable, QueryTimeout, TransactionEnded
from mysql_redis_cache.values import in_zone

from .connection import WHY_UTF8MB4
from .effects import effects_of
from .failures import err, errno_of, is_answer
from .talk import Overdue

if TYPE_CHECKING:
    from datetime import tzinfo
    from types import TracebackType

    from mysql_redis_cache.observe import Watch
    from mysql_redis_cache.sql import Params, Statement
    from mysql_redis_cache.values import Dates, Row

    from .connection import Connection
    from .effects import Effects
    from .pool import Pool
    from .wire import Reply

Outcome = TypeVar("Outcome")

__all__ = [
    "Session",
    "WriteResult",
    "ask",
    "checked",
    "is_call",
    "outcome_of",
    "rows_of",
    "told",
    "write_result_of",
]

_MARK = "mrc_same_transaction"
# Answers to COMMIT that are certain: on another node or member the same rows had been changed.
_ROLLED_BACK = frozenset([1213, 3101])


class WriteResult(NamedTuple):
    """What a write did.

    Attributes:
        affected_rows: how many rows it changed; MySQL counts an updated row of an upsert as 2.
        insert_id: the first AUTO_INCREMENT value it made, or 0.
        gtid: by which the server's binary log names what it has committed, for ``wait_for``. ``None`` within
            a transaction, of a write that changed nothing, and where the server has no such log or does not
            tell (MySQL with ``gtid_mode=OFF``, old servers, proxies).
    """

    affected_rows: int
    insert_id: int
    gtid: str | None = None


class Session:
    """One connection for several statements. Made by ``Database.session``; not to be shared between threads.

    A transaction that is neither committed nor rolled back at the end of the block is rolled back. One that
    the server ends (a deadlock, a statement that commits by itself, a lost connection) is over: it takes no
    more statements.

    Attributes:
        committed: whether what was done in the transaction is committed; None if that is unknown.
        gtid: as of ``WriteResult``, once it is.
    """

    def __init__(self, pool: Pool, dates: Dates, zone: tzinfo | None = None) -> None:
        self._pool = pool
        self._zone = zone
        self._dates: Dates = dates
        self._lease = pool.connection()
        self._connection: Connection | None = None
        self._is_begun = False
        self._is_told = False  # by the server, whether a transaction is open
        self._ending: tuple[DatabaseUnavailable | TransactionEnded, BaseException | None] | None = None
        self.committed: bool | None = False
        self.gtid: str | None = None

    def __enter__(self) -> Self:
        self._connection = self._lease.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection = None
        self._lease.__exit__(kind, error, traceback)

    def query(self, text: str, params: Params = None) -> list[Row]:
        """Run a statement and return its rows, as ``Database.query``, but never twice.

        Raises:
            TransactionEnded: the server has ended the transaction before.
        """
        return rows_of(text, self._ask(text, params))

    def execute(self, text: str, params: Params = None) -> WriteResult:
        """Run a write, as ``Database.execute``; within a transaction it is not committed yet.

        Raises:
            TransactionEnded: the server has ended the transaction before.
        """
        return told(self._pool.watch, text, write_result_of(self._ask(text, params)))

    def run(self, text: str, params: Params = None) -> list[Row] | WriteResult:
        """Run a statement of any kind, as ``Database.run``."""
        return told(self._pool.watch, text, outcome_of(text, self._ask(text, params)))

    def say_inside(self, text: str) -> None:
        """Run a statement of this library's own in the transaction, such as SAVEPOINT.

        Raises:
            TransactionEnded: the server has ended the transaction before.
        """
        self._check_open()
        try:
            self._say(text)
        except BaseException as error:
            self._look_after(error, self.committed, is_marked=False)
            raise

    def begin(self) -> None:
        """Begin a transaction."""
        self._say("START TRANSACTION")
        self._is_begun = True
        self._is_told = self._in_use.state.in_transaction

    def commit(self) -> None:
        """Commit the transaction.

        Raises:
            TransactionEnded: the server has ended it before.
            DatabaseUnavailable: the connection was lost: it may be committed or not.
        """
        self._check_open()
        before, self.committed = self.committed, None
        try:
            self._say("COMMIT")  # without limit: its outcome must be known
        except err.Error as error:
            if errno_of(error) in _ROLLED_BACK:
                self.committed = before
            raise
        self.committed, self.gtid = True, self._in_use.state.gtid

    def rollback(self) -> None:
        """Undo the transaction, or what has followed it after the server had ended it."""
        if self._in_use.open:
            self._say("ROLLBACK")

    @property
    def _in_use(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("a session is used inside its with block only")
        return self._connection

    def _say(self, text: str) -> None:
        """Run a statement of our own, which has no values."""
        try:
            self._in_use.ask(text)
        except err.Error as error:
            _raise_translated(self._pool, self._in_use, error)

    def _check_open(self) -> None:
        if self._ending is not None:
            ending, cause = self._ending
            raise copy.copy(ending) from cause

    def _ask(self, text: str, params: Params) -> Reply:
        connection = self._in_use
        self._check_open()
        params = params if self._zone is None else in_zone(params, self._zone)
        statement, effects = checked(text, params, inside=self._is_begun)
        is_marked = self._is_told and effects.is_opaque
        if is_marked:
            self._say(f"SAVEPOINT {_MARK}")
        before = self.committed
        if effects.may_commit:
            self.committed = None  # until it is known, whatever strikes meanwhile
        try:
            limit = self._pool.query_timeout
            reply = ask(
                self._pool, connection, statement, params, dates=self._dates, effects=effects, limit=limit
            )
        except BaseException as error:
            self._look_after(error, before, is_marked=is_marked)
            raise
        self._look_at(effects, before, is_marked=is_marked)
        return reply

    def _look_at(self, effects: Effects, before: bool | None, *, is_marked: bool) -> None:
        """See whether a statement that succeeded has ended the transaction."""
        if not self._is_told:
            return
        if self._is_open(is_marked=is_marked):
            self.committed = before
        elif effects.is_opaque:
            self._end("a statement has ended the transaction", None)
        else:
            self._end("a statement has ended the transaction", True)

    def _look_after(self, error: BaseException, before: bool | None, *, is_marked: bool) -> None:
        """See whether a statement that failed has ended the transaction."""
        try:
            if is_answer(error):
                self._in_use.look()
        except err.Error:
            self._in_use.drop()
        if not self._in_use.open:
            self._lose(error)
        elif self._is_told and self._is_open(is_marked=is_marked):
            self.committed = before
        elif self._is_told:
            self._end("the server has ended the transaction", self.committed, error)

    def _is_open(self, *, is_marked: bool) -> bool:
        """Whether the transaction is still open, and not another one: that has no savepoint of ours."""
        if not self._in_use.state.in_transaction:
            return False
        if is_marked:
            try:
                self._say(f"RELEASE SAVEPOINT {_MARK}")
            except (err.Error, DatabaseUnavailable):
                return False
        return True

    def _end(self, text: str, committed: bool | None, cause: BaseException | None = None) -> None:
        self.committed = committed
        self._ending = TransactionEnded(text, committed), cause

    def _lose(self, cause: BaseException) -> None:
        outcome = "is rolled back" if self.committed is False else "may be committed or not"
        text = f"the transaction {outcome}: its connection to MySQL was lost"
        self._ending = DatabaseUnavailable(text), cause


def checked(text: str, params: Params, *, inside: bool) -> tuple[Statement, Effects]:
    """Return a statement and what it may do, having checked all that can be before it is sent.

    Args:
        text: SQL with ``?`` placeholders.
        params: a value for each.
        inside: whether it is to run in a transaction.

    Raises:
        TypeError: the text or a param is of a type that cannot be sent.
        ValueError: they do not fit, or the statement belongs to transactions and how they are made here.
    """
    statement = sql.statement(text)
    statement.check(params)
    effects = effects_of(text)
    refusal = effects.inside if inside else effects.alone
    if refusal is not None:
        raise ValueError(f"the statement is refused: {refusal}")
    return statement, effects


def ask(
    pool: Pool,
    connection: Connection,
    statement: Statement,
    params: Params,
    *,
    dates: Dates,
    effects: Effects,
    limit: float | None,
) -> Reply:
    """Bind *params* as the session's sql_mode asks for, send, and read the reply.

    Raises:
        QueryTimeout: it took longer than *limit* seconds.
        DatabaseUnavailable: the connection was lost, or the server answers that it serves nobody now.
        pymysql.err.Error: the server's answer is an error.
    """
    bound = ""
    try:
        connection.make_ready(effects, for_quotes=statement.needs_sql_mode)
        state = connection.state
        if state.narrow and (params or statement.verb != "SET"):
            raise ValueError(f"a statement before has set {state.narrow} in this session: {WHY_UTF8MB4}")
        bound = statement.bind(
            params, no_backslash_escapes=state.no_backslash_escapes, ansi_quotes=state.ansi_quotes
        )
        return connection.ask(bound, dates, limit, effects)
    except Overdue:
        pool.stop(connection)
        raise QueryTimeout(limit or 0.0) from None
    except err.Error as error:
        _raise_translated(pool, connection, error, len(bound))


def _raise_translated(pool: Pool, connection: Connection, error: err.Error, sent: int = 0) -> NoReturn:
    """Raise one of PyMySQL's errors, or what it means; an outage ends the connection."""
    translated = pool.translated(error, sent)
    if translated is error:
        raise error
    connection.drop()
    raise translated from error


def is_call(text: str) -> bool:
    """Whether a statement is a CALL."""
    return next((word for _, word in sql.tokens(text)), "") == "CALL"


def rows_of(text: str, reply: Reply) -> list[Any]:
    """Return a reply in the shape npm's users know."""
    if reply.ok is None:
        return reply.result_sets[0]
    if reply.result_sets:
        return [*reply.result_sets, reply.ok.as_npm()]
    return reply.ok.as_npm() if is_call(text) else []  # type: ignore[return-value]  # npm's shape


def outcome_of(text: str, reply: Reply) -> list[Any] | WriteResult:
    """Return a reply in the shape that fits the statement."""
    return rows_of(text, reply) if reply.result_sets or is_call(text) else write_result_of(reply)


def told(watch: Watch, text: str, outcome: Outcome) -> Outcome:
    """Tell those who listen of a write, and return what came of the statement."""
    if isinstance(outcome, WriteResult):
        watch.wrote(text, outcome.affected_rows)
    return outcome


def write_result_of(reply: Reply) -> WriteResult:
    """Return what a write did."""
    if reply.ok is None:
        return WriteResult(len(reply.result_sets[0]), 0, reply.gtid)
    return WriteResult(reply.ok.affected_rows, reply.ok.insert_id, reply.gtid)
